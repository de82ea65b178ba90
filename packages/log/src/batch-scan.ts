import type { File } from '@millrace/platform';
import { batchHeaderBytes, readBatchHeader, validateBatch, type BatchHeader } from '@millrace/protocol';

const chunkBytes = 1_048_576;
/** Bytes before a batch's length begins to count: base offset and the length itself. */
const prefixBytes = 12;

/** A batch met on a walk through a file. `bytes` is reused: what is to outlive the visit must be copied. */
export interface ScannedBatch {
  readonly header: BatchHeader;
  readonly bytes: Uint8Array;
  /** Where the batch begins in `bytes`. */
  readonly start: number;
  /** Where it begins in the file. */
  readonly position: number;
}

export interface ScanOptions {
  readonly from: number;
  readonly to: number;
  /** Also verifies each batch's CRC-32C. */
  readonly checksCrc: boolean;
}

/**
 * Walks the batches of a file. Ends at the first that is cut short or damaged, or when `visit` gives false; gives the
 * position where it ended. The length is looked at before the CRC: pages that a power cut left zeroed read as length 0.
 */
export async function scanBatches(
  file: File,
  options: ScanOptions,
  visit: (batch: ScannedBatch) => boolean | void,
): Promise<number> {
  let buffer = new Uint8Array(Math.min(chunkBytes, Math.max(0, options.to - options.from)));
  let position = options.from; // in the file, of buffer[0]
  while (position < options.to) {
    const wanted = Math.min(buffer.length, options.to - position);
    const filled = await file.read(buffer.subarray(0, wanted), position);
    const view = new DataView(buffer.buffer, buffer.byteOffset, filled);
    let start = 0;
    while (filled - start >= batchHeaderBytes) {
      const sizeBytes = view.getInt32(start + 8) + prefixBytes;
      if (sizeBytes < batchHeaderBytes || position + start + sizeBytes > options.to) return position + start;
      if (start + sizeBytes > filled) break; // goes on behind the buffer
      if (buffer[start + 16] !== 2) return position + start;
      const header = headerOrNull(buffer, start, options.checksCrc);
      if (header === null) return position + start;
      if (visit({ header, bytes: buffer, start, position: position + start }) === false) return position + start;
      start += sizeBytes;
    }
    if (start === 0) {
      // Either less than a header is left, or a batch is larger than the buffer.
      if (filled < batchHeaderBytes || filled < wanted) return position;
      buffer = new Uint8Array(Math.min(view.getInt32(8) + prefixBytes, options.to - position));
    }
    position += start;
  }
  return position;
}

/** null: there is no batch here, whatever is wrong with it. */
export function headerOrNull(bytes: Uint8Array, start: number, checksCrc: boolean): BatchHeader | null {
  try {
    return checksCrc ? validateBatch(bytes, start) : readBatchHeader(bytes, start);
  } catch {
    return null;
  }
}

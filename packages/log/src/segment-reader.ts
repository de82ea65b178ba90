import { batchHeaderBytes, readBatchHeader } from '@millrace/protocol';
import { headerOrNull } from './batch-scan.ts';
import { CorruptLogError } from './errors.ts';
import { suffixes } from './file-names.ts';
import type { Segment } from './segment.ts';

/** Whole batches of a segment, and the offset behind the last. */
export interface FoundBatches {
  readonly bytes: Uint8Array;
  readonly endOffset: number;
  /** Nothing is left behind them in the segment. */
  readonly isSegmentEnd: boolean;
}

export interface FindOptions {
  readonly offset: number;
  readonly upperOffset: number;
  readonly maxBytes: number;
  readonly minOneBatch: boolean;
  readonly indexIntervalBytes: number;
}

/**
 * Reads whole batches from the one that holds an offset on. One read as a rule: the index leads to a little before it.
 * null: the segment has none at or behind the offset.
 */
export function findBatches(segment: Segment, options: FindOptions): Promise<FoundBatches | null> {
  // Between two reads of one file it must not be closed: its name may be another's by then.
  return segment.using(() => find(segment, options));
}

async function find(segment: Segment, options: FindOptions): Promise<FoundBatches | null> {
  let position = segment.offsetIndex().positionFor(options.offset);
  let wanted = options.maxBytes + options.indexIntervalBytes;
  let isByIndex = position > 0;
  for (;;) {
    const available = Math.min(Math.max(wanted, batchHeaderBytes), segment.writtenBytes - position);
    if (available <= 0) return null;
    const chunk = new Uint8Array(Buffer.allocUnsafeSlow(available).buffer);
    if ((await segment.read(chunk, position)) < available) {
      throw new CorruptLogError(segment.path(suffixes.log), `It is shorter than it was at position ${position}.`);
    }
    if (isByIndex && !endsBefore(chunk, options.offset)) {
      position = 0; // the index is damaged, so walk
      isByIndex = false;
      continue;
    }
    isByIndex = false;
    let at = 0;
    while (available - at >= batchHeaderBytes) {
      const header = readBatchHeader(chunk, at);
      if (header.sizeBytes < batchHeaderBytes || position + at + header.sizeBytes > segment.writtenBytes) {
        throw new CorruptLogError(
          segment.path(suffixes.log),
          `At position ${position + at} there is no batch: its length would be ${header.sizeBytes} bytes.`,
        );
      }
      if (header.baseOffset + header.lastOffsetDelta < options.offset) at += header.sizeBytes;
      else if (at + header.sizeBytes <= available) {
        return take(chunk, at, segment.writtenBytes - position, options);
      } else if (at === 0 && !options.minOneBatch && header.sizeBytes > options.maxBytes) {
        return { bytes: chunk.subarray(0, 0), endOffset: options.offset, isSegmentEnd: false };
      } else {
        wanted = Math.max(header.sizeBytes, options.maxBytes);
        break;
      }
    }
    position += at;
  }
}

/** Whether there is a batch where the index says, and one that ends as the index says. */
function endsBefore(chunk: Uint8Array, offset: number): boolean {
  if (chunk.length < batchHeaderBytes) return false;
  const header = headerOrNull(chunk, 0, false);
  return (
    header !== null &&
    header.magic === 2 &&
    header.sizeBytes >= batchHeaderBytes &&
    header.baseOffset + header.lastOffsetDelta <= offset
  );
}

/** From a batch that is whole in the chunk on: all that follow whole, within the limits. `segmentEnd`: as seen from the chunk. */
function take(chunk: Uint8Array, start: number, segmentEnd: number, options: FindOptions): FoundBatches {
  let end = start;
  let endOffset = options.offset;
  while (chunk.length - end >= batchHeaderBytes) {
    const header = readBatchHeader(chunk, end);
    const nextEnd = end + header.sizeBytes;
    if (header.sizeBytes < batchHeaderBytes || nextEnd > chunk.length) break;
    const lastOffset = header.baseOffset + header.lastOffsetDelta;
    if (lastOffset >= options.upperOffset) break;
    const isFirst = end === start;
    if (nextEnd - start > options.maxBytes && !(isFirst && options.minOneBatch)) break;
    end = nextEnd;
    endOffset = lastOffset + 1;
  }
  return { bytes: chunk.subarray(start, end), endOffset, isSegmentEnd: end === segmentEnd };
}

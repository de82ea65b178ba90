import {
  attributesOf,
  batchHeaderBytes,
  compress,
  crc32c,
  type BatchHeader,
  type RecordReader,
} from '@millrace/protocol';
import { readVarint, skipVarint, varintBytes, writeVarint } from './varint.ts';

const deleteHorizonBit = 0x40;
const compressionBits = 0x07;

/** Records of one batch that stay: columns, reused from batch to batch. */
export class KeptRecords {
  readonly offsets: number[] = [];
  readonly timestamps: number[] = [];
  readonly keyLengths: number[] = [];
  /** Of each record what follows its key's length: key, value and headers, copied as they lie. */
  readonly starts: number[] = [];
  readonly ends: number[] = [];

  get count(): number {
    return this.offsets.length;
  }

  clear(): void {
    for (const column of [this.offsets, this.timestamps, this.keyLengths, this.starts, this.ends]) column.length = 0;
  }

  /** Keeps the record where the reader stands. */
  add(reader: RecordReader): void {
    this.offsets.push(reader.offset);
    this.timestamps.push(reader.timestampMs);
    this.keyLengths.push(reader.keyLength);
    this.starts.push(reader.keyPosition);
    this.ends.push(endOf(reader));
  }
}

/**
 * The batch with the records that stay. Its offsets, its sequence, its producer stay as they were, so that readers and
 * recovery see a batch with gaps. With a delete horizon, that time takes the place of the base timestamp (KIP-534), and the
 * records' timestamps count from there.
 */
export function rebuildBatch(
  header: BatchHeader,
  source: Uint8Array,
  kept: KeptRecords,
  deleteHorizonMs: number | null,
): Uint8Array {
  const baseTimestamp = deleteHorizonMs ?? kept.timestamps[0]!;
  const bodyBytes = kept.starts.map((start, i) => {
    const timestampDelta = kept.timestamps[i]! - baseTimestamp;
    const offsetDelta = kept.offsets[i]! - header.baseOffset;
    const lengths = varintBytes(timestampDelta) + varintBytes(offsetDelta) + varintBytes(kept.keyLengths[i]!);
    return 1 + lengths + kept.ends[i]! - start;
  });
  let recordBytes = 0;
  for (const bytes of bodyBytes) recordBytes += varintBytes(bytes) + bytes;
  const records = new Uint8Array(recordBytes);
  let at = 0;
  for (let i = 0; i < kept.count; i++) {
    at = writeVarint(records, at, bodyBytes[i]!);
    records[at++] = 0; // attributes: unused so far
    at = writeVarint(records, at, kept.timestamps[i]! - baseTimestamp);
    at = writeVarint(records, at, kept.offsets[i]! - header.baseOffset);
    at = writeVarint(records, at, kept.keyLengths[i]!);
    records.set(source.subarray(kept.starts[i], kept.ends[i]), at);
    at += kept.ends[i]! - kept.starts[i]!;
  }
  let maxTimestamp = header.maxTimestamp;
  if (!attributesOf.isLogAppendTime(header.attributes)) {
    maxTimestamp = kept.timestamps[0]!;
    for (const timestamp of kept.timestamps) maxTimestamp = Math.max(maxTimestamp, timestamp);
  }
  return encode(
    { ...header, baseTimestamp, maxTimestamp, recordCount: kept.count },
    deleteHorizonMs === null ? header.attributes & ~deleteHorizonBit : header.attributes | deleteHorizonBit,
    compress(attributesOf.compression(header.attributes), records),
  );
}

/** A batch that has lost all its records, and stays for its offsets or its producer's sequence. */
export function emptyBatch(header: BatchHeader): Uint8Array {
  const attributes = header.attributes & ~(compressionBits | deleteHorizonBit);
  return encode({ ...header, baseTimestamp: -1, recordCount: 0 }, attributes, new Uint8Array(0));
}

function encode(header: BatchHeader, attributes: number, records: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(batchHeaderBytes + records.length);
  const view = new DataView(bytes.buffer);
  view.setBigInt64(0, BigInt(header.baseOffset));
  view.setInt32(8, bytes.length - 12);
  view.setInt32(12, header.partitionLeaderEpoch);
  view.setInt8(16, 2);
  view.setInt16(21, attributes);
  view.setInt32(23, header.lastOffsetDelta);
  view.setBigInt64(27, BigInt(header.baseTimestamp));
  view.setBigInt64(35, BigInt(header.maxTimestamp));
  view.setBigInt64(43, BigInt(header.producerId));
  view.setInt16(51, header.producerEpoch);
  view.setInt32(53, header.baseSequence);
  view.setInt32(57, header.recordCount);
  bytes.set(records, batchHeaderBytes);
  view.setUint32(17, crc32c(bytes, 21, bytes.length));
  return bytes;
}

/** Where the record ends: behind its last header. */
function endOf(reader: RecordReader): number {
  const { bytes } = reader;
  let at = skipVarint(bytes, reader.valuePosition + Math.max(0, reader.valueLength)); // the count of headers
  for (let i = 0; i < reader.headerCount; i++) {
    for (let part = 0; part < 2; part++) {
      const length = readVarint(bytes, at);
      at = skipVarint(bytes, at) + Math.max(0, length);
    }
  }
  return at;
}

import { compress } from '../compression/compression.ts';
import type { CompressionType } from '../compression/compression-type.ts';
import { stringBytes } from '../codec/writer.ts';
import { ProtocolError } from '../errors.ts';
import { batchHeaderBytes, compressionBits, lengthPrefixBytes, setCrc, setInt64, viewOf } from './batch.ts';
import type { HeaderEntry, RecordReader } from './record-reader.ts';
import { varintBytes, writeVarint } from './varint.ts';

/** What stands in the header of a batch besides its records. */
export interface CloseBatchOptions {
  /** Default `'none'`. */
  readonly compression?: CompressionType | undefined;
  /** Default 0: brokers set it. */
  readonly baseOffset?: number | undefined;
  /** Default −1: brokers set it. */
  readonly partitionLeaderEpoch?: number | undefined;
  /** Default −1: a producer without idempotence. Likewise its epoch and sequence. */
  readonly producerId?: number | undefined;
  readonly producerEpoch?: number | undefined;
  /** Of the first record. */
  readonly baseSequence?: number | undefined;
  readonly isTransactional?: boolean | undefined;
  /** The batch holds one control record. */
  readonly isControl?: boolean | undefined;
  /** Default: that of the last record. Compaction keeps the original's, whatever it dropped. */
  readonly lastOffsetDelta?: number | undefined;
  /** Default: the largest of the records; −1 without records. */
  readonly maxTimestampMs?: number | undefined;
  /** All records have the time `maxTimestampMs`: the broker's when it appended them. */
  readonly isLogAppendTime?: boolean | undefined;
  /** The base time that `reset` was given is the delete horizon (KIP-534). */
  readonly hasDeleteHorizon?: boolean | undefined;
}

const defaultInitialBytes = 16_384;
const noHeaders: readonly HeaderEntry[] = [];

/**
 * Builds one batch: append records, then `close`. Growing buffer, reused after `reset`. Measured on Node 20: 84 ns a record of
 * 110 bytes, and 2.8 µs to close a hundred of them (CRC and copy).
 */
export class RecordBatchWriter {
  /** Records from byte 61 on, so that an uncompressed batch is one copy away. */
  #buffer: Buffer;
  #position: number = batchHeaderBytes;
  #recordCount = 0;
  #lastOffsetDelta = -1;
  #baseTimestamp: number | null = null;
  #maxTimestamp = -1;

  /** `initialBytes`: default 16 KiB. */
  constructor(options: { readonly initialBytes?: number | undefined } = {}) {
    this.#buffer = Buffer.allocUnsafeSlow(Math.max(options.initialBytes ?? defaultInitialBytes, batchHeaderBytes));
  }

  /**
   * Begins a new batch in the same memory. `baseTimestamp`: what times are counted from, as a delete horizon (KIP-534);
   * default: the first record's time.
   */
  reset(options: { readonly baseTimestamp?: number | undefined } = {}): void {
    this.#position = batchHeaderBytes;
    this.#recordCount = 0;
    this.#lastOffsetDelta = -1;
    this.#baseTimestamp = options.baseTimestamp ?? null;
    this.#maxTimestamp = -1;
  }

  /**
   * Key, value and headers are copied in. The first record's time is the batch's base.
   * @throws `ProtocolError` for a time that is no safe integer
   */
  append(
    timestampMs: number,
    key: Uint8Array | null,
    value: Uint8Array | null,
    headers: readonly HeaderEntry[] = noHeaders,
  ): void {
    const keyLength = key === null ? -1 : key.byteLength;
    const valueLength = value === null ? -1 : value.byteLength;
    let headersBytes = varintBytes(headers.length);
    for (const [name, content] of headers) {
      const nameBytes = stringBytes(name);
      headersBytes += varintBytes(nameBytes) + nameBytes;
      headersBytes += content === null ? 1 : varintBytes(content.byteLength) + content.byteLength;
    }
    let at = this.#begin(timestampMs, this.#lastOffsetDelta + 1, keyLength, valueLength, headersBytes);
    const buffer = this.#buffer;
    at = writeVarint(buffer, at, keyLength);
    if (key !== null) at = copy(buffer, at, key);
    at = writeVarint(buffer, at, valueLength);
    if (value !== null) at = copy(buffer, at, value);
    at = writeVarint(buffer, at, headers.length);
    for (const [name, content] of headers) {
      at = writeVarint(buffer, at, stringBytes(name));
      at += buffer.write(name, at, 'utf8');
      at = writeVarint(buffer, at, content === null ? -1 : content.byteLength);
      if (content !== null) at = copy(buffer, at, content);
    }
    this.#position = at;
  }

  /**
   * Copies the reader's current record, with its time, and its offset counted from the reader's batch: for compaction, which
   * drops records and keeps offsets, and for compressing anew.
   */
  appendFrom(reader: RecordReader): void {
    const { bytes, keyPosition, keyLength, valuePosition, valueLength, headersPosition, headersBytes } = reader;
    const offsetDelta = reader.offset - reader.header.baseOffset;
    let at = this.#begin(reader.timestampMs, offsetDelta, keyLength, valueLength, headersBytes);
    const buffer = this.#buffer;
    at = writeVarint(buffer, at, keyLength);
    at = copyRange(buffer, at, bytes, keyPosition, keyLength);
    at = writeVarint(buffer, at, valueLength);
    at = copyRange(buffer, at, bytes, valuePosition, valueLength);
    this.#position = copyRange(buffer, at, bytes, headersPosition, headersBytes);
  }

  /** Writes a record up to its key, for which there is room then. Gives the position of the key's length. */
  #begin(
    timestampMs: number,
    offsetDelta: number,
    keyLength: number,
    valueLength: number,
    headersBytes: number,
  ): number {
    const timestampDelta = timestampMs - (this.#baseTimestamp ?? timestampMs);
    if (!Number.isSafeInteger(timestampMs) || !Number.isSafeInteger(timestampDelta)) {
      throw new ProtocolError(
        `Cannot write a record: its time, or how far it is from its batch's, is not a safe integer: ${timestampMs}.`,
        { timestampMs, baseTimestamp: this.#baseTimestamp },
      );
    }
    this.#baseTimestamp ??= timestampMs;
    const bodyBytes =
      1 +
      varintBytes(timestampDelta) +
      varintBytes(offsetDelta) +
      varintBytes(keyLength) +
      Math.max(keyLength, 0) +
      varintBytes(valueLength) +
      Math.max(valueLength, 0) +
      headersBytes;
    const needed = this.#position + varintBytes(bodyBytes) + bodyBytes;
    if (needed > this.#buffer.byteLength) this.#grow(needed);
    const buffer = this.#buffer;
    let at = writeVarint(buffer, this.#position, bodyBytes);
    buffer[at++] = 0;
    at = writeVarint(buffer, at, timestampDelta);
    at = writeVarint(buffer, at, offsetDelta);
    this.#recordCount++;
    this.#lastOffsetDelta = offsetDelta;
    if (timestampMs > this.#maxTimestamp) this.#maxTimestamp = timestampMs;
    return at;
  }

  get recordCount(): number {
    return this.#recordCount;
  }

  /** Before compression, header included. */
  get sizeBytes(): number {
    return this.#position;
  }

  /**
   * The finished batch, in memory of its own. The writer keeps its records until `reset`.
   * @throws `UnsupportedCompressionError`
   */
  close(options: CloseBatchOptions = {}): Uint8Array {
    const compression = options.compression ?? 'none';
    const records = this.#buffer.subarray(batchHeaderBytes, this.#position);
    const stored = compression === 'none' ? records : compress(compression, records);
    const sizeBytes = batchHeaderBytes + stored.byteLength;
    const batch = Buffer.allocUnsafeSlow(sizeBytes);
    batch.set(stored, batchHeaderBytes);
    const view = viewOf(batch);
    setInt64(view, 0, options.baseOffset ?? 0);
    view.setInt32(8, sizeBytes - lengthPrefixBytes);
    view.setInt32(12, options.partitionLeaderEpoch ?? -1);
    view.setInt8(16, 2);
    view.setInt16(
      21,
      compressionBits(compression) |
        (options.isLogAppendTime === true ? 0x08 : 0) |
        (options.isTransactional === true ? 0x10 : 0) |
        (options.isControl === true ? 0x20 : 0) |
        (options.hasDeleteHorizon === true ? 0x40 : 0),
    );
    view.setInt32(23, options.lastOffsetDelta ?? Math.max(this.#lastOffsetDelta, 0));
    setInt64(view, 27, this.#baseTimestamp ?? -1);
    setInt64(view, 35, options.maxTimestampMs ?? this.#maxTimestamp);
    setInt64(view, 43, options.producerId ?? -1);
    view.setInt16(51, options.producerEpoch ?? -1);
    view.setInt32(53, options.baseSequence ?? -1);
    view.setInt32(57, this.#recordCount);
    setCrc(batch, 0, sizeBytes);
    return batch;
  }

  #grow(needed: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.byteLength * 2));
    grown.set(this.#buffer.subarray(0, this.#position));
    this.#buffer = grown;
  }
}

/** Up to here a loop beats `set` (Node 20: 10 bytes 6 ns, not 12; 32 bytes 49, not 12), which for a part needs a view too (30 ns). */
const shortBytes = 12;
const shortPartBytes = 28;

function copy(buffer: Buffer, at: number, bytes: Uint8Array): number {
  const { byteLength } = bytes;
  if (byteLength > shortBytes) buffer.set(bytes, at);
  else for (let i = 0; i < byteLength; i++) buffer[at + i] = bytes[i]!;
  return at + byteLength;
}

function copyRange(buffer: Buffer, at: number, bytes: Uint8Array, position: number, length: number): number {
  if (length > shortPartBytes) buffer.set(bytes.subarray(position, position + length), at);
  else for (let i = 0; i < length; i++) buffer[at + i] = bytes[position + i]!;
  return at + Math.max(length, 0);
}

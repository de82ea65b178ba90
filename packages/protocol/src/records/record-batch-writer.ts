import { compress } from '../compression/compression.ts';
import type { CompressionType } from '../compression/compression-type.ts';
import { stringBytes } from '../codec/writer.ts';
import { ProtocolError } from '../errors.ts';
import { batchHeaderBytes, compressionBits, lengthPrefixBytes, setCrc, setInt64, viewOf } from './batch.ts';
import type { HeaderEntry } from './record-reader.ts';
import { varintBytes, writeVarint } from './varint.ts';

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
}

const defaultInitialBytes = 16_384;
const noHeaders: readonly HeaderEntry[] = [];

/** Builds one batch: append records, then `close`. Growing buffer, reused after `reset`. */
export class RecordBatchWriter {
  /** Records from byte 61 on, so that an uncompressed batch is one copy away. */
  #buffer: Buffer;
  #position: number = batchHeaderBytes;
  #recordCount = 0;
  #baseTimestamp = 0;
  #maxTimestamp = 0;

  /** `initialBytes`: default 16 KiB. */
  constructor(options: { readonly initialBytes?: number | undefined } = {}) {
    this.#buffer = Buffer.allocUnsafeSlow(Math.max(options.initialBytes ?? defaultInitialBytes, batchHeaderBytes));
  }

  /** Begins a new batch in the same memory. */
  reset(): void {
    this.#position = batchHeaderBytes;
    this.#recordCount = 0;
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
    if (!Number.isSafeInteger(timestampMs)) {
      throw new ProtocolError(`Cannot write a record: its time is not a safe integer: ${timestampMs}.`, {
        timestampMs,
      });
    }
    if (this.#recordCount === 0) {
      this.#baseTimestamp = timestampMs;
      this.#maxTimestamp = timestampMs;
    }
    const timestampDelta = timestampMs - this.#baseTimestamp;
    const keyLength = key === null ? -1 : key.byteLength;
    const valueLength = value === null ? -1 : value.byteLength;
    let bodyBytes =
      1 +
      varintBytes(timestampDelta) +
      varintBytes(this.#recordCount) +
      varintBytes(keyLength) +
      Math.max(keyLength, 0) +
      varintBytes(valueLength) +
      Math.max(valueLength, 0) +
      varintBytes(headers.length);
    for (const [name, content] of headers) {
      const nameBytes = stringBytes(name);
      bodyBytes += varintBytes(nameBytes) + nameBytes;
      bodyBytes += content === null ? 1 : varintBytes(content.byteLength) + content.byteLength;
    }
    const needed = this.#position + varintBytes(bodyBytes) + bodyBytes;
    if (needed > this.#buffer.byteLength) this.#grow(needed);

    const buffer = this.#buffer;
    let at = writeVarint(buffer, this.#position, bodyBytes);
    buffer[at++] = 0;
    at = writeVarint(buffer, at, timestampDelta);
    at = writeVarint(buffer, at, this.#recordCount);
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
    this.#recordCount++;
    if (timestampMs > this.#maxTimestamp) this.#maxTimestamp = timestampMs;
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
    const transactionalBit = options.isTransactional === true ? 0x10 : 0;
    const controlBit = options.isControl === true ? 0x20 : 0;
    view.setInt16(21, compressionBits(compression) | transactionalBit | controlBit);
    view.setInt32(23, Math.max(this.#recordCount - 1, 0));
    setInt64(view, 27, this.#recordCount === 0 ? -1 : this.#baseTimestamp);
    setInt64(view, 35, this.#recordCount === 0 ? -1 : this.#maxTimestamp);
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

/** Up to here a loop beats the call into C++. */
const shortBytes = 32;

function copy(buffer: Buffer, at: number, bytes: Uint8Array): number {
  const { byteLength } = bytes;
  if (byteLength > shortBytes) buffer.set(bytes, at);
  else for (let i = 0; i < byteLength; i++) buffer[at + i] = bytes[i]!;
  return at + byteLength;
}

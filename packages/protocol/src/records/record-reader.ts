import { decompress } from '../compression/compression.ts';
import { CorruptBatchError } from '../errors.ts';
import { attributesOf, batchHeaderBytes, readBatchHeader, type BatchHeader } from './batch.ts';

/** A header of a record. Names may repeat. */
export type HeaderEntry = readonly [name: string, value: Uint8Array | null];

const defaultMaxInflatedBytes = 104_857_600;
const noBytes: Uint8Array = new Uint8Array(0);
const noHeaders: readonly HeaderEntry[] = [];
const noHeader: BatchHeader = {
  baseOffset: 0,
  sizeBytes: batchHeaderBytes,
  partitionLeaderEpoch: -1,
  magic: 2,
  crc: 0,
  attributes: 0,
  lastOffsetDelta: 0,
  baseTimestamp: 0,
  maxTimestamp: 0,
  producerId: -1,
  producerEpoch: -1,
  baseSequence: -1,
  recordCount: 0,
};

/**
 * Walks the records of a batch without copying: `next()` moves to the next record and its fields are read from the reader.
 * Compressed batches are inflated first, once, up to `maxInflatedBytes` (default 100 MiB).
 *
 * A record is, each number a zigzag varint: length of what follows, attributes (one byte), timestamp delta, offset delta, key
 * length (−1 is null) and key, value length and value, header count and, each, name length, name, value length and value.
 *
 * Measured on Node 20: 26 ns a record by positions, 72 with views of key and value, 157 with two headers.
 * @throws `CorruptBatchError` for records that lie about their lengths
 */
export class RecordReader {
  readonly #maxInflatedBytes: number;
  #header: BatchHeader = noHeader;
  /** What timestamps are counted from; null with log-append time, where they all are the batch's maximum. */
  #baseTimestamp = 0;
  #timestampScale = 1;
  #bytes: Uint8Array = noBytes;
  #position = 0;
  #end = 0;
  #left = 0;
  #offset = 0;
  #timestampMs = 0;
  #keyPosition = 0;
  #keyLength = -1;
  #valuePosition = 0;
  #valueLength = -1;
  #headerCount = 0;
  #headersPosition = 0;
  #recordEnd = 0;

  constructor(options: { readonly maxInflatedBytes?: number | undefined } = {}) {
    this.#maxInflatedBytes = options.maxInflatedBytes ?? defaultMaxInflatedBytes;
  }

  /**
   * Begins a batch. The reader is reused: one per partition. The CRC is not checked: that is `validateBatch`'s.
   * @throws `CorruptBatchError`, `UnsupportedCompressionError`
   */
  reset(bytes: Uint8Array, position: number): void {
    const header = readBatchHeader(bytes, position);
    const { sizeBytes, attributes, recordCount } = header;
    if (sizeBytes < batchHeaderBytes || position + sizeBytes > bytes.byteLength) {
      throw corrupt(header, `claims ${sizeBytes} bytes, but ${bytes.byteLength - position} are left`);
    }
    const compression = attributesOf.compression(attributes);
    if (compression === 'none' || sizeBytes === batchHeaderBytes) {
      this.#bytes = bytes;
      this.#position = position + batchHeaderBytes;
      this.#end = position + sizeBytes;
    } else {
      const records = bytes.subarray(position + batchHeaderBytes, position + sizeBytes);
      this.#bytes = decompress(compression, records, this.#maxInflatedBytes);
      this.#position = 0;
      this.#end = this.#bytes.byteLength;
    }
    // No record has fewer than seven bytes.
    if (recordCount < 0 || recordCount * 7 > this.#end - this.#position) {
      throw corrupt(header, `claims ${recordCount} records in ${this.#end - this.#position} bytes`);
    }
    if (recordCount === 0 && this.#position !== this.#end) {
      throw corrupt(header, `has ${this.#end - this.#position} bytes but claims no records`);
    }
    if (!Number.isSafeInteger(header.baseOffset + header.lastOffsetDelta)) {
      throw corrupt(header, `has its last offset ${header.lastOffsetDelta} beyond, above 2^53−1`);
    }
    this.#header = header;
    this.#left = recordCount;
    const isLogAppendTime = attributesOf.isLogAppendTime(attributes);
    this.#baseTimestamp = isLogAppendTime ? header.maxTimestamp : header.baseTimestamp;
    this.#timestampScale = isLogAppendTime ? 0 : 1;
    this.#keyLength = -1;
    this.#valueLength = -1;
    this.#headerCount = 0;
  }

  /** False after the last record. @throws `CorruptBatchError` */
  next(): boolean {
    if (this.#left === 0) return false;
    this.#left--;
    const length = this.#varint();
    const start = this.#position;
    const end = start + length;
    if (length < 6 || end > this.#end) throw this.#corruptRecord(`claims ${length} bytes of ${this.#end - start}`);
    // The record's attributes: unused, so far.
    this.#position = start + 1;
    const timestampDelta = this.#varint();
    const offsetDelta = this.#varint();
    if (offsetDelta < 0 || offsetDelta > this.#header.lastOffsetDelta) {
      throw this.#corruptRecord(`has offset delta ${offsetDelta} of at most ${this.#header.lastOffsetDelta}`);
    }
    this.#offset = this.#header.baseOffset + offsetDelta;
    this.#timestampMs = this.#baseTimestamp + timestampDelta * this.#timestampScale;
    if (!Number.isSafeInteger(this.#timestampMs)) throw this.#corruptRecord('has a time beyond ±(2^53−1)');

    const keyLength = this.#varint();
    this.#keyPosition = this.#position;
    this.#keyLength = keyLength;
    if (keyLength > 0) this.#position += keyLength;
    if (keyLength < -1 || this.#position > end) throw this.#corruptRecord(`has a key of ${keyLength} bytes`);

    const valueLength = this.#varint();
    this.#valuePosition = this.#position;
    this.#valueLength = valueLength;
    if (valueLength > 0) this.#position += valueLength;
    if (valueLength < -1 || this.#position > end) throw this.#corruptRecord(`has a value of ${valueLength} bytes`);

    this.#headersPosition = this.#position;
    const headerCount = this.#varint();
    this.#headerCount = headerCount;
    this.#recordEnd = end;
    if (headerCount === 0) {
      if (this.#position !== end) throw this.#corruptRecord(`has ${end - this.#position} bytes too many`);
    } else {
      // A header has two bytes at least.
      if (headerCount < 0 || headerCount * 2 > end - this.#position) {
        throw this.#corruptRecord(`has ${headerCount} headers`);
      }
      this.#position = end;
    }
    if (this.#left === 0 && this.#position !== this.#end) {
      throw corrupt(
        this.#header,
        `has ${this.#end - this.#position} bytes after its ${this.#header.recordCount} records`,
      );
    }
    return true;
  }

  get header(): BatchHeader {
    return this.#header;
  }

  get offset(): number {
    return this.#offset;
  }

  /** With log-append time it is the batch's maxTimestamp, for every record. */
  get timestampMs(): number {
    return this.#timestampMs;
  }

  /** A view on the batch (or on its inflated records), null where the record has none. */
  get key(): Uint8Array | null {
    return this.#keyLength < 0 ? null : this.#view(this.#keyPosition, this.#keyLength);
  }

  /** A view on the batch (or on its inflated records), null where the record has none. */
  get value(): Uint8Array | null {
    return this.#valueLength < 0 ? null : this.#view(this.#valuePosition, this.#valueLength);
  }

  /** Where key and value lie in `bytes`; length −1 is null. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get keyPosition(): number {
    return this.#keyPosition;
  }

  get keyLength(): number {
    return this.#keyLength;
  }

  get valuePosition(): number {
    return this.#valuePosition;
  }

  get valueLength(): number {
    return this.#valueLength;
  }

  get headerCount(): number {
    return this.#headerCount;
  }

  /** Where the headers lie in `bytes`, with their count in front: to copy them as they are. */
  get headersPosition(): number {
    return this.#headersPosition;
  }

  get headersBytes(): number {
    return this.#recordEnd - this.#headersPosition;
  }

  /** Decoded when asked for. Values are views. @throws `CorruptBatchError` */
  headers(): readonly HeaderEntry[] {
    if (this.#headerCount === 0) return noHeaders;
    const after = this.#position;
    const end = this.#recordEnd;
    const headers: HeaderEntry[] = [];
    this.#position = this.#headersPosition;
    this.#varint();
    for (let i = 0; i < this.#headerCount; i++) {
      const nameLength = this.#varint();
      const nameEnd = this.#position + nameLength;
      if (nameLength < 0 || nameEnd > end) throw this.#corruptRecord(`has a header name of ${nameLength} bytes`);
      const name = text(this.#bytes, this.#position, nameEnd);
      this.#position = nameEnd;
      const valueLength = this.#varint();
      const valueEnd = this.#position + Math.max(valueLength, 0);
      if (valueLength < -1 || valueEnd > end) throw this.#corruptRecord(`has a header value of ${valueLength} bytes`);
      headers.push([name, valueLength < 0 ? null : this.#view(this.#position, valueLength)]);
      this.#position = valueEnd;
    }
    if (this.#position !== end) throw this.#corruptRecord(`has ${end - this.#position} bytes after its headers`);
    this.#position = after;
    return headers;
  }

  #view(position: number, length: number): Uint8Array {
    return new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + position, length);
  }

  /** A zigzag varint or varlong: up to four bytes in int32, which nearly all are, the rest in doubles. */
  #varint(): number {
    const bytes = this.#bytes;
    let position = this.#position;
    if (position + 4 > this.#end) return this.#longVarint();
    let byte = bytes[position++]!;
    if (byte < 0x80) {
      this.#position = position;
      return (byte >>> 1) ^ -(byte & 1);
    }
    let value = byte & 0x7f;
    byte = bytes[position++]!;
    value |= (byte & 0x7f) << 7;
    if (byte >= 0x80) {
      byte = bytes[position++]!;
      value |= (byte & 0x7f) << 14;
      if (byte >= 0x80) {
        byte = bytes[position++]!;
        value |= (byte & 0x7f) << 21;
        if (byte >= 0x80) return this.#longVarint();
      }
    }
    this.#position = position;
    return (value >>> 1) ^ -(value & 1);
  }

  /** Any length, with every byte checked. Exact to ±2^53; what is beyond is refused. */
  #longVarint(): number {
    const bytes = this.#bytes;
    let magnitude = 0;
    let sign = 0;
    let scale = 0.5;
    for (let position = this.#position; position < this.#end && position < this.#position + 10; position++) {
      const byte = bytes[position]!;
      if (position === this.#position) {
        sign = byte & 1;
        magnitude = (byte & 0x7f) >>> 1;
      } else {
        magnitude += (byte & 0x7f) * scale;
      }
      scale *= 128;
      if (byte < 0x80) {
        if (magnitude + sign > Number.MAX_SAFE_INTEGER) throw this.#corruptRecord('has a number beyond ±2^53');
        this.#position = position + 1;
        return sign === 0 ? magnitude : -1 - magnitude;
      }
    }
    throw this.#corruptRecord('has a number that is cut off');
  }

  #corruptRecord(problem: string): CorruptBatchError {
    return corrupt(this.#header, `is damaged: record ${this.#header.recordCount - this.#left} ${problem}`);
  }
}

function text(bytes: Uint8Array, start: number, end: number): string {
  let ascii = '';
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!;
    if (byte >= 0x80 || end - start > 16) {
      return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('utf8');
    }
    ascii += String.fromCharCode(byte);
  }
  return ascii;
}

function corrupt(header: BatchHeader, problem: string): CorruptBatchError {
  return new CorruptBatchError(`The batch at offset ${header.baseOffset} ${problem}`, {
    baseOffset: header.baseOffset,
  });
}

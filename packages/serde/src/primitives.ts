import { UndecodableError, UnencodableError, UnsafeIntegerError } from './errors.ts';
import type { Serde, SerdeContext } from './serde.ts';
import { decodeText } from './text.ts';

function wrongType(serde: string, value: unknown, context: SerdeContext): never {
  throw new UnencodableError(serde, `it is of type ${value === null ? 'null' : typeof value}`, context);
}

function wrongLength(serde: string, data: Uint8Array, expected: number, context: SerdeContext): never {
  throw new UndecodableError(serde, `${data.length} bytes instead of ${expected}`, context);
}

/**
 * UTF-8 text. Kafka's `StringSerializer`; but bytes that are not UTF-8, and half surrogate pairs, which UTF-8 does not have, are
 * refused, not replaced: two keys must not become one.
 */
export const string: Serde<string> = {
  name: 'string',
  serialize(value, context) {
    if (typeof value !== 'string') wrongType('string', value, context);
    if (!isWellFormed(value)) throw new UnencodableError('string', 'it holds half of a surrogate pair', context);
    return Buffer.from(value);
  },
  deserialize: (data, context) => decodeText('string', data, context),
};

/** ES2024, which Node has had since 20. */
function isWellFormed(value: string): boolean {
  return (value as string & { isWellFormed(): boolean }).isWellFormed();
}

/** Kafka's `IntegerSerializer`: 4 bytes, big-endian, signed. */
export const int32: Serde<number> = {
  name: 'int32',
  serialize(value, context) {
    if ((value | 0) !== value) {
      throw new UnencodableError('int32', `${String(value)} is not an integer of 32 bits`, context);
    }
    const data = Buffer.allocUnsafe(4);
    data[0] = value >>> 24;
    data[1] = value >>> 16;
    data[2] = value >>> 8;
    data[3] = value;
    return data;
  },
  deserialize: (data, context) => (data.length === 4 ? int32At(data, 0) : wrongLength('int32', data, 4, context)),
};

function int32At(data: Uint8Array, position: number): number {
  return (data[position]! << 24) | (data[position + 1]! << 16) | (data[position + 2]! << 8) | data[position + 3]!;
}

/** Kafka's `LongSerializer`, as a number. @throws {UnsafeIntegerError} beyond ±(2^53 − 1) */
export const int64: Serde<number> = {
  name: 'int64',
  serialize(value, context) {
    if (!Number.isSafeInteger(value)) {
      if (Number.isInteger(value)) throw new UnsafeIntegerError(value, context);
      throw new UnencodableError('int64', `${String(value)} is not an integer`, context);
    }
    const data = Buffer.allocUnsafe(8);
    writeInt64(data, 0, value);
    return data;
  },
  deserialize(data, context) {
    if (data.length !== 8) wrongLength('int64', data, 8, context);
    const value = int64At(data, 0);
    if (!Number.isSafeInteger(value)) throw new UnsafeIntegerError(bigint64.deserialize(data, context), context);
    return value;
  },
};

/** Two 32-bit halves, as a number; not exact beyond ±2^53. */
export function int64At(data: Uint8Array, position: number): number {
  return int32At(data, position) * 0x1_0000_0000 + (int32At(data, position + 4) >>> 0);
}

/** The inverse, for safe integers. */
export function writeInt64(data: Uint8Array, position: number, value: number): void {
  const high = Math.floor(value / 0x1_0000_0000);
  const low = value >>> 0;
  data[position] = high >>> 24;
  data[position + 1] = high >>> 16;
  data[position + 2] = high >>> 8;
  data[position + 3] = high;
  data[position + 4] = low >>> 24;
  data[position + 5] = low >>> 16;
  data[position + 6] = low >>> 8;
  data[position + 7] = low;
}

/** Kafka's `LongSerializer`, as a bigint over its whole range. */
export const bigint64: Serde<bigint> = {
  name: 'bigint64',
  serialize(value, context) {
    if (typeof value !== 'bigint') wrongType('bigint64', value, context);
    if (BigInt.asIntN(64, value) !== value) {
      throw new UnencodableError('bigint64', `${value} is not an integer of 64 bits`, context);
    }
    const data = Buffer.allocUnsafe(8);
    data.writeBigInt64BE(value);
    return data;
  },
  deserialize: (data, context) =>
    data.length === 8
      ? new DataView(data.buffer, data.byteOffset, 8).getBigInt64(0)
      : wrongLength('bigint64', data, 8, context),
};

/** Kafka's `DoubleSerializer`: every NaN is written alike, −0 apart from 0. */
export const float64: Serde<number> = {
  name: 'float64',
  serialize(value, context) {
    if (typeof value !== 'number') wrongType('float64', value, context);
    const data = Buffer.allocUnsafe(8);
    data.writeDoubleBE(Number.isNaN(value) ? NaN : value); // one that was read may carry other bits
    return data;
  },
  deserialize: (data, context) =>
    data.length === 8
      ? new DataView(data.buffer, data.byteOffset, 8).getFloat64(0)
      : wrongLength('float64', data, 8, context),
};

const uuidText = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/i;

/** 36 characters, as Kafka's `UUIDSerializer` writes them. */
export const uuid: Serde<string> = {
  name: 'uuid',
  serialize(value, context) {
    if (typeof value !== 'string') wrongType('uuid', value, context);
    if (!uuidText.test(value)) throw new UnencodableError('uuid', `'${value}' is no UUID`, context);
    return Buffer.from(value);
  },
  deserialize(data, context) {
    if (data.length !== 36) wrongLength('uuid', data, 36, context);
    const value = decodeText('uuid', data, context);
    if (!uuidText.test(value)) throw new UndecodableError('uuid', `'${value}' is no UUID`, context);
    return value;
  },
};

/** The bytes as they are: what is read is a copy, so it may be kept. */
export const bytes: Serde<Uint8Array> = {
  name: 'bytes',
  serialize: (value, context) => (value instanceof Uint8Array ? value : wrongType('bytes', value, context)),
  deserialize: (data) => Uint8Array.prototype.slice.call(data),
};

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bigint64,
  bytes,
  float64,
  int32,
  int64,
  recordHeaders,
  string,
  uuid,
  type Serde,
  type SerdeContext,
} from './index.ts';

const context: SerdeContext = { topic: 'orders', part: 'value', headers: recordHeaders() };
const hex = (data: Uint8Array): string => Buffer.from(data).toString('hex');
const read = <T>(serde: Serde<T>, text: string): T =>
  serde.deserialize(new Uint8Array(Buffer.from(text, 'hex')), context);

// What Kafka's own serializers write: IntegerSerializer, LongSerializer, DoubleSerializer, StringSerializer, UUIDSerializer.
const golden: readonly (readonly [name: string, serde: Serde<any>, value: unknown, bytes: string])[] = [
  ['string', string, '', ''],
  ['string', string, 'Zürich 🚂', '5ac3bc7269636820f09f9a82'],
  ['string that begins with a byte order mark', string, '\ufeffa', 'efbbbf61'],
  ['int32', int32, 0, '00000000'],
  ['int32', int32, -1, 'ffffffff'],
  ['int32', int32, 2 ** 31 - 1, '7fffffff'],
  ['int32', int32, -(2 ** 31), '80000000'],
  ['int64', int64, 1, '0000000000000001'],
  ['int64', int64, -1, 'ffffffffffffffff'],
  ['int64', int64, 2 ** 32, '0000000100000000'],
  ['int64', int64, -(2 ** 32) - 1, 'fffffffeffffffff'],
  ['int64', int64, Number.MAX_SAFE_INTEGER, '001fffffffffffff'],
  ['int64', int64, Number.MIN_SAFE_INTEGER, 'ffe0000000000001'],
  ['bigint64', bigint64, 2n ** 63n - 1n, '7fffffffffffffff'],
  ['bigint64', bigint64, -(2n ** 63n), '8000000000000000'],
  ['float64', float64, 1.5, '3ff8000000000000'],
  ['float64', float64, -Infinity, 'fff0000000000000'],
  ['float64', float64, -0, '8000000000000000'],
  ['float64', float64, NaN, '7ff8000000000000'],
  [
    'uuid',
    uuid,
    'C0FFEE00-0000-4000-8000-00000000000a',
    Buffer.from('C0FFEE00-0000-4000-8000-00000000000a').toString('hex'),
  ],
  ['bytes', bytes, new Uint8Array([0, 255]), '00ff'],
];

it.each(golden)('%s writes what Kafka writes, and reads it again (case %#)', (_name, serde, value, expected) => {
  expect(hex(serde.serialize(value, context))).toBe(expected);
  expect(read(serde, expected)).toEqual(value);
});

describe('what an encoding cannot carry is refused', () => {
  it.each([
    ['string', string, 5, 'UNENCODABLE'],
    ['string', string, null, 'UNENCODABLE'],
    ['string', string, 'half of a pair \ud83d', 'UNENCODABLE'],
    ['string', string, '\ude82 first', 'UNENCODABLE'],
    ['int32', int32, 2 ** 31, 'UNENCODABLE'],
    ['int32', int32, -(2 ** 31) - 1, 'UNENCODABLE'],
    ['int32', int32, 0.5, 'UNENCODABLE'],
    ['int64', int64, 2 ** 53, 'UNSAFE_INTEGER'],
    ['int64', int64, -(2 ** 53), 'UNSAFE_INTEGER'],
    ['int64', int64, 0.5, 'UNENCODABLE'],
    ['int64', int64, '5', 'UNENCODABLE'],
    ['bigint64', bigint64, 2n ** 63n, 'UNENCODABLE'],
    ['bigint64', bigint64, 5, 'UNENCODABLE'],
    ['float64', float64, '5', 'UNENCODABLE'],
    ['uuid', uuid, 'c0ffee', 'UNENCODABLE'],
    ['bytes', bytes, 'text', 'UNENCODABLE'],
  ] as const)('%s: %o %o is %s', (_name, serde, value, code) => {
    expect(() => (serde as Serde<unknown>).serialize(value, context)).toThrow(
      expect.objectContaining({ code, context: expect.objectContaining({ topic: 'orders', part: 'value' }) }),
    );
  });

  it.each([
    ['string that is not UTF-8', string, 'ff', 'UNDECODABLE'],
    ['string cut off inside a character', string, 'c3', 'UNDECODABLE'],
    ['int32 of three bytes', int32, '000000', 'UNDECODABLE'],
    ['int32 of five bytes', int32, '0000000000', 'UNDECODABLE'],
    ['int64 of seven bytes', int64, '00000000000000', 'UNDECODABLE'],
    ['int64 of 2^53', int64, '0020000000000000', 'UNSAFE_INTEGER'],
    ['int64 of −2^53', int64, 'ffe0000000000000', 'UNSAFE_INTEGER'],
    ['bigint64 of nine bytes', bigint64, '000000000000000000', 'UNDECODABLE'],
    ['float64 of no bytes', float64, '', 'UNDECODABLE'],
    ['uuid of 36 other characters', uuid, '78'.repeat(36), 'UNDECODABLE'],
    ['uuid of 35 characters', uuid, '61'.repeat(35), 'UNDECODABLE'],
  ] as const)('%s', (_name, serde, data, code) => {
    expect(() => read(serde as Serde<unknown>, data)).toThrow(expect.objectContaining({ code }));
  });
});

it('writes every NaN alike, as Java does: a key must not depend on where its NaN came from', () => {
  for (const nan of ['7ff8000000000001', 'fff8000000000000', '7ff0000000000001']) {
    expect(hex(float64.serialize(read(float64, nan), context))).toBe('7ff8000000000000');
  }
});

it('names the exact integer that a number cannot hold', () => {
  expect(() => read(int64, '0020000000000001')).toThrow('9007199254740993');
});

it('reads back every safe integer, and orders non-negative ones as their bytes', () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), fc.maxSafeNat(), fc.maxSafeNat(), (any, a, b) => {
      expect(int64.deserialize(int64.serialize(any, context), context)).toBe(any);
      const order = Buffer.compare(int64.serialize(a, context), int64.serialize(b, context));
      expect(order).toBe(Math.sign(a - b));
    }),
  );
});

it('gives bytes of their own: the fetch they were in may go', () => {
  const fetched = new Uint8Array([1, 2, 3, 4]);
  const read_ = bytes.deserialize(fetched.subarray(1, 3), context);
  fetched.fill(0);
  expect(read_).toEqual(new Uint8Array([2, 3]));
  expect(read_.buffer.byteLength).toBe(2);
});

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { varintBytes, writeVarint } from './varint.ts';

/** Zigzag and seven bits a byte, in bigint: the definition, slowly. */
function byDefinition(value: number): Uint8Array {
  let zigzag = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n));
  const bytes: number[] = [];
  while (zigzag >= 0x80n) {
    bytes.push(Number(zigzag & 0x7fn) | 0x80);
    zigzag >>= 7n;
  }
  return Uint8Array.from([...bytes, Number(zigzag)]);
}

function written(value: number): Uint8Array {
  const bytes = new Uint8Array(16);
  return bytes.slice(0, writeVarint(bytes, 0, value));
}

it('writes what the definition says, at every power of two and around it', () => {
  for (let exponent = 0; exponent <= 53; exponent++) {
    for (const near of [-1, 0, 1]) {
      for (const value of [2 ** exponent + near, -(2 ** exponent) + near]) {
        if (!Number.isSafeInteger(value)) continue;
        expect(written(value), `${value}`).toEqual(byDefinition(value));
        expect(varintBytes(value), `${value}`).toBe(byDefinition(value).length);
      }
    }
  }
});

it('writes what the definition says, for any safe integer', () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), (value) => {
      expect(written(value)).toEqual(byDefinition(value));
      expect(varintBytes(value)).toBe(byDefinition(value).length);
    }),
  );
});

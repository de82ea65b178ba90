import fc from 'fast-check';
import { expect, it } from 'vitest';
import { KeyOffsetMap } from './key-offset-map.ts';

it('remembers what a Map would, for keys of any length, as it grows', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 3000, size: 'max' }), (keys) => {
      const map = new KeyOffsetMap(1 << 20);
      const model = new Map<string, number>();
      for (const [i, key] of keys.entries()) {
        map.set(key, i);
        model.set(Buffer.from(key).toString('hex'), i);
      }
      expect(map.size).toBe(model.size);
      for (const key of keys) expect(map.get(key)).toBe(model.get(Buffer.from(key).toString('hex')));
      expect(map.get(Buffer.from('a key that is not there'))).toBe(-1);
    }),
    { numRuns: 20 },
  );
});

it('tells keys apart that differ in length alone, and long ones in the last byte alone', () => {
  const map = new KeyOffsetMap(1024);
  const keys = [...Array(40).keys()].flatMap((length) => [new Uint8Array(length), new Uint8Array(length).fill(1, -1)]);
  const distinct = keys.filter((key) => key.length > 0).concat(new Uint8Array(0));
  const large = new KeyOffsetMap(1 << 16);
  for (const [i, key] of distinct.entries()) large.set(key, i);
  for (const [i, key] of distinct.entries()) expect(large.get(key)).toBe(i);
  expect(map.room).toBe(24); // three quarters of 32 slots
});

it('says how many keys are sure to fit, and holds them', () => {
  const map = new KeyOffsetMap(64 * 24);
  const room = map.room;
  expect(room).toBe(48);
  for (let i = 0; i < room; i++) map.set(Buffer.from(`k${i}`), i);
  expect(map.room).toBe(0);
  for (let i = 0; i < room; i++) expect(map.get(Buffer.from(`k${i}`))).toBe(i);
});

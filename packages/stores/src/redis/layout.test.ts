import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  fieldOf,
  joinSegments,
  keyOf,
  mainKey,
  marks,
  readMs,
  segmentKey,
  splitSegments,
  windowFieldOf,
  writeMs,
} from './layout.ts';

it('puts all keys of a partition into one cluster slot, under a name that tells whose they are', () => {
  const main = mainKey({ prefix: 'millrace', applicationId: 'bank', store: 'balances' }, 3);
  expect(main).toBe('millrace:{bank/balances/3}:d0');
  expect(segmentKey(main, 17)).toBe('millrace:{bank/balances/3}:w17');
});

it('escapes exactly the keys that begin with a zero byte', () => {
  expect(fieldOf(Uint8Array.of(1, 0))).toEqual(Buffer.of(1, 0));
  expect(fieldOf(Uint8Array.of(0))).toEqual(Buffer.of(0, 0));
  expect(fieldOf(Uint8Array.of(0, 0x6f))).toEqual(Buffer.of(0, 0, 0x6f));
  expect(fieldOf(new Uint8Array(0))).toEqual(Buffer.of());
});

it('finds every key again in its field, and never meets a mark', () => {
  const markBytes = Object.values(marks).map((mark) => mark.toString('hex'));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array(), fc.constantFrom(...Object.values(marks))), (key) => {
      const field = fieldOf(key);
      expect(markBytes).not.toContain(field.toString('hex'));
      expect(keyOf(field)).toEqual(Buffer.from(key));
    }),
  );
  for (const mark of Object.values(marks)) expect(keyOf(mark)).toBeUndefined();
});

it('writes times as Java writes a long', () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), (ms) => {
      const ours = Buffer.alloc(8);
      const javas = Buffer.alloc(8);
      writeMs(ours, 0, ms);
      javas.writeBigInt64BE(BigInt(ms));
      expect(ours).toEqual(javas);
      expect(readMs(ours, 0)).toBe(ms);
    }),
  );
  expect(windowFieldOf(0x0102, Buffer.from('k')).toString('hex')).toBe('00000000000001026b');
});

it.each([[[]], [[5]], [[-1, 0, 12]]])('reads the segments %j as it wrote them', (segments) => {
  expect(splitSegments(joinSegments(segments))).toEqual(segments);
});

import { expect, it } from 'vitest';
import { Tail, TailCache } from './tail-cache.ts';
import { batch, LogHarness, recordsOf } from './testing/harness.ts';

const bytes = (length: number, fill: number): Uint8Array => new Uint8Array(length).fill(fill);

it('lets go of what is oldest, over all logs, and of no more than it must', () => {
  const cache = new TailCache({ maxBytes: 100 });
  const a = new Tail(cache, 0);
  const b = new Tail(cache, 0);
  a.add(bytes(40, 1), 1);
  b.add(bytes(40, 2), 1);
  a.add(bytes(20, 3), 2);
  expect([cache.usedBytes, a.startOffset, b.startOffset]).toEqual([100, 0, 0]);
  b.add(bytes(1, 4), 2);
  expect([cache.usedBytes, a.startOffset, b.startOffset]).toEqual([61, 1, 0]);
  a.add(bytes(100, 5), 3); // takes it all
  expect([cache.usedBytes, a.startOffset, b.startOffset]).toEqual([100, 2, 2]);
  a.add(bytes(101, 6), 4); // fits nowhere
  expect([cache.usedBytes, a.startOffset]).toEqual([0, 4]);
});

it('gives whole batches within the limits, and counts bytes between offsets', () => {
  const tail = new Tail(new TailCache({ maxBytes: 1000 }), 10);
  for (let i = 0; i < 4; i++) tail.add(bytes(10 + i, i), 12 + 2 * i); // [10,12) [12,14) [14,16) [16,18)
  const collect = (offset: number, upper: number, maxBytes: number, minOne: boolean): [number, number[]] => {
    const parts: Uint8Array[] = [];
    return [tail.collect(offset, upper, maxBytes, minOne, parts), parts.map((part) => part[0]!)];
  };
  expect(collect(10, 18, 1000, true)).toEqual([18, [0, 1, 2, 3]]);
  expect(collect(13, 18, 1000, true)).toEqual([18, [1, 2, 3]]);
  expect(collect(13, 16, 1000, true)).toEqual([16, [1, 2]]);
  expect(collect(10, 18, 21, true)).toEqual([14, [0, 1]]);
  expect(collect(10, 18, 20, true)).toEqual([12, [0]]);
  expect(collect(10, 18, 1, true)).toEqual([12, [0]]);
  expect(collect(10, 18, 1, false)).toEqual([10, []]);
  expect([tail.bytesBetween(10, 18), tail.bytesBetween(13, 16), tail.bytesBetween(18, 18)]).toEqual([46, 23, 0]);
});

it('gives bytes back when a log closes or is compacted', () => {
  const cache = new TailCache({ maxBytes: 100 });
  const a = new Tail(cache, 0);
  const b = new Tail(cache, 0);
  for (let i = 1; i <= 3; i++) a.add(bytes(10, i), i);
  b.add(bytes(10, 9), 1);
  a.forgetBefore(2);
  expect([cache.usedBytes, a.startOffset]).toEqual([20, 2]);
  a.clear(3);
  a.clear(3);
  expect(cache.usedBytes).toBe(10);
  for (let i = 2; i < 20; i++) b.add(bytes(10, 9), i);
  expect(cache.usedBytes).toBeLessThanOrEqual(100);
});

it.each([100, 16_384, 16_385, 100_000])(
  'keeps no buffer alive that is more than four times as large as the batch of %i bytes in it',
  (length) => {
    const tail = new Tail(new TailCache({ maxBytes: 1_000_000 }), 0);
    const kept = (bufferBytes: number): Uint8Array => {
      const batchBytes = new Uint8Array(bufferBytes).subarray(50, 50 + length).fill(7);
      tail.add(batchBytes, 1);
      const parts: Uint8Array[] = [];
      tail.collect(0, 1, 1_000_000, true, parts);
      tail.clear(0);
      expect(Buffer.compare(parts[0]!, batchBytes)).toBe(0);
      return parts[0]!;
    };
    expect(kept(4 * length).buffer.byteLength).toBe(4 * length);
    expect(kept(4 * length + 1).buffer.byteLength).toBe(length);
  },
);

it('serves a reader at the head without the disk, and the same one byte before it with it', async () => {
  const harness = new LogHarness({ tailCacheBytes: 200 });
  const log = await harness.open();
  for (let i = 0; i < 10; i++) await harness.append(log, batch([`v${i}`]));
  const options = { maxBytes: 10_000, minOneBatch: true, isolation: 'read_uncommitted' } as const;
  const kinds = Array.from({ length: 10 }, (_, offset) =>
    log.read(offset, options) instanceof Promise ? 'file' : 'memory',
  );
  expect(kinds).toEqual([...Array<string>(8).fill('file'), 'memory', 'memory']);
  for (let offset = 0; offset < 10; offset++) {
    const { parts } = await log.read(offset, options);
    expect(recordsOf(parts)[0]).toMatchObject({ offset, value: `v${offset}` });
  }
  expect(log.availableBytes(8, 'read_uncommitted')).toBe(2 * batch(['v8']).length);
  expect(log.availableBytes(0, 'read_uncommitted')).toBeGreaterThan(8 * batch(['v8']).length);
  expect(log.availableBytes(10, 'read_uncommitted')).toBe(0);
});

it('remembers nothing of what logs have let go of, however long the memory lasts', () => {
  const cache = new TailCache({ maxBytes: 1_000_000 });
  const lasting = new Tail(cache, 0);
  for (let i = 0; i < 20_000; i++) {
    const closed = new Tail(cache, 0);
    closed.add(new Uint8Array(10), 1);
    closed.clear(1);
    lasting.add(new Uint8Array(10), i + 1);
    lasting.forgetBefore(i - 9); // ten batches stay
  }
  expect([cache.usedBytes, lasting.batchCount]).toEqual([100, 10]);
  expect(cache.entryCount).toBeLessThanOrEqual(4097);
  // And evicts as before: what is oldest.
  const other = new Tail(cache, 0);
  other.add(new Uint8Array(999_950), 1);
  expect([cache.usedBytes, lasting.batchCount, lasting.startOffset, other.batchCount]).toEqual([
    1_000_000, 5, 19_995, 1,
  ]);
});

import { SimulatedFileSystem } from '@millrace/platform/simulated';
import { expect, it } from 'vitest';
import type { ReadOptions } from './log-types.ts';
import type { PartitionLog } from './partition-log.ts';
import { batch, LogHarness, recordsOf } from './testing/harness.ts';

const options: ReadOptions = { maxBytes: 1_048_576, minOneBatch: true, isolation: 'read_uncommitted' };

/** Batches of one record, a segment for each two or so, none in memory. */
async function filled(count: number): Promise<{ harness: LogHarness; log: PartitionLog; batchBytes: number }> {
  const files = new SimulatedFileSystem();
  const harness = new LogHarness({ files, config: { segmentBytes: 160, fileDeleteDelayMs: 1 }, tailCacheBytes: 0 });
  const log = await harness.open();
  for (let i = 0; i < count; i++) await harness.append(log, batch([`v${i}`]));
  return { harness, log, batchBytes: batch(['v0']).length };
}

it('goes on into the segments that follow, to the byte', async () => {
  const { log, batchBytes } = await filled(10);
  for (let count = 1; count <= 9; count++) {
    for (const [maxBytes, expected] of [
      [count * batchBytes - 1, Math.max(1, count - 1)],
      [count * batchBytes, count],
      [count * batchBytes + 1, count],
    ] as const) {
      const { parts, byteLength } = await log.read(1, { ...options, maxBytes });
      expect(recordsOf(parts).map((record) => record.offset)).toEqual(
        Array.from({ length: expected }, (_, i) => 1 + i),
      );
      expect(byteLength).toBe(expected * batchBytes);
    }
  }
  const { parts } = await log.read(0, { ...options, maxBytes: batchBytes - 1, minOneBatch: false });
  expect(parts).toEqual([]);
});

it('names the transactions aborted anywhere in the range, and none behind it', async () => {
  const { harness, log } = await filled(0);
  for (let i = 0; i < 3; i++) {
    const producer = { producerId: 7 + i, producerEpoch: 0, baseSequence: 0, isTransactional: true };
    await harness.append(log, batch([`a${i}`], producer));
    log.appendTransactionMarker({ producerId: 7 + i, producerEpoch: 0, coordinatorEpoch: 0, isCommit: i === 1 });
    await harness.settle();
  }
  const isolation = 'read_committed';
  const whole = await log.read(0, { ...options, isolation });
  expect(recordsOf(whole.parts).map((record) => record.offset)).toEqual([0, 1, 2, 3, 4, 5]);
  expect(whole.abortedTransactions).toEqual([
    { producerId: 7, firstOffset: 0 },
    { producerId: 9, firstOffset: 4 },
  ]);
  const one = await log.read(0, { ...options, isolation, maxBytes: 1 });
  expect(one.abortedTransactions).toEqual([{ producerId: 7, firstOffset: 0 }]);
});

it('stops where retention takes a segment away during the read', async () => {
  const { harness, log } = await filled(10);
  const read = Promise.resolve(log.read(0, options));
  await Promise.all([log.deleteRecordsBefore(8), harness.settle(), harness.clock.advance(2)]);
  const offsets = recordsOf((await read).parts).map((record) => record.offset);
  expect(offsets.length).toBeGreaterThan(0);
  expect(offsets).toEqual(Array.from({ length: offsets.length }, (_, i) => i));
  expect(harness.failures).toEqual([]);
});

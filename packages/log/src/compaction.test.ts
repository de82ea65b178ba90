import { SeededRandom, SimulatedFileSystem } from '@millrace/platform/simulated';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Compactor } from './compaction.ts';
import { inlineCompactor } from './compactors.ts';
import type { PartitionLog } from './partition-log.ts';
import { committed, foldOf } from './testing/committed.ts';
import { batch, LogHarness, readAll } from './testing/harness.ts';

const compacted = { cleanupPolicy: 'compact', segmentBytes: 400, indexIntervalBytes: 100 } as const;

function newHarness(config: object = {}): LogHarness {
  return new LogHarness({ files: new SimulatedFileSystem(), config: { ...compacted, ...config } });
}

async function compact(
  harness: LogHarness,
  log: PartitionLog,
  compactor: Compactor = inlineCompactor(harness.files, harness.clock),
): Promise<void> {
  let isDone = false;
  const done = log.compact(compactor).finally(() => (isDone = true));
  while (!isDone) await harness.clock.advance(0);
  await done;
}

it('keeps the last value of each key at its offset, and the end of the log', async () => {
  const harness = newHarness();
  const log = await harness.open();
  for (let i = 0; i < 60; i++) await harness.append(log, batch([{ key: `k${i % 7}`, value: `v${i}` }]));
  const endOffset = log.logEndOffset;
  expect(log.dirtyRatio).toBe(1);
  await compact(harness, log);

  const kept = await readAll(log);
  const last = new Map(kept.map((record) => [record.key, record.value]));
  expect(last).toEqual(new Map(Array.from({ length: 7 }, (_, i) => [`k${(i + 4) % 7}`, `v${i + 53}`])));
  for (const record of kept) expect(record.value).toBe(`v${record.offset}`);
  expect(kept.length).toBeLessThan(20);
  expect(log.logEndOffset).toBe(endOffset);
  expect(log.dirtyRatio).toBeUndefined();

  await harness.close(log);
  const reopened = await harness.open({ wasClosedCleanly: true });
  expect(await readAll(reopened)).toEqual(kept);
  expect(reopened.dirtyRatio).toBeUndefined();
});

it('drops a tombstone one delete.retention.ms after the first compaction that met it, not before', async () => {
  const harness = newHarness({ deleteRetentionMs: 1000 });
  const log = await harness.open();
  await harness.append(log, batch([{ key: 'gone', value: 'once' }]));
  await harness.append(log, batch([{ key: 'gone', value: null, timestampMs: 777 }]));
  const more = async (): Promise<void> => {
    for (let i = 0; i < 8; i++) await harness.append(log, batch([{ key: 'other', value: 'x'.repeat(60) }]));
  };
  const tombstones = async (): Promise<object[]> => (await readAll(log)).filter((record) => record.key === 'gone');
  await more();
  await compact(harness, log);
  expect(await tombstones()).toMatchObject([{ offset: 1, value: null, timestampMs: 777 }]);

  await harness.clock.advance(999);
  await more();
  await compact(harness, log);
  expect(await tombstones()).toMatchObject([{ offset: 1, value: null, timestampMs: 777 }]);

  await harness.clock.advance(1);
  await more();
  await compact(harness, log);
  expect(await tombstones()).toEqual([]);
});

it('keeps the sequence of an active producer through compaction and recovery', async () => {
  const harness = newHarness();
  const log = await harness.open();
  await harness.append(log, batch([{ key: 'a', value: '1' }], { producerId: 9, producerEpoch: 2, baseSequence: 0 }));
  for (let i = 0; i < 20; i++) await harness.append(log, batch([{ key: 'a', value: `later ${i}` }]));
  await compact(harness, log);
  forget(harness);
  (harness.files as SimulatedFileSystem).killProcess();

  const reopened = await harness.open();
  expect(reopened.activeProducers).toMatchObject([{ producerId: 9, producerEpoch: 2, lastSequence: 0 }]);
  const next = batch([{ key: 'a', value: '2' }], { producerId: 9, producerEpoch: 2, baseSequence: 1 });
  expect(reopened.append(next, 'client').isDuplicate).toBe(false);
});

it.each([true, false])(
  'keeps the marker of a transaction for as long as a batch of it, or recovery would find it open (commit %s)',
  async (isCommit) => {
    const harness = newHarness({ deleteRetentionMs: 0 });
    const log = await harness.open();
    const producer = { producerId: 4, producerEpoch: 0 };
    await harness.append(
      log,
      batch([{ key: 'a', value: '1' }], { ...producer, baseSequence: 0, isTransactional: true }),
    );
    log.appendTransactionMarker({ ...producer, coordinatorEpoch: 0, isCommit });
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 10; i++) await harness.append(log, batch([{ key: 'a', value: `later ${i}` }]));
      await harness.clock.advance(1);
      await compact(harness, log);
    }
    forget(harness);
    (harness.files as SimulatedFileSystem).killProcess();

    const reopened = await harness.open();
    expect((await readAll(reopened)).filter((record) => record.isControl)).toMatchObject([
      { offset: 1, producerId: 4 },
    ]);
    expect(reopened.activeProducers[0]?.currentTransactionFirstOffset).toBe(-1);
    expect(reopened.lastStableOffset).toBe(reopened.logEndOffset);
  },
);

it('puts nothing in place behind what retention was faster with: a tombstone must not go before what it deletes', async () => {
  const harness = newHarness({ cleanupPolicy: 'compact,delete', retentionMs: -1 });
  const log = await harness.open();
  const fill = async (): Promise<void> => {
    for (let i = 0; i < 60; i++) await harness.append(log, batch([{ key: `k${i % 3}`, value: `v${i}` }]));
  };
  await fill();
  await compact(harness, log); // leaves small segments, which the next joins
  await fill();
  const before = await readAll(log);
  const compactor = inlineCompactor(harness.files, harness.clock);
  await compact(harness, log, {
    ...compactor,
    run: async (task) => {
      const output = await compactor.run(task);
      expect(output.cleaned.length).toBeGreaterThan(1);
      await log.deleteRecordsBefore(output.cleaned[0]!.sourceBaseOffsets[1]!);
      return output;
    },
  });
  expect(log.logStartOffset).toBeGreaterThan(0);
  expect(await readAll(log)).toEqual(before.filter(({ offset }) => offset >= log.logStartOffset));
  await compact(harness, log);
  expect((await readAll(log)).length).toBeLessThan(20);
});

it.each([1, 12, 13, 40])(
  'goes on where the keys did not fit in memory, in the midst of a batch of %i too',
  async (perBatch) => {
    const harness = newHarness({ segmentBytes: 600 });
    const log = await harness.open();
    for (let i = 0; i < 120; i += perBatch) {
      const records = Array.from({ length: perBatch }, (_, k) => ({ key: `k${(i + k) % 50}`, value: `v${i + k}` }));
      await harness.append(log, batch(records));
    }
    const expected = await latest(log);
    const small = inlineCompactor(harness.files, harness.clock, { dedupeBufferBytes: 16 * 24 }); // for twelve keys
    for (let round = 0; log.dirtyRatio !== undefined; round++) {
      expect(round).toBeLessThan(20);
      await compact(harness, log, small);
      expect(await latest(log)).toEqual(expected);
    }
    const activeBase = Number.parseInt(harness.files.list(harness.directory).filter(isLogFile).at(-1)!, 10);
    const cleaned = (await readAll(log)).filter((record) => record.offset < activeBase);
    expect([activeBase > 50, new Set(cleaned.map((record) => record.key)).size]).toEqual([true, cleaned.length]);
  },
);

const isLogFile = (name: string): boolean => name.endsWith('.log');

/** The last value of each key. */
async function latest(log: PartitionLog): Promise<Map<string | null, string | null>> {
  return new Map((await readAll(log)).map((record) => [record.key, record.value]));
}

/** What a random producer does: records in or out of a transaction, or its end. */
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('put' as const),
      key: fc.nat(5),
      producer: fc.nat(3),
      isTombstone: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('end' as const), producer: fc.nat(3), isCommit: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('compact' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('restart' as const), isClean: fc.boolean(), forgets: fc.boolean() }),
  },
);

it('never changes what a consumer of committed records ends up with, whatever was committed, aborted and deleted', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60, size: 'max' }), fc.nat(), async (steps, seed) => {
      const harness = newHarness({ segmentBytes: 200, deleteRetentionMs: 0 });
      let log = await harness.open();
      const written: { key: string; value: string | null; transaction: 'open' | 'committed' | 'aborted' }[] = [];
      const open = new Map<number, typeof written>();
      const sequences = new Map<number, number>();
      for (const [i, action] of steps.entries()) {
        await harness.clock.advance(1);
        if (action.kind === 'put') {
          const value = action.isTombstone ? null : `v${i}`;
          const producerId = action.producer; // producer 0 writes outside of transactions
          const sequence = sequences.get(producerId) ?? 0;
          sequences.set(producerId, sequence + 1);
          const isTransactional = producerId !== 0;
          const options = { producerId, producerEpoch: 0, baseSequence: sequence, isTransactional };
          await harness.append(log, batch([{ key: `k${action.key}`, value }], options));
          const record = { key: `k${action.key}`, value, transaction: 'open' as 'open' | 'committed' | 'aborted' };
          written.push(record);
          if (isTransactional) open.set(producerId, [...(open.get(producerId) ?? []), record]);
        } else if (action.kind === 'end') {
          const transaction = open.get(action.producer);
          if (transaction === undefined) continue;
          open.delete(action.producer);
          for (const record of transaction) record.transaction = action.isCommit ? 'committed' : 'aborted';
          const marker = {
            producerId: action.producer,
            producerEpoch: 0,
            coordinatorEpoch: 0,
            isCommit: action.isCommit,
          };
          await Promise.all([log.appendTransactionMarker(marker).commit.done, harness.settle()]);
        } else if (action.kind === 'compact') {
          await compact(harness, log);
        } else if (action.isClean) {
          await harness.close(log);
          log = await harness.open({ wasClosedCleanly: true });
        } else {
          (harness.files as SimulatedFileSystem).losePower({ random: new SeededRandom(seed + i) });
          if (action.forgets) forget(harness);
          log = await harness.open();
        }
      }
      for (const [producerId, transaction] of open) {
        for (const record of transaction) record.transaction = 'aborted';
        const marker = { producerId, producerEpoch: 0, coordinatorEpoch: 0, isCommit: false };
        await Promise.all([log.appendTransactionMarker(marker).commit.done, harness.settle()]);
      }
      written.push({ key: 'k0', value: 'last', transaction: 'committed' });
      const before = [
        ...(await committed(log)),
        ...['last but one', 'last'].map((value, i) => ({ offset: log.logEndOffset + i, key: 'k0', value })),
      ];
      await compact(harness, log);
      await harness.append(log, batch([{ key: 'k0', value: 'last but one' }]));
      await harness.append(log, batch([{ key: 'k0', value: 'last' }]));
      await compact(harness, log);
      const after = await committed(log);
      expect(before.filter(({ offset }) => after.some((record) => record.offset === offset))).toEqual(after);
      expect(foldOf(after)).toEqual(foldOf(before));
      expect(foldOf(before)).toEqual(foldOf(written.filter(({ transaction }) => transaction !== 'aborted')));
    }),
    { numRuns: 60, interruptAfterTimeLimit: 5000, markInterruptAsFailure: false },
  );
});

/** Nothing is left but the segments themselves. */
function forget(harness: LogHarness): void {
  for (const name of harness.files.list(harness.directory)) {
    if (!name.endsWith('.log')) harness.files.remove(`${harness.directory}/${name}`);
  }
}

import { SeededRandom, SimulatedFileSystem } from '@millrace/platform/simulated';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { inlineCompactor } from './compactors.ts';
import type { PartitionLog } from './partition-log.ts';
import { committed, foldOf } from './testing/committed.ts';
import { batch, LogHarness, readAll } from './testing/harness.ts';

const deleteRetentionMs = 50;

const put = fc.record({
  kind: fc.constant('put' as const),
  producerId: fc.nat(2), // producer 0 writes outside of transactions
  keys: fc.array(fc.record({ key: fc.nat(4), isTombstone: fc.boolean() }), { minLength: 1, maxLength: 3 }),
  isAwaited: fc.boolean(),
});

const step = fc.oneof(
  { weight: 8, arbitrary: put },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('end' as const), producerId: fc.nat(2), isCommit: fc.boolean() }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('compact' as const), isAwaited: fc.boolean(), isSmall: fc.boolean() }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('deleteBefore' as const),
      at: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(2 * deleteRetentionMs) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('closeAndOpen' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('crash' as const),
      afterOperations: fc.integer({ min: 1, max: 25 }),
      losesPower: fc.boolean(),
      forgets: fc.boolean(),
      seed: fc.nat(),
      during: put,
    }),
  },
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
type StepOf<K extends Step['kind']> = Extract<Step, { readonly kind: K }>;

type Item =
  | {
      readonly kind: 'record';
      readonly offset: number;
      readonly producerId: number;
      readonly key: string;
      readonly value: string | null;
    }
  | { readonly kind: 'end'; readonly offset: number; readonly producerId: number; readonly isCommit: boolean };

/** Everything that was ever appended, and is not known to be lost. What it means follows from it alone. */
class History {
  items: Item[] = [];
  /** No crash may lose what lies before. */
  durableEnd = 0;
  /** At or behind this offset no compaction has been. */
  untouchedFrom = 0;

  get endOffset(): number {
    return (this.items.at(-1)?.offset ?? -1) + 1;
  }

  nextSequence(producerId: number): number {
    return this.items.filter((item) => item.kind === 'record' && item.producerId === producerId).length;
  }

  /** The first offset of a producer's open transaction. */
  openSince(producerId: number): number | undefined {
    if (producerId === 0) return undefined;
    const own = this.items.filter((item) => item.producerId === producerId);
    return own[own.findLastIndex((item) => item.kind === 'end') + 1]?.offset;
  }

  /** What a consumer of committed records has seen when it has read from an offset up to another. */
  committedState(from: number, to: number): Map<string, string> {
    const records = this.items.filter((item) => item.kind === 'record');
    return foldOf(
      records.filter(({ offset, producerId }) => {
        if (offset < from || offset >= to) return false;
        const end = this.items.find(
          (item) => item.kind === 'end' && item.producerId === producerId && item.offset > offset,
        );
        return producerId === 0 || (end?.kind === 'end' && end.isCommit);
      }),
    );
  }
}

class Run {
  readonly files: SimulatedFileSystem = new SimulatedFileSystem();
  readonly harness: LogHarness;
  readonly history: History = new History();
  log!: PartitionLog;
  #begun: Promise<unknown>[] = [];

  constructor(tailCacheBytes: number) {
    const config = { segmentBytes: 200, indexIntervalBytes: 100, deleteRetentionMs, fileDeleteDelayMs: 0 };
    this.harness = new LogHarness({
      files: this.files,
      tailCacheBytes,
      config: { ...config, cleanupPolicy: 'compact,delete', retentionMs: -1 },
    });
  }

  begin(task: Promise<unknown>): void {
    this.#begun.push(task);
  }

  durableWhen(done: Promise<void>): void {
    const { history } = this;
    const { endOffset } = history;
    this.begin(done.then(() => (history.durableEnd = Math.max(history.durableEnd, endOffset))));
  }

  /** All that was begun has ended well. */
  async settled(): Promise<void> {
    for (const outcome of await this.ended()) if (outcome.status === 'rejected') throw outcome.reason;
  }

  async ended(): Promise<PromiseSettledResult<unknown>[]> {
    const begun = this.#begun;
    this.#begun = [];
    let isDone = false;
    const outcomes = Promise.allSettled(begun).finally(() => (isDone = true));
    while (!isDone) await this.harness.clock.advance(0);
    await this.harness.settle();
    return outcomes;
  }
}

function append(run: Run, { producerId, keys }: StepOf<'put'>): void {
  const { history, harness, log } = run;
  const first = history.endOffset;
  const timestampMs = harness.clock.now();
  const records = keys.map(({ key, isTombstone }, i) => ({
    key: `k${key}`,
    value: isTombstone ? null : `v${first + i}`,
    timestampMs,
  }));
  const baseSequence = history.nextSequence(producerId);
  const options = { producerId, producerEpoch: 0, baseSequence, isTransactional: producerId !== 0 };
  const { baseOffset, isDuplicate, commit } = log.append(batch(records, options), 'client');
  expect([baseOffset, isDuplicate]).toEqual([first, false]);
  for (const [i, { key, value }] of records.entries()) {
    history.items.push({ kind: 'record', offset: first + i, producerId, key, value });
  }
  run.durableWhen(commit.done);
}

function compact({ history, harness, log }: Run, isSmall: boolean): Promise<unknown> {
  history.untouchedFrom = Math.max(history.untouchedFrom, log.lastStableOffset);
  const dedupeBufferBytes = isSmall ? 1 : undefined; // for twelve keys, the fewest there are
  return log.compact(inlineCompactor(harness.files, harness.clock, { dedupeBufferBytes }));
}

const steps: { readonly [K in Step['kind']]: (run: Run, step: StepOf<K>) => Promise<void> | void } = {
  async put(run, step) {
    append(run, step);
    if (step.isAwaited) await run.settled();
  },

  end(run, { producerId, isCommit }) {
    const { history, log } = run;
    if (history.openSince(producerId) === undefined) return;
    const { baseOffset, commit } = log.appendTransactionMarker({
      producerId,
      producerEpoch: 0,
      coordinatorEpoch: 0,
      isCommit,
    });
    expect(baseOffset).toBe(history.endOffset);
    history.items.push({ kind: 'end', offset: baseOffset, producerId, isCommit });
    run.durableWhen(commit.done);
  },

  async compact(run, { isAwaited, isSmall }) {
    run.begin(compact(run, isSmall));
    if (isAwaited) await run.settled();
  },

  async deleteBefore(run, { at }) {
    const { logStartOffset, highWatermark } = run.log;
    const target = logStartOffset + Math.floor(at * (highWatermark - logStartOffset));
    run.begin(run.log.deleteRecordsBefore(target));
    await run.settled();
    expect(run.log.logStartOffset).toBe(target);
  },

  pass: (run, { ms }) => run.harness.clock.advance(ms),

  async closeAndOpen(run) {
    await run.settled();
    await run.harness.close(run.log);
    run.log = await run.harness.open({ wasClosedCleanly: true });
    expect(run.log.logEndOffset).toBe(run.history.endOffset);
  },

  /** The disk dies under an append and a compaction, at one operation or another. A process that is dead does nothing more. */
  async crash(run, { afterOperations, losesPower, forgets, seed, during }) {
    const { files, history } = run;
    files.losePowerAt(files.operationCount + afterOperations);
    run.begin(compact(run, false));
    try {
      append(run, during);
    } catch (error) {
      expect(error).toMatchObject({ code: 'KAFKA_STORAGE_ERROR' });
    }
    await run.ended();
    if (losesPower) files.losePower({ random: new SeededRandom(seed) });
    else files.killProcess();
    // Where segments are deleted, the snapshot alone tells of their transactions. Where power was lost, a log without its other
    // files passes for one that Kafka compacted, of which segments may end early.
    if (forgets && !losesPower && run.log.logStartOffset === 0) forget(run.harness);
    run.log = await run.harness.open();
    const { logEndOffset } = run.log;
    expect(logEndOffset).toBeGreaterThanOrEqual(history.durableEnd);
    expect(logEndOffset).toBeLessThanOrEqual(history.endOffset);
    history.items = history.items.filter(({ offset }) => offset < logEndOffset);
    history.durableEnd = logEndOffset;
  },
};

/** Recovery must find producers, open transactions and those that were aborted in the segments themselves. */
function forget({ files, directory }: LogHarness): void {
  for (const name of files.list(directory)) {
    if (!/\.log(\.|$)/.test(name)) files.remove(`${directory}/${name}`);
  }
}

/** Compares the log with its history, when nothing is under way. */
async function check(run: Run): Promise<void> {
  await run.settled();
  const { log, history } = run;
  const { logStartOffset, highWatermark, lastStableOffset } = log;
  expect([log.logEndOffset, highWatermark]).toEqual([history.endOffset, history.endOffset]);
  const open = [1, 2].flatMap((producerId) => history.openSince(producerId) ?? []);
  expect(lastStableOffset).toBe(Math.max(logStartOffset, Math.min(highWatermark, ...open)));
  expect(foldOf(await committed(log))).toEqual(history.committedState(logStartOffset, lastStableOffset));

  // Nothing was made up, and where no compaction has been nothing is missing.
  const read = (await readAll(log)).filter((record) => !record.isControl && record.offset >= logStartOffset);
  const records = history.items.filter((item) => item.kind === 'record');
  const byOffset = new Map(records.map((record) => [record.offset, record]));
  for (const { offset, key, value, producerId } of read) {
    expect({ kind: 'record', offset, key, value, producerId }).toEqual(byOffset.get(offset));
  }
  const from = Math.max(history.untouchedFrom, logStartOffset);
  const untouched = (items: readonly { readonly offset: number }[]): number[] =>
    items.map(({ offset }) => offset).filter((offset) => offset >= from);
  expect(untouched(read)).toEqual(untouched(records));
}

it('compaction loses, doubles and brings back nothing, with transactions, deletions and crashes at any time', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 5, maxLength: 80, size: 'max' }),
      fc.constantFrom(0, 500, 1_000_000),
      async (actions, tailCacheBytes) => {
        const run = new Run(tailCacheBytes);
        run.log = await run.harness.open();
        for (const [i, action] of actions.entries()) {
          await (steps[action.kind] as (run: Run, step: Step) => Promise<void> | void)(run, action);
          if (i % 8 === 7) await check(run);
        }
        await check(run);
      },
    ),
    { numRuns: 150, interruptAfterTimeLimit: 5000, markInterruptAsFailure: false },
  );
});

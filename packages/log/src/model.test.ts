import { SeededRandom, SimulatedFileSystem } from '@millrace/platform/simulated';
import { readBatchHeader } from '@millrace/protocol';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { FlushMode } from './group-commit.ts';
import type { PartitionLog } from './partition-log.ts';
import { batch, LogHarness, readAll, recordsOf } from './testing/harness.ts';

const action = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      counts: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
      padding: fc.integer({ min: 0, max: 300 }),
      isAwaited: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('read' as const),
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      maxBytes: fc.integer({ min: 1, max: 2000 }),
      minOneBatch: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('deleteBefore' as const),
      at: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('retain' as const), bytes: fc.integer({ min: 0, max: 3000 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('closeAndOpen' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('kill' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('losePower' as const), seed: fc.nat() }) },
);

/** A log as simple as can be: values by offset. */
class Model {
  values: string[] = [];
  /** What may not be lost, by whichever crash. */
  durableEnd = 0;
  start = 0;
}

interface Run {
  readonly harness: LogHarness;
  readonly files: SimulatedFileSystem;
  readonly flush: FlushMode;
  readonly model: Model;
  log: PartitionLog;
}

type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;
type Step<K extends Action['kind']> = Extract<Action, { readonly kind: K }>;

/** An offset that a consumer may ask for. */
function within({ log }: Run, share: number): number {
  const offset = log.logStartOffset + Math.floor(share * (log.highWatermark - log.logStartOffset + 1));
  return Math.min(offset, log.highWatermark);
}

function committed({ flush, model }: Run): void {
  if (flush === 'commit') model.durableEnd = model.values.length;
}

/** Each does one thing to the log and to the model, and compares. */
const steps: { readonly [K in Action['kind']]: (run: Run, step: Step<K>) => Promise<void> } = {
  async append(run, { counts, padding, isAwaited }) {
    const { log, model, harness } = run;
    for (const count of counts) {
      const first = model.values.length;
      const values = Array.from({ length: count }, (_, i) => `${first + i} ${'x'.repeat(padding)}`);
      expect(log.append(batch(values), 'client').baseOffset).toBe(first);
      model.values.push(...values);
    }
    if (!isAwaited) return;
    await harness.settle();
    expect(log.highWatermark).toBe(model.values.length);
    committed(run);
  },

  async read(run, { at, maxBytes, minOneBatch }) {
    const { log, model } = run;
    const offset = within(run, at);
    const options = { maxBytes, minOneBatch, isolation: 'read_uncommitted' } as const;
    const { parts, byteLength, highWatermark } = await log.read(offset, options);
    expect(parts.reduce((sum, part) => sum + part.length, 0)).toBe(byteLength);
    // Nothing: only at the end, or if a batch does not fit and need not.
    expect(byteLength > 0 || offset === highWatermark || !minOneBatch).toBe(true);
    const records = recordsOf(parts);
    const firstOffset = records[0]?.offset ?? offset;
    expect(records.map((record) => record.offset)).toEqual(records.map((_, i) => firstOffset + i));
    expect(records.map((record) => record.value)).toEqual(
      model.values.slice(firstOffset, firstOffset + records.length),
    );
    expect(firstOffset).toBeLessThanOrEqual(offset);
    expect(byteLength === 0 || firstOffset + records.length > offset).toBe(true);
    expect(firstOffset + records.length).toBeLessThanOrEqual(highWatermark);
    const firstBytes = parts[0] === undefined ? 0 : readBatchHeader(parts[0], 0).sizeBytes;
    expect(byteLength <= maxBytes || (minOneBatch && byteLength === firstBytes)).toBe(true);
  },

  async deleteBefore(run, { at }) {
    const { log, model, harness } = run;
    const offset = within(run, at);
    await Promise.all([log.deleteRecordsBefore(offset), harness.settle()]);
    model.start = Math.max(model.start, offset);
    expect(log.logStartOffset).toBe(model.start);
    committed(run);
  },

  async retain(run, { bytes }) {
    const { log, model, harness } = run;
    await harness.settle();
    committed(run);
    log.setConfig({ ...log.config, retentionBytes: bytes });
    log.enforceRetention();
    await harness.settle();
    expect(log.logStartOffset).toBeGreaterThanOrEqual(model.start);
    model.start = log.logStartOffset;
  },

  async closeAndOpen(run) {
    const { model, harness } = run;
    await harness.close(run.log);
    run.log = await harness.open({ wasClosedCleanly: true });
    expect([run.log.logStartOffset, run.log.logEndOffset]).toEqual([model.start, model.values.length]);
    model.durableEnd = model.values.length;
  },

  async kill(run) {
    const writtenEnd = run.log.highWatermark;
    run.files.killProcess();
    await reopen(run, writtenEnd);
  },

  async losePower(run, { seed }) {
    run.files.losePower({ random: new SeededRandom(seed) });
    await reopen(run, run.model.durableEnd);
  },
};

/** After a crash: what must be there is, nothing else was made up, and the epoch tells of it. */
async function reopen(run: Run, keptEnd: number): Promise<void> {
  const { model, harness } = run;
  const epoch = run.log.leaderEpoch;
  const log = await harness.open();
  run.log = log;
  expect(log.logEndOffset).toBeGreaterThanOrEqual(keptEnd);
  expect(log.logEndOffset).toBeLessThanOrEqual(Math.max(model.values.length, model.start));
  expect(log.logStartOffset).toBeGreaterThanOrEqual(Math.min(model.start, log.logEndOffset));
  expect(log.leaderEpoch).toBe(epoch + 1);
  model.values = model.values.slice(0, log.logEndOffset);
  model.durableEnd = log.logEndOffset;
  model.start = log.logStartOffset;
}

it.each<FlushMode>(['commit', 'os'])(
  'is an array of values that forgets its front, and after a crash what was not yet durable (flush %s)',
  async (flush) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(action, { minLength: 5, maxLength: 60, size: 'max' }),
        fc.integer({ min: 0, max: 2000 }),
        async (actions, tailCacheBytes) => {
          const files = new SimulatedFileSystem();
          const config = { segmentBytes: 1500, indexIntervalBytes: 200, retentionMs: -1, fileDeleteDelayMs: 0 };
          const harness = new LogHarness({ files, config, flush, tailCacheBytes });
          const run: Run = { harness, files, flush, model: new Model(), log: await harness.open() };
          for (const step of actions) {
            await (steps[step.kind] as (run: Run, step: Action) => Promise<void>)(run, step);
            expect(run.log.logEndOffset).toBe(run.model.values.length);
          }
          await harness.settle();
          const { model, log } = run;
          expect((await readAll(log)).map((record) => record.value)).toEqual(model.values.slice(model.start));
        },
      ),
      { numRuns: 80, interruptAfterTimeLimit: 5000, markInterruptAsFailure: false },
    );
  },
);

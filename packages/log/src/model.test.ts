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

async function readOnce(
  log: PartitionLog,
  offset: number,
  maxBytes: number,
  minOneBatch: boolean,
  model: Model,
): Promise<void> {
  const { parts, byteLength, highWatermark } = await log.read(offset, {
    maxBytes,
    minOneBatch,
    isolation: 'read_uncommitted',
  });
  expect(parts.reduce((sum, part) => sum + part.length, 0)).toBe(byteLength);
  if (byteLength === 0) {
    // Nothing to see, or a batch that does not fit.
    expect(offset === highWatermark || !minOneBatch).toBe(true);
    return;
  }
  const records = recordsOf(parts);
  expect(records[0]!.offset).toBeLessThanOrEqual(offset);
  expect(records.at(-1)!.offset).toBeGreaterThanOrEqual(offset);
  expect(records.at(-1)!.offset).toBeLessThan(highWatermark);
  for (const record of records) expect(record.value).toBe(model.values[record.offset]);
  expect(records.map((record) => record.offset)).toEqual(records.map((_, i) => records[0]!.offset + i));
  const firstBytes = readBatchHeader(parts[0]!, 0).sizeBytes;
  expect(byteLength <= maxBytes || (minOneBatch && byteLength === firstBytes)).toBe(true);
}

interface Run {
  readonly harness: LogHarness;
  readonly files: SimulatedFileSystem;
  readonly flush: FlushMode;
  readonly model: Model;
  log: PartitionLog;
}

type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

/** Does one thing to both, and compares. */
async function take(run: Run, step: Action): Promise<void> {
  const { harness, files, model } = run;
  const within = (share: number): number =>
    run.log.logStartOffset + Math.floor(share * (run.log.highWatermark - run.log.logStartOffset + 1));
  switch (step.kind) {
    case 'append': {
      for (const count of step.counts) {
        const first = model.values.length;
        const values = Array.from({ length: count }, (_, i) => `${first + i} ${'x'.repeat(step.padding)}`);
        expect(run.log.append(batch(values), 'client').baseOffset).toBe(first);
        model.values.push(...values);
      }
      if (!step.isAwaited) break;
      await harness.settle();
      expect(run.log.highWatermark).toBe(model.values.length);
      if (run.flush === 'commit') model.durableEnd = model.values.length;
      break;
    }
    case 'read':
      await readOnce(run.log, Math.min(within(step.at), run.log.highWatermark), step.maxBytes, step.minOneBatch, model);
      break;
    case 'deleteBefore': {
      const offset = Math.min(within(step.at), run.log.highWatermark);
      await Promise.all([run.log.deleteRecordsBefore(offset), harness.settle()]);
      model.start = Math.max(model.start, offset);
      expect(run.log.logStartOffset).toBe(model.start);
      break;
    }
    case 'retain':
      await harness.settle();
      if (run.flush === 'commit') model.durableEnd = model.values.length;
      run.log.setConfig({ ...log.config, retentionBytes: step.bytes });
      run.log.enforceRetention();
      await harness.settle();
      expect(run.log.logStartOffset).toBeGreaterThanOrEqual(model.start);
      model.start = run.log.logStartOffset;
      break;
    case 'closeAndOpen':
      await harness.close(run.log);
      run.log = await harness.open({ wasClosedCleanly: true });
      expect(run.log.logEndOffset).toBe(model.values.length);
      model.durableEnd = model.values.length;
      break;
    case 'kill':
    case 'losePower': {
      const epoch = run.log.leaderEpoch;
      const writtenEnd = run.log.highWatermark;
      if (step.kind === 'kill') files.killProcess();
      else files.losePower({ random: new SeededRandom(step.seed) });
      run.log = await harness.open();
      expect(run.log.logEndOffset).toBeGreaterThanOrEqual(step.kind === 'kill' ? writtenEnd : model.durableEnd);
      expect(run.log.logEndOffset).toBeLessThanOrEqual(Math.max(model.values.length, run.log.logStartOffset));
      expect(run.log.leaderEpoch).toBe(epoch + 1);
      model.values = model.values.slice(0, run.log.logEndOffset);
      model.durableEnd = run.log.logEndOffset;
      expect(run.log.logStartOffset).toBeGreaterThanOrEqual(Math.min(model.start, run.log.logEndOffset));
      model.start = run.log.logStartOffset;
      while (model.values.length < run.log.logEndOffset) model.values.push('lost');
      break;
    }
  }
  expect(run.log.logEndOffset).toBe(model.values.length);
}

it.each<FlushMode>(['commit', 'os'])(
  'is an array of values that forgets its front, and after a crash what was not yet durable (flush %s)',
  async (flush) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(action, { minLength: 5, maxLength: 60 }),
        fc.integer({ min: 0, max: 2000 }),
        async (actions, tailCacheBytes) => {
          const files = new SimulatedFileSystem();
          const config = { segmentBytes: 1500, indexIntervalBytes: 200, retentionMs: -1, fileDeleteDelayMs: 0 };
          const harness = new LogHarness({ files, config, flush, tailCacheBytes });
          const run: Run = { harness, files, flush, model: new Model(), log: await harness.open() };
          for (const step of actions) await take(run, step);
          await harness.settle();
          const { model, log } = run;
          expect((await readAll(log)).map((record) => record.value)).toEqual(model.values.slice(model.start));
        },
      ),
      { numRuns: 80 },
    );
  },
);

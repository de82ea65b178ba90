import { SeededRandom, SimulatedFileSystem } from '@millrace/platform/simulated';
import { expect, it } from 'vitest';
import { inlineCompactor } from './compactors.ts';
import type { LogConfig } from './log-config.ts';
import type { PartitionLog } from './partition-log.ts';
import { batch, LogHarness, readAll, values } from './testing/harness.ts';

/** What was promised before power failed. */
interface Promised {
  /** Values by offset, acknowledged or not. */
  readonly appended: string[];
  acknowledgedEnd: number;
  logStartOffset: number;
  isClosed: boolean;
  /** The operations of the disk where power is to fail; empty: all. */
  readonly failAt: number[];
}

type Workload = (harness: LogHarness, promised: Promised) => Promise<void>;

/** Awaits something of a log while the clock runs; the disk may die on the way. */
async function drive<T>(harness: LogHarness, task: Promise<T>): Promise<T> {
  let isDone = false;
  const done = task.finally(() => (isDone = true));
  done.catch(() => {}); // awaited below
  for (let i = 0; !isDone; i++) {
    if (i > 1000) throw new Error('it never ends');
    await harness.clock.advance(0);
  }
  return done;
}

/** Appends in one turn, a batch a key, some larger than a sector of the disk; waits for the commit of all. */
async function append(harness: LogHarness, log: PartitionLog, promised: Promised, keys: string[]): Promise<void> {
  const commits = keys.map((key) => {
    const number = promised.appended.length;
    const value = `v${number} ${'x'.repeat(number % 3 === 2 ? 700 : 0)}`;
    promised.appended.push(value);
    return log.append(batch([{ key, value }]), 'client').commit.done;
  });
  await drive(harness, Promise.all(commits));
  promised.acknowledgedEnd = promised.appended.length;
}

function nothingPromised(): Promised {
  return { appended: [], acknowledgedEnd: 0, logStartOffset: 0, isClosed: false, failAt: [] };
}

/** Lets power fail at each operation of a workload in turn; what survives of the rest is left to chance. */
async function failEverywhere(
  config: Partial<LogConfig>,
  workload: Workload,
  check: (log: PartitionLog, promised: Promised, what: string, harness: LogHarness) => Promise<void>,
  seed: number,
): Promise<void> {
  const sound = new SimulatedFileSystem();
  const { failAt } = nothingPromised();
  await workload(new LogHarness({ files: sound, config }), { ...nothingPromised(), failAt });
  const points = failAt.length > 0 ? failAt : Array.from({ length: sound.operationCount + 1 }, (_, i) => i + 1);
  expect(points.length).toBeGreaterThan(50);
  for (const at of points) {
    const files = new SimulatedFileSystem();
    const harness = new LogHarness({ files, config });
    const promised = nothingPromised();
    files.losePowerAt(at);
    try {
      await workload(harness, promised);
    } catch {
      // The disk, as it should be.
    }
    const what = `power failed at operation ${at}, seed ${seed}`;
    // Seed 0: nothing that was not synced is left.
    files.losePower(seed === 0 ? {} : { random: new SeededRandom(seed * 1000 + at) });
    if (seed === 1) await failInRecovery(harness, files, at);
    const log = await drive(harness, harness.open({ wasClosedCleanly: promised.isClosed }));
    await check(log, promised, what, harness);

    // It is a log like any other: it takes more, and keeps it.
    const offset = log.logEndOffset;
    await drive(harness, log.append(batch([{ key: 'more', value: 'more' }]), 'client').commit.done);
    files.losePower();
    const again = await drive(harness, harness.open());
    expect(
      (await readAll(again, offset)).map((record) => record.value),
      what,
    ).toEqual(['more']);
  }
}

const operationCount = (harness: LogHarness): number => (harness.files as SimulatedFileSystem).operationCount;

/** Power fails while the log recovers, at one operation after the other. */
async function failInRecovery(harness: LogHarness, files: SimulatedFileSystem, seed: number): Promise<void> {
  for (let step = 1; step <= 6; step++) {
    files.losePowerAt(files.operationCount + step);
    try {
      await drive(harness, harness.open());
    } catch {
      // The disk, as it should be.
    }
    files.losePower({ random: new SeededRandom(seed + step) });
  }
}

/** By their bytes: each segment's offsets end before the next one's name. */
function expectNoOverlap(harness: LogHarness, what: string): void {
  let endOffset = 0;
  for (const name of harness.files.list(harness.directory).filter((other) => other.endsWith('.log'))) {
    expect(Number(name.slice(0, 20)), what).toBeGreaterThanOrEqual(endOffset);
    const file = harness.files.open(`${harness.directory}/${name}`, 'read');
    const bytes = Buffer.alloc(file.size());
    file.readSync(bytes, 0);
    file.close();
    for (let at = 0; at < bytes.length; at += 12 + bytes.readInt32BE(at + 8)) {
      endOffset = Number(bytes.readBigInt64BE(at)) + bytes.readInt32BE(at + 23) + 1;
    }
  }
}

it.each([0, 1, 2, 3, 4, 5])(
  'loses nothing acknowledged and invents nothing, wherever power fails in appends, rolls, deletes and close (seed %i)',
  async (seed) => {
    await failEverywhere(
      { segmentBytes: 900, indexIntervalBytes: 60, fileDeleteDelayMs: 1 },
      async (harness, promised) => {
        const log = await drive(harness, harness.open());
        for (let i = 0; i < 3; i++) await append(harness, log, promised, ['a', 'b', 'c']);
        promised.logStartOffset = await drive(harness, log.deleteRecordsBefore(5));
        await harness.clock.advance(2);
        await append(harness, log, promised, ['a', 'b', 'c', 'd', 'e', 'f', 'g']);
        await drive(harness, log.close());
        promised.isClosed = true;
      },
      async (log, promised, what) => {
        const found = await readAll(log);
        expect(log.logStartOffset, what).toBeGreaterThanOrEqual(promised.logStartOffset);
        expect(log.logStartOffset, what).toBeLessThanOrEqual(5);
        expect(log.logEndOffset, what).toBeGreaterThanOrEqual(promised.acknowledgedEnd);
        expect(
          found.map((record) => record.value),
          what,
        ).toEqual(promised.appended.slice(log.logStartOffset, log.logEndOffset));
        expect(found[0]?.offset ?? log.logStartOffset, what).toBe(log.logStartOffset);
      },
      seed,
    );
  },
);

it.each([0, 1, 2, 3, 4, 5])(
  'keeps the last value of each key, wherever power fails in a compaction (seed %i)',
  async (seed) => {
    await failEverywhere(
      { cleanupPolicy: 'compact', segmentBytes: 1000, indexIntervalBytes: 60, fileDeleteDelayMs: 1 },
      async (harness, promised) => {
        const log = await drive(harness, harness.open());
        for (let round = 0; round < 2; round++) {
          for (let i = 0; i < 4; i++) await append(harness, log, promised, ['a', 'b', 'c']);
          const first = operationCount(harness);
          await drive(harness, log.compact(inlineCompactor(harness.files, harness.clock)));
          await harness.clock.advance(2);
          for (let at = first + 1; at <= operationCount(harness); at++) promised.failAt.push(at);
        }
      },
      async (log, promised, what, harness) => {
        expectNoOverlap(harness, what);
        const found = await readAll(log);
        for (const record of found) expect(record.value, what).toBe(promised.appended[record.offset]);
        expect(log.logEndOffset, what).toBeGreaterThanOrEqual(promised.acknowledgedEnd);
        const offsets = found.map((record) => record.offset);
        expect(offsets, what).toEqual([...new Set(offsets)].toSorted((a, b) => a - b));
        const expected = new Map<string, string>();
        for (let i = 0; i < log.logEndOffset; i++) expected.set(['a', 'b', 'c'][i % 3]!, promised.appended[i]!);
        expect(new Map(found.map((record) => [record.key, record.value])), what).toEqual(expected);
      },
      seed,
    );
  },
);

it('keeps what the process wrote when it is killed, and makes it durable before it is read', async () => {
  const files = new SimulatedFileSystem();
  const harness = new LogHarness({ files, flush: 'os' });
  const log = await harness.open();
  await harness.append(log, batch(['a']));
  expect(log.highWatermark).toBe(1);
  files.killProcess();

  const reopened = await harness.open();
  expect(await values(reopened)).toEqual(['a']);
  files.losePower();
  expect(await values(await harness.open())).toEqual(['a']);
});

it('may lose the tail without a sync, and then counts offsets anew under a higher epoch', async () => {
  const files = new SimulatedFileSystem();
  const harness = new LogHarness({ files, flush: 'os' });
  const log = await harness.open();
  await harness.append(log, batch(['a', 'b', 'c']));
  files.losePower();

  const reopened = await harness.open();
  expect([reopened.logEndOffset, reopened.leaderEpoch]).toEqual([0, 1]);
  await harness.append(reopened, batch(['d']));
  expect(reopened.endOffsetForEpoch(0)).toEqual({ leaderEpoch: 0, endOffset: 0 });
  expect(reopened.endOffsetForEpoch(1)).toEqual({ leaderEpoch: 1, endOffset: 1 });
  expect(reopened.endOffsetForEpoch(2)).toEqual({ leaderEpoch: -1, endOffset: -1 });
});

it('syncs every so often in interval mode, and answers before', async () => {
  const files = new SimulatedFileSystem();
  const harness = new LogHarness({ files, flush: 'interval:50' });
  const log = await harness.open();
  await harness.append(log, batch(['a']));
  await harness.clock.advance(50);
  await harness.append(log, batch(['b']));
  await harness.clock.advance(49);
  files.losePower();
  expect(await values(await harness.open())).toEqual(['a']);
});

it.each([
  ['a full disk', (files: SimulatedFileSystem) => files.limitCapacity(700)],
  ['a failed sync', (files: SimulatedFileSystem) => files.failSyncs(/\.log$/)],
  ['a read-only disk', (files: SimulatedFileSystem) => files.setReadOnly(true)],
  ['a worn-out disk', (files: SimulatedFileSystem) => files.wearOutAfter(1)],
] as const)('acknowledges nothing after %s, closes, and keeps what it had', async (_, breakDisk) => {
  const files = new SimulatedFileSystem();
  const harness = new LogHarness({ files });
  const log = await harness.open();
  await harness.append(log, batch(['kept']));
  breakDisk(files);
  const { commit } = log.append(batch(['lost '.repeat(200)]), 'client');
  const failed = expect(commit.done).rejects.toMatchObject({ code: 'KAFKA_STORAGE_ERROR' });
  await harness.settle();
  await failed;
  expect(harness.failures.map((error) => (error as { code?: string }).code)).toEqual(['KAFKA_STORAGE_ERROR']);
  expect(() => log.append(batch(['more']), 'client')).toThrow(harness.failures[0]);
  const options = { maxBytes: 1000, minOneBatch: true, isolation: 'read_uncommitted' } as const;
  expect(() => log.read(0, options)).toThrow(harness.failures[0]);

  // Mended, and started again.
  files.limitCapacity(Infinity);
  files.failSyncs(undefined);
  files.setReadOnly(false);
  files.wearOutAfter(Infinity);
  files.losePower();
  expect(await values(await harness.open())).toEqual(['kept']);
});

it.each([
  ['a roll', async (log: PartitionLog) => log.append(batch(['b']), 'client')],
  ['a delete', (log: PartitionLog) => log.deleteRecordsBefore(1)],
] as const)('fails at %s as it fails at a write', async (_, act) => {
  const files = new SimulatedFileSystem();
  const harness = new LogHarness({ files, config: { segmentBytes: 100 } });
  const log = await harness.open();
  await harness.append(log, batch(['a']));
  files.setReadOnly(true);
  await expect(act(log)).rejects.toThrow(/disk failed/);
  expect(harness.failures.length).toBe(1);
  expect(() => log.append(batch(['b']), 'client')).toThrow(/disk failed/);
  files.setReadOnly(false);
  files.losePower();
  expect(await values(await harness.open())).toEqual(['a']);
});

import { SimulatedFileSystem, VirtualClock } from '@millrace/platform/simulated';
import { describe, expect, it } from 'vitest';
import { inlineCompactor } from './compactors.ts';
import type { LogConfig } from './log-config.ts';
import type { PartitionLog } from './partition-log.ts';
import { batch, LogHarness, readAll, values } from './testing/harness.ts';
import { watchedFiles } from './testing/watched-files.ts';

/** The active segment, and the few that were read last. */
const mostOpen = 5;

interface Filled {
  readonly disk: SimulatedFileSystem;
  readonly harness: LogHarness;
  readonly log: PartitionLog;
  readonly openLogs: () => readonly string[];
}

/** A segment per batch of one record, each of a key of its own, a second apart. */
async function filled(
  count: number,
  options: { config?: Partial<LogConfig>; readLatencyMs?: number } = {},
): Promise<Filled> {
  const disk = new SimulatedFileSystem();
  const clock = new VirtualClock(1_000_000);
  const { readLatencyMs } = options;
  const { files, openLogs } = watchedFiles(disk, readLatencyMs === undefined ? undefined : { clock, readLatencyMs });
  const config = { segmentBytes: record(0).length, retentionMs: -1, fileDeleteDelayMs: 1, ...options.config };
  const harness = new LogHarness({ files, clock, config, tailCacheBytes: 0 });
  const log = await harness.open();
  await append(harness, log, 0, count);
  return { disk, harness, log, openLogs };
}

async function append(harness: LogHarness, log: PartitionLog, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++) await harness.append(log, record(i));
  await harness.settle();
}

function record(number: number): Uint8Array {
  return batch([{ key: String.fromCharCode(97 + number), value: 'v', timestampMs: number * 1000 }]);
}

const logFiles = (disk: SimulatedFileSystem): string[] =>
  disk.list('/data/orders-0').filter((name) => name.includes('.log'));
const fileOf = (baseOffset: number): string => `${String(baseOffset).padStart(20, '0')}.log`;
const oneBatch = { maxBytes: 1, minOneBatch: true, isolation: 'read_uncommitted' } as const;

describe('a log of many segments keeps few files open', () => {
  it('however many read at once', async () => {
    const { log, openLogs } = await filled(30);
    await Promise.all(Array.from({ length: 30 }, async (_, offset) => log.read(offset, oneBatch)));
    expect(openLogs().length).toBeLessThanOrEqual(mostOpen);
  });

  it('whatever was searched by time', async () => {
    const { log, openLogs } = await filled(30);
    for (let i = 0; i < 30; i++) {
      expect(await log.offsetForTimestamp(i * 1000, 'read_uncommitted')).toMatchObject({ offset: i });
    }
    await log.offsetForMaxTimestamp();
    expect(openLogs().length).toBeLessThanOrEqual(mostOpen);
  });

  it('when its dirty ratio is asked for', async () => {
    const { disk, harness, openLogs } = await filled(30, { config: { cleanupPolicy: 'compact' } });
    disk.killProcess();
    const before = openLogs();
    const log = await harness.open();
    expect(log.dirtyRatio).toBe(1);
    expect(openLogs().slice(before.length)).toEqual([fileOf(29)]);
  });

  it('after a recovery that has read all of them', async () => {
    const { disk, harness } = await filled(30);
    disk.killProcess();
    disk.remove(`${harness.directory}/recovery-point-offset-checkpoint`);
    const { files, openLogs } = watchedFiles(disk);
    const log = await new LogHarness({ files, config: harness.config, tailCacheBytes: 0 }).open();
    expect(openLogs()).toEqual([fileOf(29)]);
    expect((await values(log)).length).toBe(30);
  });
});

describe('files that retention has taken away are not made anew', () => {
  it.each(['os', 'interval:50'] as const)('by the sync that they still waited for (flush %s)', async (flush) => {
    const disk = new SimulatedFileSystem();
    const config = { segmentBytes: 100, retentionMs: 1000, fileDeleteDelayMs: 1 };
    const harness = new LogHarness({ files: disk, flush, config });
    const log = await harness.open();
    for (let i = 0; i < 2; i++) await harness.append(log, record(i));
    log.enforceRetention();
    await harness.settle();
    await harness.clock.advance(100);
    expect(logFiles(disk)).toEqual([fileOf(2)]);
    expect(harness.failures).toEqual([]);
  });

  it('by a look-up by time that was on its way to them', async () => {
    const disk = new SimulatedFileSystem();
    const clock = new VirtualClock(1_000_000);
    const { files } = watchedFiles(disk, { clock, readLatencyMs: 10 });
    const config = { segmentBytes: 2 * record(0).length, retentionMs: -1, fileDeleteDelayMs: 1 };
    const harness = new LogHarness({ files, clock, config, tailCacheBytes: 0 });
    const log = await harness.open();
    // What each segment's index promises lies before the start: the next must be looked into.
    for (const seconds of [9, 1, 8, 3, 8, 4]) await harness.append(log, record(seconds));
    await Promise.all([log.deleteRecordsBefore(1), clock.advance(1)]);
    const found = log.offsetForTimestamp(8_000, 'read_uncommitted');
    await Promise.all([log.deleteRecordsBefore(4), clock.advance(100)]);
    expect(await found).toMatchObject({ offset: 4 });
    expect(logFiles(disk)).toEqual([fileOf(4)]);
  });

  it('by a compaction that was on its way to them', async () => {
    for (const afterMs of [0, 5, 15, 25, 35, 45, 55, 65]) {
      const config = { cleanupPolicy: 'compact,delete' } as const;
      const { disk, harness, log } = await filled(6, { config, readLatencyMs: 10 });
      const compactor = inlineCompactor(harness.files, harness.clock);
      await Promise.all([log.compact(compactor), harness.clock.advance(1000)]);
      await append(harness, log, 6, 9); // of clean segments, a compaction reads the records later than of new ones
      const compaction = log.compact(compactor);
      const settled = compaction.then(
        () => 'done',
        (error: unknown) => error,
      );
      await harness.clock.advance(afterMs);
      await Promise.all([log.deleteRecordsBefore(5), harness.clock.advance(1000)]);
      const what = `retention after ${afterMs} ms`;
      expect(await settled, what).toBe('done');
      expect(logFiles(disk), what).toEqual([5, 6, 7, 8].map(fileOf));
      expect((await Promise.all([readAll(log), harness.clock.advance(1000)]))[0].length, what).toBe(4);
      expect(harness.failures, what).toEqual([]);
    }
  });
});

it('deletes its directory while a roll is being synced, and takes the disk for sound', async () => {
  const clock = new VirtualClock(1_000_000);
  const disk = new SimulatedFileSystem({ clock, syncLatencyMs: 5 });
  const harness = new LogHarness({ files: disk, clock, config: { segmentBytes: 100 } });
  const [log] = await Promise.all([harness.open(), clock.advance(100)]);
  for (const value of ['a', 'b']) log.append(batch([value.repeat(30)]), 'client');
  await clock.advance(1);
  await Promise.all([log.delete(), clock.advance(100)]);
  expect(harness.failures).toEqual([]);
  expect(disk.list('/data')).toEqual([]);
});

it('closes its files wherever the disk fails in closing', async () => {
  for (let operations = 0; operations < 8; operations++) {
    const { disk, harness, log, openLogs } = await filled(3);
    log.append(record(3), 'client').commit.done.catch(() => {});
    disk.wearOutAfter(operations);
    const closed = log.close().then(
      () => 'closed',
      (error: { code?: string }) => error.code,
    );
    await harness.settle();
    await harness.settle();
    expect(await closed, `after ${operations} operations`).toMatch(/^(closed|KAFKA_STORAGE_ERROR|FILE_SYSTEM_ERROR)$/);
    expect(openLogs(), `after ${operations} operations`).toEqual([]);
  }
});

it('tells of a disk that does not let deleted files go, and is quiet once it is closed', async () => {
  const { disk, harness, log } = await filled(4, { config: { fileDeleteDelayMs: 100 } });
  await Promise.all([log.deleteRecordsBefore(3), harness.settle()]);
  disk.setReadOnly(true);
  await harness.clock.advance(100);
  expect(harness.failures).toMatchObject([{ code: 'KAFKA_STORAGE_ERROR', message: expect.stringContaining('EROFS') }]);
  await log.close();
  expect(harness.clock.pendingCount).toBe(0);
});

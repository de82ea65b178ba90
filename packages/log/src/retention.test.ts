import { SimulatedFileSystem } from '@millrace/platform/simulated';
import { expect, it } from 'vitest';
import type { LogConfig } from './log-config.ts';
import type { PartitionLog } from './partition-log.ts';
import { batch, LogHarness, readAll, values } from './testing/harness.ts';

/** A segment per batch of one record, whose timestamp is its offset in seconds. */
async function filled(
  count: number,
  config: Partial<LogConfig> = {},
): Promise<{ harness: LogHarness; log: PartitionLog }> {
  const bytes = batch([{ value: 'v' }]).length;
  const harness = new LogHarness({
    files: new SimulatedFileSystem(),
    config: { segmentBytes: bytes, retentionMs: -1, fileDeleteDelayMs: 100, ...config },
    tailCacheBytes: 0,
  });
  const log = await harness.open();
  for (let i = 0; i < count; i++) await harness.append(log, batch([{ value: 'v', timestampMs: i * 1000 }]));
  expect(log.sizeBytes).toBe(count * bytes);
  return { harness, log };
}

const files = (harness: LogHarness, suffix: string): string[] =>
  harness.files.list(harness.directory).filter((name) => name.endsWith(suffix));

it('deletes segments whose newest record is older than retention.ms, the active one too', async () => {
  const { harness, log } = await filled(5, { retentionMs: 10_000 });
  const deleted: string[] = [];
  log.onEvent((event) => deleted.push(event));
  harness.clock.setWallClock(12_000); // records 0 and 1 are 12 and 11 s old, record 2 exactly 10
  log.enforceRetention();
  await harness.settle();
  expect(log.logStartOffset).toBe(2);
  expect((await readAll(log)).map((record) => record.offset)).toEqual([2, 3, 4]);
  expect(deleted).toContain('deleted');
  expect(() => log.read(1, { maxBytes: 1, minOneBatch: true, isolation: 'log_end' })).toThrow(
    expect.objectContaining({ code: 'OFFSET_OUT_OF_RANGE' }),
  );

  harness.clock.setWallClock(14_001);
  log.enforceRetention();
  await harness.settle();
  expect([log.logStartOffset, log.logEndOffset, log.sizeBytes]).toEqual([5, 5, 0]);
  expect(await harness.append(log, batch([{ value: 'v', timestampMs: 14_001 }]))).toBe(5);
});

it('deletes whole segments while more than retention.bytes would be left', async () => {
  const { log: measured } = await filled(1);
  const bytes = measured.sizeBytes;
  for (const [retentionBytes, start] of [
    [3 * bytes - 1, 2],
    [3 * bytes, 2],
    [3 * bytes + 1, 1],
    [5 * bytes, 0],
    [0, 5],
    [-1, 0],
  ] as const) {
    const { log } = await filled(5, { retentionBytes });
    log.enforceRetention();
    expect(log.logStartOffset, `retention.bytes ${retentionBytes}`).toBe(start);
  }
});

it('renames files at once, and removes them after file.delete.delay.ms', async () => {
  const { harness, log } = await filled(3);
  expect(await Promise.all([log.deleteRecordsBefore(2), harness.settle()])).toEqual([2, undefined]);
  await harness.clock.advance(98);
  expect(files(harness, '.log').length).toBe(1);
  expect(files(harness, '.log.deleted').length).toBe(2);
  await harness.clock.advance(2);
  expect(files(harness, '.deleted')).toEqual([]);
});

it('moves the start into a batch, and remembers it over a crash', async () => {
  const harness = new LogHarness({ files: new SimulatedFileSystem() });
  const log = await harness.open();
  await harness.append(log, batch(['a', 'b', 'c']));
  await Promise.all([log.deleteRecordsBefore(1), harness.settle()]);
  (harness.files as SimulatedFileSystem).losePower();
  const reopened = await harness.open();
  expect(reopened.logStartOffset).toBe(1);
  expect((await readAll(reopened)).map((record) => record.value)).toEqual(['b', 'c']);
  await expect(reopened.deleteRecordsBefore(4)).rejects.toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' });
  await expect(reopened.deleteRecordsBefore(-2)).rejects.toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' });
  expect(await Promise.all([reopened.deleteRecordsBefore(0), harness.settle()])).toEqual([1, undefined]);
  expect(await Promise.all([reopened.deleteRecordsBefore(-1), harness.settle()])).toEqual([3, undefined]);
});

it('deletes records of a compacted topic only if its policy says delete as well', async () => {
  const { log } = await filled(0, { cleanupPolicy: 'compact' });
  await expect(log.deleteRecordsBefore(0)).rejects.toMatchObject({ code: 'POLICY_VIOLATION' });
  log.setConfig({ ...log.config, cleanupPolicy: 'compact,delete' });
  expect(await log.deleteRecordsBefore(0)).toBe(0);
});

it('rolls a segment whose first record is older than segment.ms, jitter taken off', async () => {
  const harness = new LogHarness({ config: { segmentMs: 1000, segmentJitterMs: 100 } });
  const log = await harness.open();
  await harness.append(log, batch([{ value: 'a', timestampMs: 1_000_000 }]));
  await harness.clock.advance(900);
  log.enforceRetention();
  expect(files(harness, '.log').length).toBe(1);
  await harness.clock.advance(1);
  log.enforceRetention();
  await harness.settle();
  expect(files(harness, '.log').length).toBe(2);
  expect(await harness.append(log, batch(['b']))).toBe(1);
});

it('rolls by the time between records, not by how long ago they are', async () => {
  const harness = new LogHarness({ config: { segmentMs: 1000 } });
  const log = await harness.open();
  for (const timestampMs of [1, 500, 1001]) await harness.append(log, batch([{ value: 'old', timestampMs }]));
  expect(files(harness, '.log').length).toBe(1);
  await harness.append(log, batch([{ value: 'later', timestampMs: 1002 }]));
  expect(files(harness, '.log').length).toBe(2);
  expect(await values(log)).toEqual(['old', 'old', 'old', 'later']);
});

it('rolls when an index is full', async () => {
  const harness = new LogHarness({ config: { segmentIndexBytes: 48, indexIntervalBytes: 1 } });
  const log = await harness.open();
  for (let i = 0; i < 20; i++) await harness.append(log, batch([{ value: 'v', timestampMs: i }]));
  await harness.close(log);
  expect(files(harness, '.log').length).toBeGreaterThan(1);
  for (const name of [...files(harness, '.index'), ...files(harness, '.timeindex')]) {
    expect(harness.files.stat(`${harness.directory}/${name}`)!.sizeBytes).toBeLessThanOrEqual(48);
  }
});

it('finds the first record at or after a time, and the newest, in memory and on disk', async () => {
  const harness = new LogHarness({ config: { segmentBytes: 300, indexIntervalBytes: 50 } });
  let log = await harness.open();
  const times = [10, 30, 20, 20, 50, 40, 60, 60, 15, 70, 65, 80];
  for (let i = 0; i < times.length; i += 2) {
    await harness.append(log, batch([0, 1].map((k) => ({ value: 'v', timestampMs: times[i + k] }))));
  }
  for (let round = 0; round < 2; round++) {
    for (let time = 0; time <= 81; time++) {
      const offset = times.findIndex((other) => other >= time);
      const expected = offset < 0 ? null : { offset, timestampMs: times[offset], leaderEpoch: 0 };
      expect(await log.offsetForTimestamp(time, 'read_uncommitted'), `time ${time}`).toEqual(expected);
    }
    expect(await log.offsetForMaxTimestamp()).toEqual({ offset: 11, timestampMs: 80, leaderEpoch: 0 });
    await harness.close(log);
    log = await harness.open({ wasClosedCleanly: true });
  }
});

it('finds the newest of what is left, wherever the index points', async () => {
  const harness = new LogHarness();
  const log = await harness.open();
  for (const timestampMs of [9000, 5000, 6000, 6000]) await harness.append(log, batch([{ value: 'v', timestampMs }]));
  const newestFrom = async (offset: number): Promise<unknown> => {
    await Promise.all([log.deleteRecordsBefore(offset), harness.settle()]);
    return log.offsetForMaxTimestamp();
  };
  expect(await newestFrom(0)).toMatchObject({ offset: 0, timestampMs: 9000 });
  expect(await newestFrom(1)).toMatchObject({ offset: 2, timestampMs: 6000 });
  expect(await newestFrom(3)).toMatchObject({ offset: 3, timestampMs: 6000 });
  expect(await newestFrom(4)).toBeNull();
});

it('finds by time only what a reader may see', async () => {
  const harness = new LogHarness();
  const log = await harness.open();
  expect(await log.offsetForMaxTimestamp()).toBeNull();
  const { commit } = log.append(batch([{ value: 'a', timestampMs: 5 }]), 'client');
  expect(await log.offsetForTimestamp(0, 'read_uncommitted')).toBeNull();
  expect(await log.offsetForTimestamp(0, 'log_end')).toMatchObject({ offset: 0 });
  await Promise.all([commit.done, harness.settle()]);
  expect(await log.offsetForTimestamp(0, 'read_uncommitted')).toMatchObject({ offset: 0 });
});

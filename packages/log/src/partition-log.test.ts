import { SimulatedFileSystem } from '@millrace/platform/simulated';
import { expect, it } from 'vitest';
import { batch, LogHarness, readAll, values } from './testing/harness.ts';

it('keeps acknowledged batches and nothing of a torn one, wherever power fails in the write', async () => {
  const torn = batch(['c', 'd']);
  for (let keptBytes = 0; keptBytes < torn.length; keptBytes++) {
    const files = new SimulatedFileSystem();
    const harness = new LogHarness({ files });
    const log = await harness.open();
    await harness.append(log, batch(['a', 'b']));
    files.losePowerAfter(keptBytes);
    const { commit } = log.append(torn.slice(), 'client');
    const failed = expect(commit.done, `${keptBytes} bytes kept`).rejects.toMatchObject({
      code: 'KAFKA_STORAGE_ERROR',
    });
    await harness.settle();
    await failed;
    expect(harness.failures).toHaveLength(1);
    expect(() => log.append(batch(['e']), 'client')).toThrow(/disk failed/);

    files.losePower();
    const reopened = await harness.open();
    expect(await values(reopened), `${keptBytes} bytes kept`).toEqual(['a', 'b']);
    expect(reopened.logEndOffset).toBe(2);
    expect(reopened.leaderEpoch).toBe(1);
  }
});

it('shows a batch to consumers when it is durable, and to the end reader at once', async () => {
  const harness = new LogHarness({ files: new SimulatedFileSystem() });
  const log = await harness.open();
  const events: string[] = [];
  log.onEvent((event) => events.push(`${event} ${log.highWatermark}`));
  const { commit, baseOffset, lastOffset } = log.append(batch(['a', 'b']), 'client');
  void commit.done.then(() => events.push('done'));

  expect([baseOffset, lastOffset, log.logEndOffset, log.highWatermark]).toEqual([0, 1, 2, 0]);
  expect(await readAll(log)).toEqual([]);
  expect((await readAll(log, 0, { isolation: 'log_end' })).map((record) => record.value)).toEqual(['a', 'b']);

  await harness.settle();
  expect(events).toEqual(['appended 0', 'visible 2', 'done']);
  expect(await values(log)).toEqual(['a', 'b']);
});

it('reads the same from the files as from memory, across segments, from any offset', async () => {
  const harness = new LogHarness({ config: { segmentBytes: 400, indexIntervalBytes: 100 }, tailCacheBytes: 0 });
  const log = await harness.open();
  for (let i = 0; i < 40; i += 2) await harness.append(log, batch([`v${i}`, `v${i + 1}`]));
  const all = Array.from({ length: 40 }, (_, i) => `v${i}`);
  for (let from = 0; from <= 40; from++) {
    expect((await readAll(log, from)).map((record) => record.value)).toEqual(all.slice(from));
    expect((await readAll(log, from, { maxBytes: 1 })).map((record) => record.value)).toEqual(all.slice(from));
  }
  await harness.close(log);
  const reopened = await harness.open({ wasClosedCleanly: true });
  expect(await values(reopened)).toEqual(all);
  expect(reopened.leaderEpoch).toBe(0);
});

it('closes once, with all that was appended, and answers nothing afterwards', async () => {
  const files = new SimulatedFileSystem();
  const harness = new LogHarness({ files });
  const log = await harness.open();
  const { commit } = log.append(batch(['a']), 'client');
  await Promise.all([log.close(), log.close(), commit.done, harness.settle()]);
  const closed = expect.objectContaining({ code: 'KAFKA_STORAGE_ERROR' });
  expect(() => log.append(batch(['b']), 'client')).toThrow(closed);
  expect(() => log.read(0, { maxBytes: 1, minOneBatch: true, isolation: 'log_end' })).toThrow(closed);
  expect(harness.tailCache.usedBytes).toBe(0);
  files.losePower();
  const reopened = await harness.open({ wasClosedCleanly: true });
  expect([await values(reopened), reopened.leaderEpoch]).toEqual([['a'], 0]);
});

it('deletes a topic with the longest of names, under one that a broker knows for a deleted directory', async () => {
  const topicId = '01234567-89ab-4def-8123-456789abcdef';
  for (const [topic, grave] of [
    ['t'.repeat(209), `${'t'.repeat(209)}-0.${topicId}-delete`],
    ['t'.repeat(210), `${'t'.repeat(209)}-0.${topicId}-delete`],
    ['t'.repeat(249), `${'t'.repeat(209)}-0.${topicId}-delete`],
  ] as const) {
    const files = new SimulatedFileSystem();
    const harness = new LogHarness({ files, topic, topicId, directory: `/data/${topic}-0` });
    const log = await harness.open();
    await harness.append(log, batch(['a']));
    let seen: readonly string[] = [];
    files.onOperation(({ kind }) => {
      if (kind === 'remove') seen = files.list('/data');
    });
    await Promise.all([log.delete(), harness.settle()]);
    expect([seen, files.list('/data')]).toEqual([[grave], []]);
  }
});

it('deletes its directory, in the midst of a commit and a read too', async () => {
  const harness = new LogHarness({ files: new SimulatedFileSystem(), tailCacheBytes: 0 });
  const log = await harness.open();
  const events: string[] = [];
  log.onEvent((event) => events.push(event));
  await harness.append(log, batch(['a']));
  const read = Promise.resolve(log.read(0, { maxBytes: 1000, minOneBatch: true, isolation: 'read_uncommitted' }));
  const failed = expect(read).rejects.toMatchObject({ code: 'KAFKA_STORAGE_ERROR' });
  log.append(batch(['b']), 'client');
  await Promise.all([log.delete(), failed, harness.settle()]);
  expect(harness.files.list('/data')).toEqual([]);
  expect(events.at(-1)).toBe('deleted');
  expect(harness.failures).toEqual([]);
  await log.close();

  const anew = await harness.open();
  expect([anew.logEndOffset, anew.leaderEpoch]).toEqual([0, 0]);
});

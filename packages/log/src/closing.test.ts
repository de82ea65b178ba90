import { SimulatedFileSystem } from '@millrace/platform/simulated';
import { expect, it } from 'vitest';
import { readOffsetCheckpoint } from './recovery.ts';
import { batch, LogHarness, values } from './testing/harness.ts';

const producer = { producerId: 7, producerEpoch: 0, baseSequence: 0 };

/** Changes to the disk and syncs that a task needs. */
async function operationsOf(files: SimulatedFileSystem, task: () => Promise<unknown>): Promise<number> {
  const before = files.operationCount;
  await task();
  return files.operationCount - before;
}

/** The syncs that a task needs, by the names of their files. */
async function syncsOf(files: SimulatedFileSystem, task: () => Promise<unknown>): Promise<string[]> {
  const names: string[] = [];
  files.onOperation(({ kind, path }) => {
    if (kind === 'datasync' || kind === 'syncDirectory') names.push(path.slice(path.lastIndexOf('/') + 1));
  });
  await task();
  files.onOperation(undefined);
  return names.toSorted();
}

const recoveryPointOf = ({ files, directory }: LogHarness): number | undefined =>
  readOffsetCheckpoint(files, `${directory}/recovery-point-offset-checkpoint`);

it('opens and closes a log that nobody touched without changing or syncing a file', async () => {
  const files = new SimulatedFileSystem();
  const harness = new LogHarness({ files });
  let log = await harness.open();
  expect(await operationsOf(files, () => harness.close(log)), 'a new log').toBe(0);
  for (const records of [[], ['a', 'b']]) {
    log = await harness.open({ wasClosedCleanly: true });
    if (records.length > 0) await harness.append(log, batch(records, producer));
    await harness.close(log);
    files.losePower();
    for (let i = 0; i < 2; i++) {
      const count = await operationsOf(files, async () => {
        log = await harness.open({ wasClosedCleanly: true });
        expect(await values(log)).toEqual(records);
        await harness.close(log);
      });
      expect(count, `${records.length} records`).toBe(0);
    }
  }
  files.losePower();
  log = await harness.open({ wasClosedCleanly: true });
  expect([log.logEndOffset, log.leaderEpoch, log.activeProducers.map((entry) => entry.lastSequence)]).toEqual([
    2,
    0,
    [1],
  ]);
});

it('saves what a recovery after a crash found, so that the next clean start trusts it', async () => {
  const files = new SimulatedFileSystem();
  const harness = new LogHarness({ files });
  await harness.append(await harness.open(), batch(['a'], producer));
  files.losePower();
  const recovered = await harness.open();
  expect(await operationsOf(files, () => harness.close(recovered))).toBeGreaterThan(0);
  expect(recoveryPointOf(harness)).toBe(1);
  files.losePower();
  const log = await harness.open({ wasClosedCleanly: true });
  expect([await values(log), log.leaderEpoch, log.activeProducers.length]).toEqual([['a'], 1, 1]);
  expect(await operationsOf(files, () => harness.close(log))).toBe(0);
});

it('is at rest again when a roll has emptied the active segment', async () => {
  const files = new SimulatedFileSystem();
  const harness = new LogHarness({ files, config: { retentionMs: 1000, fileDeleteDelayMs: 1 } });
  const log = await harness.open();
  await harness.append(log, batch([{ value: 'old', timestampMs: harness.clock.now() }]));
  await harness.clock.advance(1001);
  log.enforceRetention();
  await harness.settle();
  await harness.clock.advance(1);
  expect(await operationsOf(files, () => harness.close(log))).toBe(0);
  files.losePower();
  const reopened = await harness.open({ wasClosedCleanly: true });
  expect([reopened.logStartOffset, reopened.logEndOffset, recoveryPointOf(harness)]).toEqual([1, 1, 1]);
});

it.each(['commit', 'os', 'interval:50'] as const)(
  'moves the recovery point behind what was synced when it rolled (flush %s)',
  async (flush) => {
    const files = new SimulatedFileSystem();
    const harness = new LogHarness({ files, flush, config: { segmentBytes: 200 } });
    const log = await harness.open();
    for (let i = 0; i < 12; i++) await harness.append(log, batch([`v${i}`]));
    await harness.clock.advance(50);
    const bases = files.list(harness.directory).filter((name) => name.endsWith('.log'));
    const activeBase = Number.parseInt(bases.at(-1)!, 10);
    expect([bases.length > 3, recoveryPointOf(harness)]).toEqual([true, activeBase]);
    files.losePower();
    const recovered = await values(await harness.open());
    expect(recovered.length).toBeGreaterThanOrEqual(activeBase);
    expect(recovered).toEqual(Array.from({ length: recovered.length }, (_, i) => `v${i}`));
  },
);

it("leaves the active segment to the kernel in mode 'os'", async () => {
  const files = new SimulatedFileSystem();
  const harness = new LogHarness({ files, flush: 'os', config: { segmentBytes: 200 } });
  const log = await harness.open();
  for (let i = 0; i < 4; i++) await harness.append(log, batch([`v${i}`]));
  const bases = files.list(harness.directory).filter((name) => name.endsWith('.log'));
  expect(bases.length).toBeGreaterThan(1);
  files.losePower();
  expect((await harness.open()).logEndOffset).toBe(Number.parseInt(bases.at(-1)!, 10));
});

it('waits for a sync under way before it closes the files', async () => {
  const files = new SimulatedFileSystem();
  const harness = new LogHarness({ files, flush: 'interval:50' });
  const log = await harness.open();
  await harness.append(log, batch(['a']));
  await Promise.all([harness.clock.advance(50), log.close(), harness.settle()]);
  expect(harness.failures).toEqual([]);
  files.losePower();
  expect(await values(await harness.open({ wasClosedCleanly: true }))).toEqual(['a']);
});

it('syncs after a crash only what the crash may have left unsynced', async () => {
  const files = new SimulatedFileSystem();
  const harness = new LogHarness({ files, tailCacheBytes: 0 });
  let log = await harness.open();
  await harness.append(log, batch(['a'], producer));
  files.killProcess();
  const open = async (): Promise<void> => void (log = await harness.open());
  expect(await syncsOf(files, open), 'with records since the recovery point').toEqual([
    '00000000000000000000.log',
    'leader-epoch-checkpoint.tmp',
    'orders-0',
  ]);
  await harness.close(log);
  log = await harness.open({ wasClosedCleanly: true });
  for (const crash of [() => files.killProcess(), () => files.losePower()]) {
    crash();
    expect(await syncsOf(files, open), 'as it was closed').toEqual(['leader-epoch-checkpoint.tmp', 'orders-0']);
    expect(await syncsOf(files, () => harness.close(log))).toEqual([]);
    files.losePower();
    log = await harness.open({ wasClosedCleanly: true });
    expect([await values(log), log.activeProducers.length]).toEqual([['a'], 1]);
  }
  expect(log.leaderEpoch).toBe(3);
});

it('is not at rest after a crash if an index, a snapshot or the recovery point is not that of the end', async () => {
  const base = '/data/orders-0/00000000000000000000';
  for (const damaged of [`${base}.index`, `${base}.timeindex`, '/data/orders-0/00000000000000000003.snapshot', null]) {
    const files = new SimulatedFileSystem();
    const harness = new LogHarness({ files, config: { indexIntervalBytes: 1 } });
    let log = await harness.open();
    for (const value of ['a', 'b', 'c']) await harness.append(log, batch([value]));
    await harness.close(log);
    log = await harness.open({ wasClosedCleanly: true });
    if (damaged === null) await harness.append(log, batch(['d']));
    else files.open(damaged, 'write').writev([Uint8Array.of(0x7f)], 0);
    files.killProcess();
    log = await harness.open();
    expect((await syncsOf(files, () => harness.close(log))).length, String(damaged)).toBeGreaterThan(0);
    expect(await values(await harness.open({ wasClosedCleanly: true }))).toEqual(
      ['a', 'b', 'c', 'd'].slice(0, log.logEndOffset),
    );
  }
});

it('takes the recovery point back where a damaged disk has lost what was durable', async () => {
  const files = new SimulatedFileSystem();
  const harness = new LogHarness({ files });
  const log = await harness.open();
  for (const value of ['a', 'b']) await harness.append(log, batch([value]));
  await harness.close(log);
  expect(recoveryPointOf(harness)).toBe(2);
  const path = `${harness.directory}/00000000000000000000.log`;
  files.open(path, 'write').writev([Uint8Array.of(0xee)], files.stat(path)!.sizeBytes - 1);
  files.killProcess();
  expect([(await harness.open()).logEndOffset, recoveryPointOf(harness)]).toEqual([1, 0]);
});

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { nodeFileSystem } from '@millrace/platform';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { workerCompactor } from './compactors.ts';
import { batch, LogHarness, readAll } from './testing/harness.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(`${tmpdir()}/millrace-log-`);
});
afterEach(() => rmSync(directory, { recursive: true }));

/** On the real file system, where syncs take real time. */
async function append(harness: LogHarness, commits: readonly Promise<void>[]): Promise<void> {
  let isDone = false;
  const done = Promise.all(commits).finally(() => (isDone = true));
  while (!isDone) await harness.clock.advance(0);
  await done;
}

function newHarness(): LogHarness {
  return new LogHarness({
    files: nodeFileSystem(),
    directory: `${directory}/orders-0`,
    config: { cleanupPolicy: 'compact', segmentBytes: 2000 },
  });
}

it('compacts in a thread, one log after the other, on the real file system', async () => {
  const harness = newHarness();
  const log = await harness.open();
  const compactor = workerCompactor();
  for (let round = 0; round < 2; round++) {
    const batches = Array.from({ length: 200 }, (_, i) => batch([{ key: `k${i % 5}`, value: `${round} ${i}` }]));
    await append(
      harness,
      batches.map((bytes) => log.append(bytes, 'client').commit.done),
    );
    const { bytesBefore, bytesAfter } = await log.compact(compactor);
    expect(bytesBefore).toBeGreaterThan(10_000);
    expect(bytesAfter).toBeLessThan(1500);
  }
  await compactor.close();
  const last = new Map((await readAll(log)).map((record) => [record.key, record.value]));
  expect(last).toEqual(new Map(Array.from({ length: 5 }, (_, i) => [`k${i}`, `1 ${195 + i}`])));
  await append(harness, [log.close()]);
});

it('tells of a damaged batch, and leaves the log as it was', async () => {
  const harness = newHarness();
  const log = await harness.open();
  const batches = Array.from({ length: 60 }, (_, i) => batch([{ key: 'k', value: `v${i}` }]));
  await append(
    harness,
    batches.map((bytes) => log.append(bytes, 'client').commit.done),
  );
  const file = harness.files.open(`${harness.directory}/00000000000000000000.log`, 'write');
  file.writev([Uint8Array.of(0xff)], 65);
  file.close();
  const compactor = workerCompactor();
  await expect(log.compact(compactor)).rejects.toMatchObject({ context: { code: 'CORRUPT_LOG' } });
  await compactor.close();
  expect(log.logEndOffset).toBe(60);
  expect(harness.files.list(harness.directory).filter((name) => name.endsWith('.cleaned'))).toEqual([]);
  await append(harness, [log.close()]);
});

it('refuses work when it is closed, and gives up what is under way', async () => {
  const harness = newHarness();
  const log = await harness.open();
  const batches = Array.from({ length: 60 }, (_, i) => batch([{ key: 'k', value: `v${i}` }]));
  await append(
    harness,
    batches.map((bytes) => log.append(bytes, 'client').commit.done),
  );
  const compactor = workerCompactor();
  const failed = expect(log.compact(compactor)).rejects.toMatchObject({ code: 'KAFKA_STORAGE_ERROR' });
  await compactor.close();
  await failed;
  await expect(log.compact(compactor)).rejects.toMatchObject({ code: 'KAFKA_STORAGE_ERROR' });
  expect((await readAll(log)).length).toBe(60);
  await append(harness, [log.close()]);
});

import { SimulatedFileSystem } from '@millrace/platform/simulated';
import { expect, it } from 'vitest';
import type { PartitionLog } from './partition-log.ts';
import { batch, LogHarness, readAll, values } from './testing/harness.ts';

const path = (name: string): string => `/data/orders-0/${name}`;
const firstLog = path('00000000000000000000.log');

async function filled(config: object = {}): Promise<{ harness: LogHarness; log: PartitionLog }> {
  const harness = new LogHarness({
    files: new SimulatedFileSystem(),
    config: { segmentBytes: 300, indexIntervalBytes: 80, ...config },
    tailCacheBytes: 0,
  });
  const log = await harness.open();
  for (let i = 0; i < 12; i++) await harness.append(log, batch([{ value: `v${i}`, timestampMs: 1000 + i }]));
  return { harness, log };
}

const all = Array.from({ length: 12 }, (_, i) => `v${i}`);

function overwrite(harness: LogHarness, name: string, position: number, bytes: Uint8Array): void {
  const file = harness.files.open(name, 'write');
  file.writev([bytes], position);
  file.close();
}

function cut(harness: LogHarness, name: string, sizeBytes: number): void {
  const file = harness.files.open(name, 'write');
  file.truncate(sizeBytes);
  file.close();
}

it('lays segments out as Kafka does', async () => {
  const { harness, log } = await filled();
  await harness.close(log);
  const names = harness.files.list(harness.directory);
  const logs = names.filter((name) => name.endsWith('.log'));
  expect(logs.slice(0, 2)).toEqual(['00000000000000000000.log', '00000000000000000004.log']);
  const read = (name: string): Buffer => {
    const file = harness.files.open(path(name), 'read');
    const bytes = Buffer.alloc(file.size());
    file.readSync(bytes, 0);
    file.close();
    return bytes;
  };
  // By hand, from the layout alone: offsets follow each other, epochs and magic are where they belong.
  let next = 0;
  for (const name of logs) {
    expect(Number(name.slice(0, 20))).toBe(next);
    const bytes = read(name);
    const offsetIndex = read(name.replace('.log', '.index'));
    const timeIndex = read(name.replace('.log', '.timeindex'));
    const batches = new Map<number, number>();
    for (let at = 0; at < bytes.length; at += 12 + bytes.readInt32BE(at + 8)) {
      expect(bytes.readBigInt64BE(at)).toBe(BigInt(next));
      expect([bytes.readInt32BE(at + 12), bytes.readInt8(at + 16), bytes.readInt32BE(at + 57)]).toEqual([0, 2, 1]);
      batches.set(next - Number(name.slice(0, 20)), at);
      next++;
    }
    for (let at = 0; at < offsetIndex.length; at += 8) {
      expect(batches.get(offsetIndex.readInt32BE(at))).toBe(offsetIndex.readInt32BE(at + 4));
    }
    expect(offsetIndex.length).toBe(8 * Math.floor((batches.size - 1) / 2)); // every second batch crosses 80 bytes
    for (let at = 0; at < timeIndex.length; at += 12) {
      expect(timeIndex.readBigInt64BE(at)).toBe(
        BigInt(1000 + Number(name.slice(0, 20)) + timeIndex.readInt32BE(at + 8)),
      );
    }
    expect(timeIndex.readInt32BE(timeIndex.length - 4)).toBe(batches.size - 1); // the last is the largest
  }
  expect(next).toBe(12);
  expect(read('partition.metadata').toString()).toBe('version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ\n');
  expect(read('leader-epoch-checkpoint').toString()).toBe('0\n1\n0 0\n');
  expect(read('recovery-point-offset-checkpoint').toString()).toBe('0\n1\norders 0 12\n');
  const snapshot = read('00000000000000000012.snapshot');
  expect([snapshot.length, snapshot.readInt16BE(0), snapshot.readInt32BE(6)]).toEqual([10, 1, 0]);

  const reopened = await harness.open({ wasClosedCleanly: true });
  await Promise.all([reopened.deleteRecordsBefore(1), harness.settle()]);
  expect(read('log-start-offset-checkpoint').toString()).toBe('0\n1\norders 0 1\n');
});

it('builds indexes anew that are missing, cut short or damaged', async () => {
  for (const wasClosedCleanly of [true, false]) {
    for (const damage of ['remove', 'cut', 'garble'] as const) {
      for (const suffix of ['.index', '.timeindex']) {
        const { harness, log } = await filled();
        await harness.close(log);
        for (const name of harness.files.list(harness.directory).filter((other) => other.endsWith(suffix))) {
          if (damage === 'remove') harness.files.remove(path(name));
          else if (damage === 'garble') overwrite(harness, path(name), 0, new Uint8Array(24).fill(0xff));
          else cut(harness, path(name), 7);
        }
        const reopened = await harness.open({ wasClosedCleanly });
        const what = `${damage} ${suffix}, closed ${wasClosedCleanly}`;
        expect(await values(reopened), what).toEqual(all);
        for (let i = 0; i < 12; i++) {
          expect(await reopened.offsetForTimestamp(1000 + i, 'read_uncommitted'), what).toMatchObject({ offset: i });
        }
      }
    }
  }
});

it('cuts the log at the first damaged batch behind the recovery point, and drops what follows', async () => {
  const { harness, log } = await filled();
  // In the last segment, which is not known to be durable.
  const logs = harness.files.list(harness.directory).filter((name) => name.endsWith('.log'));
  const last = logs.at(-1)!;
  const base = Number(last.slice(0, 20));
  expect([logs.length, base, log.logEndOffset]).toEqual([3, 8, 12]);
  overwrite(harness, path(last), 61, Uint8Array.of(0xee));
  (harness.files as SimulatedFileSystem).killProcess();
  const reopened = await harness.open();
  expect(reopened.logEndOffset).toBe(base);
  expect(reopened.leaderEpoch).toBe(1);
});

it('finds its way where an index is whole but wrong', async () => {
  const { harness, log } = await filled();
  await harness.close(log);
  for (const name of harness.files.list(harness.directory)) {
    if (name.endsWith('.index')) overwrite(harness, path(name), 0, Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 99));
  }
  const reopened = await harness.open({ wasClosedCleanly: true });
  for (let from = 0; from < 12; from++) {
    expect((await readAll(reopened, from)).map((record) => record.value)).toEqual(all.slice(from));
  }
});

it('takes pages of zeros, and a batch whose offset goes back, for the end', async () => {
  for (const bytes of [new Uint8Array(4096), 'an older offset' as const]) {
    const { harness, log } = await filled({ segmentBytes: 100_000 });
    const size = log.sizeBytes;
    if (typeof bytes !== 'string') overwrite(harness, firstLog, size, bytes);
    else overwrite(harness, firstLog, positionOf(harness, 10), new Uint8Array(8)); // outside the CRC
    (harness.files as SimulatedFileSystem).killProcess();
    const reopened = await harness.open();
    expect(await values(reopened)).toEqual(typeof bytes === 'string' ? all.slice(0, 10) : all);
    expect(harness.files.stat(firstLog)?.sizeBytes).toBe(reopened.sizeBytes);
  }
});

function positionOf(harness: LogHarness, offset: number): number {
  const file = harness.files.open(firstLog, 'read');
  const bytes = Buffer.alloc(file.size());
  file.readSync(bytes, 0);
  file.close();
  let at = 0;
  while (bytes.readBigInt64BE(at) < BigInt(offset)) at += 12 + bytes.readInt32BE(at + 8);
  return at;
}

it('trusts what was closed cleanly', async () => {
  const { harness, log } = await filled({ segmentBytes: 100_000 });
  await harness.close(log);
  overwrite(harness, firstLog, 61, Uint8Array.of(0xee));
  const reopened = await harness.open({ wasClosedCleanly: true });
  expect(reopened.logEndOffset).toBe(12);
  expect(reopened.leaderEpoch).toBe(0);
});

it('removes what belongs to no segment, and files that a compaction did not finish', async () => {
  const { harness, log } = await filled();
  await harness.close(log);
  const stray = [
    '00000000000000000002.index',
    '00000000000000000000.log.cleaned',
    '00000000000000000000.index.swap',
    '00000000000000000004.log.deleted',
    'leader-epoch-checkpoint.tmp',
  ];
  for (const name of stray) overwrite(harness, path(name), 0, Uint8Array.of(1));
  const reopened = await harness.open({ wasClosedCleanly: true });
  expect(await values(reopened)).toEqual(all);
  const names = harness.files.list(harness.directory);
  expect(stray.filter((name) => names.includes(name))).toEqual([]);
});

it('refuses the directory of another topic of the same name', async () => {
  const { harness, log } = await filled();
  await harness.close(log);
  overwrite(harness, path('partition.metadata'), 0, Buffer.from('version: 0\ntopic_id: BBBBBBBBBBBBBBBBBBBBBB\n'));
  await expect(harness.open()).rejects.toMatchObject({ code: 'INCONSISTENT_TOPIC_ID' });
});

it('uses an older snapshot of producers, and the log, where the last one is damaged', async () => {
  const { harness, log } = await filled();
  for (let i = 0; i < 6; i++) {
    await harness.append(log, batch(['p'], { producerId: 1, producerEpoch: 0, baseSequence: i }));
  }
  await harness.close(log);
  const snapshots = harness.files.list(harness.directory).filter((name) => name.endsWith('.snapshot'));
  for (const name of snapshots.slice(1)) overwrite(harness, path(name), 8, Uint8Array.of(0xff));
  const reopened = await harness.open({ wasClosedCleanly: true });
  expect(reopened.activeProducers).toMatchObject([{ producerId: 1, lastSequence: 5 }]);
  expect((await readAll(reopened)).length).toBe(18);
});

it('takes nothing for a segment but what is named like one', async () => {
  for (const name of ['notes.log', '00000000000000000001.old.log', 'notes.cleaned', 'notes.log.swap']) {
    for (const wasClosedCleanly of [true, false]) {
      const { harness, log } = await filled();
      await harness.close(log);
      overwrite(harness, path(name), 0, Uint8Array.of(1));
      const reopened = await harness.open({ wasClosedCleanly });
      expect([reopened.logEndOffset, await values(reopened)], name).toEqual([12, all]);
      expect(harness.files.list(harness.directory), name).toContain(name);
    }
  }
});

it('makes its own name durable, if a start that was killed had only made it', async () => {
  for (let at = 1; at < 12; at++) {
    const files = new SimulatedFileSystem();
    files.makeDirectory('/data');
    await files.syncDirectory('/');
    const harness = new LogHarness({ files });
    files.losePowerAt(files.operationCount + at);
    await harness.open().catch(() => {}); // the process dies with it, the machine lives
    files.killProcess();
    const log = await harness.open();
    await harness.append(log, batch(['a']));
    files.losePower();
    expect(await values(await harness.open()), `killed at operation ${at}`).toEqual(['a']);
  }
});

it.each(['', ', which took the snapshot'])(
  'knows producers whose segments were deleted, after a crash%s, and power fails again',
  async (what) => {
    const files = new SimulatedFileSystem();
    const harness = new LogHarness({ files, config: { segmentBytes: 100, fileDeleteDelayMs: 0 } });
    let log = await harness.open();
    const producer = { producerId: 7, producerEpoch: 3, baseSequence: 0, isTransactional: true };
    await harness.append(log, batch(['a'], producer));
    log.append(batch(['b']), 'client'); // rolls: the snapshot of producers is in the page cache
    files.killProcess();
    await harness.settle();
    if (what !== '') files.remove(`${harness.directory}/00000000000000000001.snapshot`);
    log = await harness.open();
    expect([log.logEndOffset, log.activeProducers.length]).toEqual([1, 1]);
    await Promise.all([log.deleteRecordsBefore(1), harness.settle()]);
    files.losePower();
    log = await harness.open();
    expect([log.logStartOffset, log.activeProducers]).toMatchObject([
      1,
      [{ producerId: 7, producerEpoch: 3, lastSequence: 0, currentTransactionFirstOffset: 0 }],
    ]);
  },
);

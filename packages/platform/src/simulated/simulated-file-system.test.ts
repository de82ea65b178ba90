import { expect, it } from 'vitest';
import type { FileSystem } from '../file-system.ts';
import { SeededRandom } from './seeded-random.ts';
import { SimulatedFileSystem } from './simulated-file-system.ts';
import { VirtualClock } from './virtual-clock.ts';

function content(files: FileSystem, path: string): string | undefined {
  if (files.stat(path) === undefined) return undefined;
  const file = files.open(path, 'read');
  const bytes = new Uint8Array(file.size());
  file.readSync(bytes, 0);
  file.close();
  return Buffer.from(bytes).toString();
}

async function write(files: FileSystem, path: string, text: string, isSynced: boolean): Promise<void> {
  const file = files.open(path, 'write');
  file.writev([Buffer.from(text)], 0);
  if (isSynced) await file.datasync();
  file.close();
}

it('forgets bytes that were not synced and names whose directory was not', async () => {
  const files = new SimulatedFileSystem();
  await write(files, '/both', 'kept', true);
  await write(files, '/unsynced-bytes', 'lost', false);
  await files.syncDirectory('/');
  await write(files, '/unsynced-name', 'lost', true);
  await write(files, '/both', 'lost', false);
  files.losePower();
  expect(files.list('/')).toEqual(['both', 'unsynced-bytes']);
  expect([content(files, '/both'), content(files, '/unsynced-bytes')]).toEqual(['kept', '']);
});

it('takes a rename for one change, which is undone whole', async () => {
  const files = new SimulatedFileSystem();
  await write(files, '/a', 'new', true);
  await write(files, '/b', 'old', true);
  await files.syncDirectory('/');
  files.rename('/a', '/b');
  expect([content(files, '/a'), content(files, '/b')]).toEqual([undefined, 'new']);
  for (let seed = 0; seed < 20; seed++) {
    const random = new SeededRandom(seed);
    files.losePower(seed === 0 ? {} : { random });
    expect([
      [undefined, 'new'],
      ['new', 'old'],
    ]).toContainEqual([content(files, '/a'), content(files, '/b')]);
    if (files.stat('/a') === undefined) return; // once durable, it stays
    files.rename('/a', '/b');
  }
  throw new Error('a rename that was not synced never survived');
});

it('loses a directory with all that is in it', async () => {
  const files = new SimulatedFileSystem();
  files.makeDirectory('/data/logs');
  await write(files, '/data/logs/a', 'a', true);
  await files.syncDirectory('/data/logs');
  await files.syncDirectory('/data');
  files.losePower();
  expect(files.list('/')).toEqual([]);
});

it('keeps any part of what was not synced, by sectors and torn ones, and never touches what was', async () => {
  const outcomes = new Set<string>();
  for (let seed = 0; seed < 300; seed++) {
    const files = new SimulatedFileSystem();
    await write(files, '/a', 'd'.repeat(512), true);
    await files.syncDirectory('/');
    const file = files.open('/a', 'write');
    file.writev([Buffer.from('x'.repeat(1024))], 512);
    files.losePower({ random: new SeededRandom(seed) });
    const text = content(files, '/a')!;
    expect(text.slice(0, 512)).toBe('d'.repeat(512));
    expect(text.length).toBeLessThanOrEqual(1536);
    const rest = text.slice(512);
    expect(rest).toMatch(/^[x\0]*$/);
    const isTorn = /x\0/.test(rest.slice(0, 512)) || /x\0/.test(rest.slice(512));
    outcomes.add(
      `${rest.length === 0 ? 'short' : rest.length === 1024 ? 'whole' : 'between'} ${isTorn ? 'torn' : /x/.test(rest) ? 'sectors' : 'zeros'}`,
    );
  }
  expect([...outcomes].toSorted((a, b) => (a < b ? -1 : 1))).toEqual([
    'between sectors',
    'between torn',
    'between zeros',
    'short zeros',
    'whole sectors',
    'whole torn',
    'whole zeros',
  ]);
});

it('gives the same for the same seed', async () => {
  const run = (): string => {
    const files = new SimulatedFileSystem();
    files.open('/a', 'write').writev([Buffer.alloc(5000, 'x')], 0);
    files.losePower({ random: new SeededRandom(6) });
    return `${files.list('/').join()} ${content(files, '/a')?.length}`;
  };
  expect(run()).toBe(run());
});

it('makes durable what was written before the sync was called, and nothing later', async () => {
  const clock = new VirtualClock();
  const files = new SimulatedFileSystem({ clock, syncLatencyMs: 10 });
  const file = files.open('/a', 'write');
  const synced = Promise.all([files.syncDirectory('/'), clock.advance(10)]);
  await synced;
  file.writev([Buffer.from('before')], 0);
  const done = file.datasync();
  file.writev([Buffer.from('BEHIND')], 0);
  await clock.advance(9);
  let isDone = false;
  void done.then(() => (isDone = true));
  await clock.advance(0);
  expect(isDone).toBe(false);
  await clock.advance(1);
  expect(isDone).toBe(true);
  files.losePower();
  expect(content(files, '/a')).toBe('before');
});

it('fails open files for good after a power cut or the death of the process, which keeps what was written', async () => {
  const files = new SimulatedFileSystem();
  const file = files.open('/a', 'write');
  file.writev([Buffer.from('a')], 0);
  expect(files.lock('/lock')).toBeDefined();
  expect(files.lock('/lock')).toBeUndefined();
  files.killProcess();
  expect(content(files, '/a')).toBe('a');
  expect(files.lock('/lock')).toBeDefined();
  for (const use of [() => file.size(), () => file.writev([], 0), () => file.truncate(0)]) {
    expect(use).toThrow(expect.objectContaining({ errno: 'EIO' }));
  }
  await expect(file.datasync()).rejects.toMatchObject({ errno: 'EIO' });
});

it('loses power at an operation, and in the midst of a write', async () => {
  const files = new SimulatedFileSystem();
  await write(files, '/a', 'one', true);
  await files.syncDirectory('/');
  files.losePowerAt(files.operationCount + 2);
  const file = files.open('/a', 'write');
  file.writev([Buffer.from('two')], 0);
  await expect(file.datasync()).rejects.toMatchObject({ errno: 'EIO' });
  expect(() => files.list('/')).toThrow(expect.objectContaining({ errno: 'EIO' }));
  files.losePower();
  expect(content(files, '/a')).toBe('one');

  files.losePowerAfter(2);
  const again = files.open('/a', 'write');
  expect(() => again.writev([Buffer.from('TW'), Buffer.from('O')], 0)).toThrow(
    expect.objectContaining({ errno: 'EIO' }),
  );
  files.losePower();
  expect(content(files, '/a')).toBe('TWe');
});

it('fills up, fails syncs, turns read-only and wears out when told', async () => {
  const files = new SimulatedFileSystem();
  const file = files.open('/a', 'write');
  files.limitCapacity(5);
  file.writev([Buffer.from('12345')], 0);
  expect(() => file.writev([Buffer.from('67')], 4)).toThrow(expect.objectContaining({ errno: 'ENOSPC' }));
  expect(content(files, '/a')).toBe('12346');
  files.failSyncs(/a$/);
  await expect(file.datasync()).rejects.toMatchObject({ errno: 'EIO' });
  files.failSyncs(undefined);
  files.setReadOnly(true);
  expect(() => files.rename('/a', '/b')).toThrow(expect.objectContaining({ errno: 'EROFS' }));
  files.setReadOnly(false);
  files.wearOutAfter(1);
  files.rename('/a', '/b');
  expect(() => files.remove('/b')).toThrow(expect.objectContaining({ errno: 'EIO' }));
});

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { expect, it } from 'vitest';
import type { FileSystem } from './file-system.ts';
import { memoryFileSystem } from './memory-file-system.ts';
import { nodeFileSystem } from './node-file-system.ts';
import { SimulatedFileSystem } from './simulated/index.ts';

/** Both disks in memory keep to what `FileSystem` says, as the real one does. */
const disks: readonly [string, () => FileSystem][] = [
  ['memoryFileSystem', () => memoryFileSystem()],
  ['SimulatedFileSystem', () => new SimulatedFileSystem()],
];

it.each(disks)('%s copies what is written, wherever it lies, and reads as far as the file goes', async (_, make) => {
  const files = make();
  files.makeDirectory('/d/e');
  const file = files.open('/d/e/a', 'write');
  const part = new Uint8Array(100_000).fill(1);
  file.writev([part, new Uint8Array(70_000).fill(2)], 10);
  part.fill(9);
  expect(file.size()).toBe(170_010);
  const all = new Uint8Array(200_000).fill(7);
  expect(file.readSync(all, 0)).toBe(170_010);
  expect([all[0], all[9], all[10], all[100_009], all[100_010], all[170_009], all[170_010]]).toEqual([
    0, 0, 1, 1, 2, 2, 7,
  ]);
  expect(await file.read(new Uint8Array(10), 170_005)).toBe(5);
  expect(await file.read(new Uint8Array(10), 170_010)).toBe(0);
});

it.each(disks)('%s cuts files, and shows zeros where they grow again', (_, make) => {
  const file = make().open('/a', 'write');
  file.writev([new Uint8Array(70_000).fill(1)], 0);
  for (const length of [65_537, 65_536, 65_535, 3]) {
    file.truncate(length);
    file.truncate(70_000);
    const bytes = new Uint8Array(70_000);
    file.readSync(bytes, 0);
    expect([bytes[length - 1], bytes.indexOf(0)], `cut to ${length}`).toEqual([1, length]);
  }
  file.truncate(0);
  expect(file.size()).toBe(0);
});

it.each(disks)('%s lists, renames and removes files and directories', (_, make) => {
  const files = make();
  files.makeDirectory('/d/b');
  files.makeDirectory('/d/b');
  files.open('/d/z', 'write').close();
  files.open('/d/b/x', 'write').close();
  files.open('/d/B', 'write').close();
  expect(files.list('/d')).toEqual(['B', 'b', 'z']);
  files.rename('/d/b', '/d/c');
  expect([files.list('/d'), files.list('/d/c')]).toEqual([['B', 'c', 'z'], ['x']]);
  files.rename('/d/z', '/d/B');
  files.remove('/d/c');
  files.remove('/d/not there');
  expect(files.list('/d')).toEqual(['B']);
  expect([files.stat('/d')?.kind, files.stat('/d/B')?.kind, files.stat('/d/z')]).toEqual([
    'directory',
    'file',
    undefined,
  ]);
});

it.each(disks)('%s refuses what a disk would', (_, make) => {
  const files = make();
  files.makeDirectory('/d');
  const refusals: [() => unknown, string][] = [
    [() => files.open('/missing', 'read'), 'ENOENT'],
    [() => files.open('/no/such/directory', 'write'), 'ENOENT'],
    [() => files.open('/d', 'write'), 'EISDIR'],
    [() => files.list('/no'), 'ENOENT'],
    [() => files.rename('/no', '/d/x'), 'ENOENT'],
  ];
  for (const [act, errno] of refusals) expect(act).toThrow(expect.objectContaining({ errno }));
  const lock = files.lock('/d/lock')!;
  expect(files.lock('/d/lock')).toBeUndefined();
  lock.release();
  expect(files.lock('/d/lock')).toBeDefined();
});

it.each([...disks, ['nodeFileSystem', nodeFileSystem] as const])(
  '%s refuses to lose what is in the way',
  async (_, make) => {
    const files = make();
    const real = mkdtempSync(`${tmpdir()}/millrace-disks-`);
    const root = `${real}/d`;
    try {
      files.makeDirectory(root);
      for (const name of ['full', 'empty', 'moved']) files.makeDirectory(`${root}/${name}`);
      files.open(`${root}/full/x`, 'write').close();
      files.open(`${root}/file`, 'write').close();
      const refusals: [() => unknown, string][] = [
        [() => files.rename(`${root}/moved`, `${root}/full`), 'ENOTEMPTY'],
        [() => files.rename(`${root}/moved`, `${root}/file`), 'ENOTDIR'],
        [() => files.rename(`${root}/file`, `${root}/empty`), 'EISDIR'],
        [() => files.makeDirectory(`${root}/file`), 'EEXIST'],
      ];
      for (const [act, errno] of refusals) expect(act, errno).toThrow(expect.objectContaining({ errno }));
      files.rename(`${root}/full`, `${root}/empty`);
      expect([files.list(root), files.list(`${root}/empty`)]).toEqual([['empty', 'file', 'moved'], ['x']]);
      await files.syncDirectory(root);
      await expect(files.syncDirectory(`${root}/full`)).rejects.toMatchObject({ errno: 'ENOENT' });
    } finally {
      rmSync(real, { recursive: true });
    }
  },
);

it.each([...disks, ['nodeFileSystem', nodeFileSystem] as const])('%s takes names of 255 bytes, no more', (_, make) => {
  const files = make();
  const real = mkdtempSync(`${tmpdir()}/millrace-disks-`);
  const root = `${real}/d`;
  const longest = `${'é'.repeat(127)}x`;
  try {
    files.makeDirectory(root);
    files.makeDirectory(`${root}/${longest}`);
    files.open(`${root}/file`, 'write').close();
    const refusals = [
      () => files.makeDirectory(`${root}/${longest}y`),
      () => files.open(`${root}/${longest}y`, 'write'),
      () => files.rename(`${root}/file`, `${root}/${longest}y`),
    ];
    for (const act of refusals) expect(act).toThrow(expect.objectContaining({ errno: 'ENAMETOOLONG' }));
    expect(files.list(root)).toEqual(['file', longest]);
  } finally {
    rmSync(real, { recursive: true });
  }
});

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { nodeFileSystem } from './node-file-system.ts';

const files = nodeFileSystem();
let directory: string;
beforeEach(() => void (directory = mkdtempSync(join(tmpdir(), 'millrace-files-'))));
afterEach(() => rmSync(directory, { recursive: true, force: true }));

it('writes more parts than one system call takes, and reads them back', async () => {
  const parts = Array.from({ length: 2500 }, (_, i) => Buffer.from(`${i},`));
  const file = files.open(join(directory, 'a'), 'write');
  file.writev([Buffer.from('0123456789')], 0);
  file.writev(parts, 4);
  await file.datasync();
  const expected = `0123${Buffer.concat(parts).toString()}`;
  const into = new Uint8Array(expected.length + 10);
  expect(await file.read(into, 0)).toBe(expected.length);
  expect(Buffer.from(into.subarray(0, expected.length)).toString()).toBe(expected);
  expect(file.readSync(into.subarray(0, 4), 2)).toBe(4);
  expect(Buffer.from(into.subarray(0, 4)).toString()).toBe('230,');
  file.truncate(3);
  expect(file.size()).toBe(3);
  file.close();
});

it('keeps what a file holds when it is opened for writing', () => {
  const path = join(directory, 'b');
  files.open(path, 'write').writev([Buffer.from('abc')], 0);
  expect(files.open(path, 'write').size()).toBe(3);
});

it('says which file, which error and what to do', () => {
  const path = join(directory, 'missing');
  expect(() => files.open(path, 'read')).toThrow(
    expect.objectContaining({ code: 'FILE_SYSTEM_ERROR', errno: 'ENOENT', context: expect.objectContaining({ path }) }),
  );
  expect(files.stat(path)).toBeUndefined();
  files.remove(path);
});

it('lists names by code unit, renames over a file, removes folders', () => {
  for (const name of ['b', 'B', 'a', 'ä', '10', '9']) files.open(join(directory, name), 'write').close();
  expect(files.list(directory)).toEqual(['10', '9', 'B', 'a', 'b', 'ä']);
  files.rename(join(directory, 'a'), join(directory, 'b'));
  files.makeDirectory(join(directory, 'x/y/z'));
  files.remove(join(directory, 'x'));
  expect(files.list(directory)).toEqual(['10', '9', 'B', 'b', 'ä']);
});

it.runIf(process.platform === 'linux')('takes a lock from an owner that was killed and is not buried yet', async () => {
  const path = join(directory, '.lock');
  // The shell does not wait for its child, which it only starts; so the child stays a zombie until the shell ends.
  const script =
    'sleep 60 & child=$!; cat /proc/$child/stat; cat /proc/sys/kernel/random/boot_id; kill -9 $child; exec sleep 60';
  const parent = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  let printed = '';
  for await (const chunk of parent.stdout) {
    printed += String(chunk);
    if (printed.split('\n').length === 3) break;
  }
  const [stat, boot] = printed.split('\n') as [string, string];
  const pid = Number(stat.split(' ')[0]);
  writeFileSync(path, `${pid} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}@${boot}\n`);
  // SIGKILL takes its time: until then the owner lives, and the lock is its own.
  let lock = files.lock(path);
  while (lock === undefined) lock = files.lock(path);
  parent.kill();
});

it('gives a lock to one owner, and takes it from a dead one', () => {
  const path = join(directory, '.lock');
  const mine = files.lock(path);
  expect(mine).toBeDefined();
  expect(files.lock(path)).toBeUndefined();
  mine!.release();
  // Process ids do not reach this number: the owner named here is dead.
  writeFileSync(path, '4194999 123@boot\n');
  const inherited = files.lock(path);
  expect(inherited).toBeDefined();
  inherited!.release();
  // A pid used again: alive, but it started at another time.
  writeFileSync(path, `${process.pid} 1@another-boot\n`);
  expect(files.lock(path)).toBeDefined();
});

it.runIf(process.platform === 'linux')(
  'says why a directory cannot be made, where only its last parts are missing',
  () => {
    // No directory can be made in /proc: asked for two, Node's own recursion never ends.
    const makeDirectory = (): void => files.makeDirectory('/proc/millrace/data');
    expect(makeDirectory).toThrow(
      expect.objectContaining({ context: expect.objectContaining({ operation: 'make directory' }) }),
    );
  },
);

it('makes a lock at once with its owner in it, and leaves nothing else behind', () => {
  const path = join(directory, '.lock');
  writeFileSync(path, ''); // a power cut took what was in it
  writeFileSync(`${path}.heir`, '4194999 123@boot\n'); // died in taking over
  const lock = files.lock(path);
  expect(readFileSync(path, 'utf8')).toMatch(new RegExp(`^${process.pid} `));
  expect([files.list(directory), files.lock(path)]).toEqual([['.lock'], undefined]);
  lock!.release();
  expect(files.list(directory)).toEqual([]);
});

import {
  closeSync,
  fdatasync,
  fstatSync,
  fsync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  open as openAsync,
  close as closeAsync,
  openSync,
  read,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
  writevSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { threadId } from 'node:worker_threads';
import { FileSystemError } from './errors.ts';
import type { File, FileLock, FileStat, FileSystem } from './file-system.ts';

/** The machine's files. */
export function nodeFileSystem(): FileSystem {
  return {
    open: (path, mode) => new NodeFile(path, mode),
    makeDirectory: (path) => attempt('make directory', path, () => makeDirectory(path)),
    list: (directory) => attempt('list', directory, () => readdirSync(directory).toSorted(byCodeUnit)),
    stat,
    rename: (from, to) => attempt('rename', from, () => renameSync(from, to)),
    remove: (path) => attempt('remove', path, () => rmSync(path, { recursive: true, force: true })),
    syncDirectory,
    lock,
  };
}

class NodeFile implements File {
  readonly path: string;
  readonly #fd: number;

  constructor(path: string, mode: 'read' | 'write') {
    this.path = path;
    this.#fd = attempt('open', path, () => {
      if (mode === 'read') return openSync(path, 'r');
      try {
        return openSync(path, 'r+');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
        return openSync(path, 'wx+');
      }
    });
  }

  size(): number {
    return attempt('stat', this.path, () => fstatSync(this.#fd).size);
  }

  writev(parts: readonly Uint8Array[], position: number): void {
    attempt('write', this.path, () => {
      if (parts.length === 1) return writeFully(this.#fd, parts[0]!, position);
      let totalBytes = 0;
      for (const part of parts) totalBytes += part.length;
      // The kernel takes 1,024 parts a call (IOV_MAX).
      let at = position;
      for (let first = 0; first < parts.length; first += 1024) {
        const slice = parts.length <= 1024 ? parts : parts.slice(first, first + 1024);
        let sliceBytes = 0;
        for (const part of slice) sliceBytes += part.length;
        const written = writevSync(this.#fd, slice as Uint8Array[], at);
        if (written < sliceBytes) writeRest(this.#fd, slice, written, at); // short: signal, or disk nearly full
        at += sliceBytes;
      }
    });
  }

  read(into: Uint8Array, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const step = (filled: number): void => {
        read(this.#fd, into, filled, into.length - filled, position + filled, (error, count) => {
          if (error) return reject(new FileSystemError('read', this.path, error));
          if (count === 0 || filled + count === into.length) return resolve(filled + count);
          step(filled + count);
        });
      };
      step(0);
    });
  }

  readSync(into: Uint8Array, position: number): number {
    return attempt('read', this.path, () => {
      let filled = 0;
      while (filled < into.length) {
        const count = readSync(this.#fd, into, filled, into.length - filled, position + filled);
        if (count === 0) break;
        filled += count;
      }
      return filled;
    });
  }

  truncate(length: number): void {
    attempt('truncate', this.path, () => ftruncateSync(this.#fd, length));
  }

  datasync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fdatasync(this.#fd, (error) => (error ? reject(new FileSystemError('sync', this.path, error)) : resolve()));
    });
  }

  close(): void {
    attempt('close', this.path, () => closeSync(this.#fd));
  }
}

function attempt<T>(operation: string, path: string, task: () => T): T {
  try {
    return task();
  } catch (error) {
    throw new FileSystemError(operation, path, error);
  }
}

function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function writeFully(fd: number, bytes: Uint8Array, position: number): void {
  let written = 0;
  while (written < bytes.length) {
    written += writeSync(fd, bytes, written, bytes.length - written, position + written);
  }
}

function writeRest(fd: number, parts: readonly Uint8Array[], skipBytes: number, position: number): void {
  let at = 0;
  for (const part of parts) {
    const skip = Math.min(part.length, Math.max(0, skipBytes - at));
    if (skip < part.length) writeFully(fd, part.subarray(skip), position + at + skip);
    at += part.length;
  }
}

/**
 * One level at a time: Node's own recursion answers ENOENT where the mount is read-only, and never returns where the parent is
 * there but takes no directories (/proc).
 */
function makeDirectory(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return;
    const parent = dirname(path);
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT' && parent !== path;
    if (!isMissing || statSync(parent, { throwIfNoEntry: false }) !== undefined) throw error;
    makeDirectory(parent);
    mkdirSync(path);
  }
}

function stat(path: string): FileStat | undefined {
  const found = attempt('stat', path, () => statSync(path, { throwIfNoEntry: false }));
  if (found === undefined) return undefined;
  return { kind: found.isDirectory() ? 'directory' : 'file', sizeBytes: found.size, modifiedMs: found.mtimeMs };
}

function syncDirectory(directory: string): Promise<void> {
  // Windows cannot sync a directory, and need not: NTFS journals its names.
  if (process.platform === 'win32') return Promise.resolve();
  return new Promise((resolve, reject) => {
    openAsync(directory, 'r', (openError, fd) => {
      if (openError) return reject(new FileSystemError('sync', directory, openError));
      fsync(fd, (error) => {
        closeAsync(fd, () => (error ? reject(new FileSystemError('sync', directory, error)) : resolve()));
      });
    });
  });
}

/**
 * Node has no flock, so the lock is a file that names its owner: pid and, where the system tells it, when that process
 * started, so that a pid used again after a reboot or a crash is not taken for the owner. Processes that share the file must
 * see each other's pids: two containers do not.
 */
function lock(path: string): FileLock | undefined {
  for (;;) {
    if (create(path)) return { release: () => rmSync(path, { force: true }) };
    if (ownerOf(path) === 'alive') return undefined;
    // Of several heirs one removes the file, or one that was slow would take that of the next owner away.
    const heir = `${path}.heir`;
    if (create(heir)) {
      if (ownerOf(path) === 'dead') attempt('lock', path, () => rmSync(path, { force: true }));
      rmSync(heir, { force: true });
      continue;
    }
    const other = ownerOf(heir);
    if (other === 'alive') return undefined; // it will have the lock in a moment
    if (other === 'dead') attempt('lock', heir, () => rmSync(heir, { force: true })); // died at it
  }
}

/** Makes a file that names this process, at once with its content: one that is still empty would pass for a dead owner's. False: there is one. */
function create(path: string): boolean {
  const draft = `${path}.${process.pid}.${threadId}`;
  return attempt('lock', path, () => {
    try {
      writeFileSync(draft, `${process.pid} ${startOf(process.pid) ?? '?'}\n`);
      linkSync(draft, path);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    } finally {
      rmSync(draft, { force: true });
    }
  });
}

/** Of the process that a lock file names; undefined: there is no such file (any more). */
function ownerOf(path: string): 'alive' | 'dead' | undefined {
  return attempt('lock', path, () => {
    let content: string;
    try {
      content = readFileSync(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
    const [pid = '', start = ''] = content.trim().split(' ');
    const isSame = (): boolean => start === '?' || startOf(Number(pid)) === start;
    return pid !== '' && isAlive(Number(pid)) && isSame() ? 'alive' : 'dead';
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * Clock ticks from boot to the start of the process, and the boot's id: field 22 of /proc/PID/stat. Linux only. `dead`: it was
 * killed, and its parent has not taken note (in a container without an init, nobody may ever).
 */
function startOf(pid: number): string | undefined {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return 'dead';
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    return `${fields[19]}@${boot}`;
  } catch {
    return undefined;
  }
}

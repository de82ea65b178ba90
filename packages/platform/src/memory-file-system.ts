import { checkName, refused } from './disk-in-memory.ts';
import type { File, FileLock, FileStat, FileSystem } from './file-system.ts';

const chunkBytes = 65_536;

/**
 * A disk in memory, for brokers that keep nothing and for fast tests: no durability, no faults, gone with the process.
 * What tears and forgets is `SimulatedFileSystem` in `@millrace/platform/simulated`.
 *
 *     const files = memoryFileSystem();
 *     files.makeDirectory('/data');
 *     files.open('/data/a', 'write').writev([Buffer.from('hello')], 0);
 *
 * @param now what `stat` gives as the time of modification, default always 0
 */
export function memoryFileSystem(now: () => number = () => 0): FileSystem {
  return new MemoryFileSystem(now);
}

class MemoryFileSystem implements FileSystem {
  readonly #now: () => number;
  /** undefined: a directory. */
  readonly #nodes: Map<string, Chunks | undefined> = new Map([['/', undefined]]);
  readonly #locks: Set<string> = new Set();

  constructor(now: () => number) {
    this.#now = now;
  }

  open(path: string, mode: 'read' | 'write'): File {
    let chunks = this.#nodes.get(path);
    if (chunks === undefined) {
      if (this.#nodes.has(path)) throw refused('open', path, 'EISDIR');
      if (mode === 'read' || !this.#nodes.has(parentOf(path))) throw refused('open', path, 'ENOENT');
      checkName('open', path);
      chunks = new Chunks(this.#now);
      this.#nodes.set(path, chunks);
    }
    return new MemoryFile(path, chunks);
  }

  makeDirectory(path: string): void {
    if (this.#nodes.get(path) !== undefined) throw refused('make directory', path, 'EEXIST');
    if (this.#nodes.has(path)) return;
    checkName('make directory', path);
    if (path !== parentOf(path)) this.makeDirectory(parentOf(path));
    this.#nodes.set(path, undefined);
  }

  list(directory: string): readonly string[] {
    if (!this.#nodes.has(directory)) throw refused('list', directory, 'ENOENT');
    const names: string[] = [];
    for (const path of this.#nodes.keys()) {
      if (path !== directory && parentOf(path) === directory) names.push(path.slice(path.lastIndexOf('/') + 1));
    }
    return names.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  }

  stat(path: string): FileStat | undefined {
    const chunks = this.#nodes.get(path);
    if (chunks !== undefined) return { kind: 'file', sizeBytes: chunks.length, modifiedMs: chunks.modifiedMs };
    return this.#nodes.has(path) ? { kind: 'directory', sizeBytes: 0, modifiedMs: 0 } : undefined;
  }

  rename(from: string, to: string): void {
    if (!this.#nodes.has(from) || !this.#nodes.has(parentOf(to))) throw refused('rename', from, 'ENOENT');
    checkName('rename', to);
    if (from === to) return;
    const isFile = this.#nodes.get(from) !== undefined;
    if (this.#nodes.get(to) !== undefined) {
      if (!isFile) throw refused('rename', from, 'ENOTDIR');
    } else if (this.#nodes.has(to)) {
      if (isFile) throw refused('rename', from, 'EISDIR');
      if (this.list(to).length > 0) throw refused('rename', from, 'ENOTEMPTY');
    }
    this.#nodes.delete(to);
    const moved = [...this.#nodes].filter(([path]) => path === from || path.startsWith(`${from}/`));
    for (const [path, node] of moved) {
      this.#nodes.delete(path);
      this.#nodes.set(to + path.slice(from.length), node);
    }
  }

  remove(path: string): void {
    if (this.#nodes.get(path) === undefined && this.#nodes.has(path)) {
      for (const other of this.#nodes.keys()) if (other.startsWith(`${path}/`)) this.#nodes.delete(other);
    }
    this.#nodes.delete(path);
  }

  async syncDirectory(directory: string): Promise<void> {
    if (!this.#nodes.has(directory)) throw refused('sync', directory, 'ENOENT');
  }

  lock(path: string): FileLock | undefined {
    if (this.#locks.has(path)) return undefined;
    this.#locks.add(path);
    return { release: () => void this.#locks.delete(path) };
  }
}

class MemoryFile implements File {
  readonly path: string;
  readonly #chunks: Chunks;

  constructor(path: string, chunks: Chunks) {
    this.path = path;
    this.#chunks = chunks;
  }

  size(): number {
    return this.#chunks.length;
  }

  writev(parts: readonly Uint8Array[], position: number): void {
    let at = position;
    for (const part of parts) {
      this.#chunks.write(part, at);
      at += part.length;
    }
  }

  read(into: Uint8Array, position: number): Promise<number> {
    return Promise.resolve(this.#chunks.read(into, position));
  }

  readSync(into: Uint8Array, position: number): number {
    return this.#chunks.read(into, position);
  }

  truncate(length: number): void {
    this.#chunks.truncate(length);
  }

  datasync(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {
    // Nothing is held.
  }
}

/** Bytes in chunks, so that a growing file is never copied. */
class Chunks {
  readonly #now: () => number;
  readonly #chunks: Uint8Array[] = [];
  length = 0;
  modifiedMs: number;

  constructor(now: () => number) {
    this.#now = now;
    this.modifiedMs = now();
  }

  write(bytes: Uint8Array, position: number): void {
    this.#reach(position + bytes.length);
    for (let done = 0; done < bytes.length;) {
      const at = position + done;
      const offset = at % chunkBytes;
      const count = Math.min(bytes.length - done, chunkBytes - offset);
      this.#chunks[(at - offset) / chunkBytes]!.set(bytes.subarray(done, done + count), offset);
      done += count;
    }
    this.modifiedMs = this.#now();
  }

  read(into: Uint8Array, position: number): number {
    const total = Math.max(0, Math.min(into.length, this.length - position));
    for (let done = 0; done < total;) {
      const at = position + done;
      const offset = at % chunkBytes;
      const count = Math.min(total - done, chunkBytes - offset);
      into.set(this.#chunks[(at - offset) / chunkBytes]!.subarray(offset, offset + count), done);
      done += count;
    }
    return total;
  }

  truncate(length: number): void {
    if (length >= this.length) return this.#reach(length);
    this.#chunks.length = Math.ceil(length / chunkBytes);
    this.#chunks.at(-1)?.fill(0, length % chunkBytes || chunkBytes); // growing again shows zeros
    this.length = length;
    this.modifiedMs = this.#now();
  }

  #reach(length: number): void {
    while (this.#chunks.length * chunkBytes < length) this.#chunks.push(new Uint8Array(chunkBytes));
    this.length = Math.max(this.length, length);
  }
}

/** Of `/a/b` it is `/a`; relative paths are below `.`. */
function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  if (slash < 0) return path === '.' ? '/' : '.';
  return slash === 0 ? '/' : path.slice(0, slash);
}

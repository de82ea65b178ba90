import assert from 'node:assert/strict';
import type { Clock } from '../clock.ts';
import { checkName, refused } from '../disk-in-memory.ts';
import type { File, FileLock, FileStat, FileSystem } from '../file-system.ts';
import type { SeededRandom } from './seeded-random.ts';

/** What a disk writes whole or, when it loses power, tears. */
const sectorBytes = 512;

export interface SimulatedFileSystemOptions {
  /** With it and `syncLatencyMs`, `datasync` and `syncDirectory` take time; without, they are done when their promise settles. */
  readonly clock?: Clock | undefined;
  /** Default 0: at once. */
  readonly syncLatencyMs?: number | undefined;
}

/** An operation that changes the disk, as `onOperation` sees it just before it happens. */
export interface DiskOperation {
  /** Counts from 1. */
  readonly number: number;
  readonly kind:
    | 'create'
    | 'makeDirectory'
    | 'rename'
    | 'remove'
    | 'syncDirectory'
    | 'writev'
    | 'truncate'
    | 'datasync';
  readonly path: string;
}

/**
 * A disk in memory that knows written from durable. Bytes are durable after `datasync`, names after `syncDirectory`; the rest
 * is lost, wholly or in part, when power fails.
 *
 *     const files = new SimulatedFileSystem();
 *     const file = files.open('/a', 'write');
 *     file.writev([Buffer.from('hello')], 0);
 *     files.losePower(); // the name was never synced: nothing is left
 *     files.stat('/a'); // undefined
 *
 * After a power cut or the death of the process (`losePower`, `killProcess`), files that were open are dead: each call on
 * them fails with `EIO`. The file system itself is that of the next start.
 */
export class SimulatedFileSystem implements FileSystem {
  readonly #clock: Clock | undefined;
  readonly #syncLatencyMs: number;
  /** What the running system sees. */
  #names: Map<string, Node> = new Map([['/', directoryNode()]]);
  /** What would be there after a power cut. */
  #durableNames: Map<string, Node> = new Map(this.#names);
  /** Changes of names that no `syncDirectory` has made durable, oldest first. */
  #pendingNames: NameChange[] = [];
  readonly #locks: Set<string> = new Set();
  #generation = 0;
  #operations = 0;
  #isDead = false;
  #powerFailsAt = Infinity;
  #bytesUntilPowerFails = Infinity;
  #capacityBytes = Infinity;
  #operationsUntilWornOut = Infinity;
  #failingSyncs: RegExp | undefined;
  #isReadOnly = false;
  #listener: ((operation: DiskOperation) => void) | undefined;

  constructor(options: SimulatedFileSystemOptions = {}) {
    this.#clock = options.clock;
    this.#syncLatencyMs = options.syncLatencyMs ?? 0;
  }

  // --- faults

  /** Changing operations so far: the points where a test may let power fail. */
  get operationCount(): number {
    return this.#operations;
  }

  /** Power fails instead of the operation of this number (`operationCount` counts): it and all that follow fail with `EIO`. */
  losePowerAt(operation: number): void {
    this.#powerFailsAt = operation;
  }

  /** The next bytes written, this many, are durable at once; then power fails in the midst of the write. */
  losePowerAfter(keptBytes: number): void {
    this.#bytesUntilPowerFails = keptBytes;
  }

  /**
   * Power fails now, and the machine starts again. What was synced is there. Of the rest nothing is, or, with `random`, any
   * part: sectors singly, torn ones, sizes between the old and the new, names or not.
   */
  losePower(options: { readonly random?: SeededRandom | undefined } = {}): void {
    this.#restart();
    this.#settleNames(options.random);
    for (const node of new Set(this.#durableNames.values())) node.settle(options.random);
    this.#names = new Map(this.#durableNames);
    this.#dropOrphans();
  }

  /** The process dies, the machine lives: everything that was written is still there, durable or not. */
  killProcess(): void {
    this.#restart();
  }

  /** Writes that would make all files together larger fail with `ENOSPC`, having written what fits. */
  limitCapacity(bytes: number): void {
    this.#capacityBytes = bytes;
  }

  /** Every `datasync` of a path that matches fails with `EIO`, and what it should have made durable is as good as lost. */
  failSyncs(paths: RegExp | undefined): void {
    this.#failingSyncs = paths;
  }

  /** Changing operations fail with `EROFS`. */
  setReadOnly(isReadOnly: boolean): void {
    this.#isReadOnly = isReadOnly;
  }

  /** After this many more changing operations the disk is worn out: each fails with `EIO`. */
  wearOutAfter(operations: number): void {
    this.#operationsUntilWornOut = operations;
  }

  /** Sees each changing operation just before it happens. A throw makes it fail. */
  onOperation(listener: ((operation: DiskOperation) => void) | undefined): void {
    this.#listener = listener;
  }

  // --- FileSystem

  open(path: string, mode: 'read' | 'write'): File {
    this.#checkAlive('open', path);
    let node = this.#names.get(path);
    if (node === undefined) {
      if (mode === 'read' || this.#names.get(parentOf(path))?.kind !== 'directory') {
        throw refused('open', path, 'ENOENT');
      }
      checkName('open', path);
      this.#begin('create', path);
      node = new Node('file', this.#clock?.now() ?? 0);
      this.#setName(path, node);
      this.#pendingNames.push({ directories: [parentOf(path)], sets: [[path, node]] });
    }
    if (node.kind === 'directory') throw refused('open', path, 'EISDIR');
    return new SimulatedFile(this.#diskFor(this.#generation), path, node, mode);
  }

  makeDirectory(path: string): void {
    this.#checkAlive('make directory', path);
    const found = this.#names.get(path);
    if (found?.kind === 'directory') return;
    if (found !== undefined) throw refused('make directory', path, 'EEXIST');
    checkName('make directory', path);
    if (parentOf(path) !== path) this.makeDirectory(parentOf(path));
    this.#begin('makeDirectory', path);
    const node = directoryNode();
    this.#setName(path, node);
    this.#pendingNames.push({ directories: [parentOf(path)], sets: [[path, node]] });
  }

  list(directory: string): readonly string[] {
    this.#checkAlive('list', directory);
    if (this.#names.get(directory)?.kind !== 'directory') throw refused('list', directory, 'ENOENT');
    const names: string[] = [];
    for (const path of this.#names.keys()) {
      if (path !== directory && parentOf(path) === directory) names.push(path.slice(path.lastIndexOf('/') + 1));
    }
    return names.toSorted(byCodeUnit);
  }

  stat(path: string): FileStat | undefined {
    this.#checkAlive('stat', path);
    const node = this.#names.get(path);
    if (node === undefined) return undefined;
    return { kind: node.kind, sizeBytes: node.length, modifiedMs: node.modifiedMs };
  }

  rename(from: string, to: string): void {
    this.#checkAlive('rename', from);
    if (!this.#names.has(from)) throw refused('rename', from, 'ENOENT');
    if (this.#names.get(parentOf(to))?.kind !== 'directory') throw refused('rename', from, 'ENOENT');
    checkName('rename', to);
    if (from === to) return;
    const inTheWay = this.#names.get(to);
    if (inTheWay?.kind === 'directory') {
      if (this.#names.get(from)!.kind === 'file') throw refused('rename', from, 'EISDIR');
      if (this.list(to).length > 0) throw refused('rename', from, 'ENOTEMPTY');
    } else if (inTheWay !== undefined && this.#names.get(from)!.kind === 'directory') {
      throw refused('rename', from, 'ENOTDIR');
    }
    this.#begin('rename', from);
    const moved = [...this.#names].filter(([path]) => path === from || path.startsWith(`${from}/`));
    const sets: [string, Node | undefined][] = [];
    for (const [path, node] of moved) sets.push([path, undefined], [to + path.slice(from.length), node]);
    for (const [path, node] of sets) this.#setName(path, node);
    this.#pendingNames.push({ directories: [parentOf(from), parentOf(to)], sets });
  }

  remove(path: string): void {
    this.#checkAlive('remove', path);
    if (!this.#names.has(path)) return;
    this.#begin('remove', path);
    const gone = [...this.#names.keys()].filter((other) => other === path || other.startsWith(`${path}/`));
    const sets = gone.map((other): [string, undefined] => [other, undefined]);
    for (const [other] of sets) this.#setName(other, undefined);
    this.#pendingNames.push({ directories: [parentOf(path)], sets });
  }

  async syncDirectory(directory: string): Promise<void> {
    this.#checkAlive('sync', directory);
    if (this.#names.get(directory)?.kind !== 'directory') throw refused('sync', directory, 'ENOENT');
    this.#begin('syncDirectory', directory);
    const covered = this.#pendingNames.filter((change) => change.directories.includes(directory));
    await this.#syncLatency(directory);
    for (const change of covered) this.#applyDurably(change);
    this.#pendingNames = this.#pendingNames.filter((change) => !covered.includes(change));
  }

  lock(path: string): FileLock | undefined {
    this.#checkAlive('lock', path);
    if (this.#locks.has(path)) return undefined;
    this.#locks.add(path);
    const generation = this.#generation;
    return {
      release: () => {
        if (generation === this.#generation) this.#locks.delete(path);
      },
    };
  }

  // --- inside

  /** What an open file may do to the disk, for as long as its process lives. */
  #diskFor(generation: number): Disk {
    const check = (operation: string, path: string): void => {
      if (generation !== this.#generation) throw refused(operation, path, 'EIO');
      this.#checkAlive(operation, path);
    };
    return {
      check,
      begin: (kind, path) => {
        check(kind, path);
        this.#begin(kind, path);
      },
      write: (path, node, bytes, position) => this.#write(path, node, bytes, position),
      now: () => this.#clock?.now() ?? 0,
      sync: async (path, node) => {
        if (this.#failingSyncs?.test(path)) {
          node.forgetDirty();
          throw refused('sync', path, 'EIO');
        }
        const finish = node.beginSync();
        await this.#syncLatency(path);
        check('sync', path);
        finish();
      },
    };
  }

  #write(path: string, node: Node, bytes: Uint8Array, position: number): void {
    if (bytes.length > this.#bytesUntilPowerFails) {
      const kept = this.#bytesUntilPowerFails;
      node.write(bytes.subarray(0, kept), position, this.#clock?.now() ?? 0);
      node.beginSync()();
      this.#die();
      throw refused('write', path, 'EIO');
    }
    const room = this.#capacityBytes === Infinity ? Infinity : this.#capacityBytes - this.#usedBytes() + node.length;
    if (position + bytes.length > room) {
      node.write(bytes.subarray(0, Math.max(0, room - position)), position, this.#clock?.now() ?? 0);
      throw refused('write', path, 'ENOSPC');
    }
    node.write(bytes, position, this.#clock?.now() ?? 0);
    if (this.#bytesUntilPowerFails !== Infinity) {
      node.beginSync()();
      this.#bytesUntilPowerFails -= bytes.length;
    }
  }

  #usedBytes(): number {
    let bytes = 0;
    for (const node of new Set(this.#names.values())) bytes += node.length;
    return bytes;
  }

  async #syncLatency(path: string): Promise<void> {
    const generation = this.#generation;
    if (this.#clock !== undefined && this.#syncLatencyMs > 0) {
      const clock = this.#clock;
      await new Promise<void>((resolve) => void clock.after(this.#syncLatencyMs, resolve));
    } else {
      await Promise.resolve();
    }
    if (generation !== this.#generation || this.#isDead) throw refused('sync', path, 'EIO');
  }

  #begin(kind: DiskOperation['kind'], path: string): void {
    if (this.#isReadOnly) throw refused(kind, path, 'EROFS');
    this.#operations++;
    if (this.#operations >= this.#powerFailsAt) {
      this.#die();
      throw refused(kind, path, 'EIO');
    }
    if (this.#operationsUntilWornOut-- <= 0) throw refused(kind, path, 'EIO');
    this.#listener?.({ number: this.#operations, kind, path });
  }

  #checkAlive(operation: string, path: string): void {
    if (this.#isDead) throw refused(operation, path, 'EIO');
  }

  /** Without power, until the test starts the machine again. */
  #die(): void {
    this.#isDead = true;
    this.#powerFailsAt = Infinity;
    this.#bytesUntilPowerFails = Infinity;
  }

  #restart(): void {
    this.#generation++;
    this.#isDead = false;
    this.#powerFailsAt = Infinity;
    this.#bytesUntilPowerFails = Infinity;
    this.#locks.clear();
  }

  #setName(path: string, node: Node | undefined): void {
    if (node === undefined) this.#names.delete(path);
    else this.#names.set(path, node);
  }

  #applyDurably(change: NameChange): void {
    for (const [path, node] of change.sets) {
      if (node === undefined) this.#durableNames.delete(path);
      else this.#durableNames.set(path, node);
    }
  }

  /** Journals keep the order of changes, other file systems need not: half of the time a prefix survives, else any subset. */
  #settleNames(random: SeededRandom | undefined): void {
    const pending = this.#pendingNames;
    this.#pendingNames = [];
    if (random === undefined) return;
    if (random.chance(0.5))
      for (const change of pending.slice(0, random.below(pending.length + 1))) this.#applyDurably(change);
    else for (const change of pending) if (random.chance(0.5)) this.#applyDurably(change);
  }

  /** Names below a directory that is not there. */
  #dropOrphans(): void {
    for (const path of [...this.#names.keys()].toSorted(byCodeUnit)) {
      if (path === '/' || this.#names.get(parentOf(path))?.kind === 'directory') continue;
      this.#names.delete(path);
      this.#durableNames.delete(path);
    }
  }
}

interface NameChange {
  /** Synced with any of these: a rename between directories is one change. */
  readonly directories: readonly string[];
  readonly sets: readonly (readonly [path: string, node: Node | undefined])[];
}

interface Disk {
  check(operation: string, path: string): void;
  begin(kind: DiskOperation['kind'], path: string): void;
  write(path: string, node: Node, bytes: Uint8Array, position: number): void;
  sync(path: string, node: Node): Promise<void>;
  now(): number;
}

class SimulatedFile implements File {
  readonly path: string;
  readonly #disk: Disk;
  readonly #node: Node;
  readonly #mode: 'read' | 'write';
  #isClosed = false;

  constructor(disk: Disk, path: string, node: Node, mode: 'read' | 'write') {
    this.#disk = disk;
    this.path = path;
    this.#node = node;
    this.#mode = mode;
  }

  size(): number {
    this.#check('stat');
    return this.#node.length;
  }

  writev(parts: readonly Uint8Array[], position: number): void {
    this.#check('write');
    if (this.#mode === 'read') throw refused('write', this.path, 'EBADF');
    this.#disk.begin('writev', this.path);
    let at = position;
    for (const part of parts) {
      this.#disk.write(this.path, this.#node, part, at);
      at += part.length;
    }
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    this.#check('read');
    await Promise.resolve();
    this.#check('read');
    return this.#node.read(into, position);
  }

  readSync(into: Uint8Array, position: number): number {
    this.#check('read');
    return this.#node.read(into, position);
  }

  truncate(length: number): void {
    this.#check('truncate');
    if (this.#mode === 'read') throw refused('truncate', this.path, 'EINVAL');
    this.#disk.begin('truncate', this.path);
    this.#node.truncate(length, this.#disk.now());
  }

  async datasync(): Promise<void> {
    this.#check('sync');
    this.#disk.begin('datasync', this.path);
    await this.#disk.sync(this.path, this.#node);
  }

  close(): void {
    assert(!this.#isClosed, `${this.path} is closed twice`);
    this.#isClosed = true;
  }

  #check(operation: string): void {
    assert(!this.#isClosed, `${operation} after close of ${this.path}`);
    this.#disk.check(operation, this.path);
  }
}

/** A file's bytes twice: as written, and as they would be found after a power cut. */
class Node {
  readonly kind: 'file' | 'directory';
  modifiedMs: number;
  length = 0;
  #bytes: Uint8Array = new Uint8Array(0);
  #durable: Uint8Array = new Uint8Array(0);
  #durableLength = 0;
  /** Sectors in which the two may differ. */
  #dirty: Set<number> = new Set();

  constructor(kind: 'file' | 'directory', modifiedMs: number) {
    this.kind = kind;
    this.modifiedMs = modifiedMs;
  }

  write(bytes: Uint8Array, position: number, nowMs: number): void {
    const end = position + bytes.length;
    this.#bytes = reaching(this.#bytes, end);
    this.#bytes.set(bytes, position);
    this.length = Math.max(this.length, end);
    this.modifiedMs = nowMs;
    this.#touch(position, end);
  }

  read(into: Uint8Array, position: number): number {
    const part = this.#bytes.subarray(position, Math.min(this.length, position + into.length));
    into.set(part);
    return part.length;
  }

  truncate(length: number, nowMs: number): void {
    this.#bytes = reaching(this.#bytes, length);
    this.#bytes.fill(0, Math.min(length, this.length), Math.max(length, this.length));
    this.#touch(Math.min(length, this.length), Math.max(length, this.length));
    this.length = length;
    this.modifiedMs = nowMs;
  }

  /** Takes what is to become durable; the result makes it so. */
  beginSync(): () => void {
    const length = this.length;
    const sectors = [...this.#dirty].map((sector) => ({ sector, bytes: this.#sector(this.#bytes, sector).slice() }));
    return () => {
      this.#durable = reaching(this.#durable, length);
      this.#durable.fill(0, Math.min(length, this.#durableLength), this.#durable.length);
      for (const { sector, bytes } of sectors) {
        this.#durable = reaching(this.#durable, sector * sectorBytes + bytes.length);
        this.#durable.set(bytes, sector * sectorBytes);
        if (Buffer.compare(this.#sector(this.#bytes, sector), bytes) === 0) this.#dirty.delete(sector);
      }
      this.#durableLength = length;
    };
  }

  /** A failed sync: the kernel takes the pages for clean, and will never write them. */
  forgetDirty(): void {
    this.#dirty.clear();
  }

  /** Power is gone. Without `random` what is durable is left; with it, that and any part of the rest. */
  settle(random: SeededRandom | undefined): void {
    let length = this.#durableLength;
    const bytes = this.#durable.slice();
    let survived: Uint8Array = bytes;
    if (random !== undefined && (this.#dirty.size > 0 || this.length !== length)) {
      const way = random.below(4);
      if (way === 1) length = this.length;
      else if (way === 2) length = between(random, length, this.length);
      survived = reaching(survived, Math.max(length, this.length));
      for (const sector of [...this.#dirty].toSorted((a, b) => a - b)) {
        const written = this.#sector(this.#bytes, sector);
        const fate = random.below(8);
        if (fate < 3) continue;
        const count = fate === 3 ? random.below(written.length + 1) : written.length; // 3: torn
        survived = reaching(survived, sector * sectorBytes + count);
        survived.set(written.subarray(0, count), sector * sectorBytes);
      }
      survived.fill(0, length);
    }
    this.#bytes = survived;
    this.#durable = survived.slice();
    this.length = length;
    this.#durableLength = length;
    this.#dirty = new Set();
  }

  #sector(bytes: Uint8Array, sector: number): Uint8Array {
    return bytes.subarray(sector * sectorBytes, (sector + 1) * sectorBytes);
  }

  #touch(from: number, to: number): void {
    for (let sector = Math.floor(from / sectorBytes); sector * sectorBytes < to; sector++) this.#dirty.add(sector);
  }
}

function directoryNode(): Node {
  return new Node('directory', 0);
}

/** The same bytes with room for `length`. */
function reaching(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length >= length) return bytes;
  const grown = new Uint8Array(Math.max(length, bytes.length * 2, sectorBytes));
  grown.set(bytes);
  return grown;
}

function between(random: SeededRandom, a: number, b: number): number {
  return Math.min(a, b) + random.below(Math.abs(a - b) + 1);
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash <= 0 ? '/' : path.slice(0, slash);
}

function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

import assert from 'node:assert/strict';
import type { File, FileSystem } from '@millrace/platform';
import { readBatchHeader, batchHeaderBytes, type BatchHeader } from '@millrace/protocol';
import { headerOrNull } from './batch-scan.ts';
import { readWhole, syncIfThere } from './checkpoint-file.ts';
import { segmentFileName, suffixes } from './file-names.ts';
import { OffsetIndex } from './offset-index.ts';
import { TimeIndex } from './time-index.ts';
import { encodeTxnIndex, readTxnIndex, type AbortedTransactionEntry } from './txn-index.ts';

/** Positions in a segment and offsets relative to its base are int32 on disk. */
const maxInt32 = 0x7fff_ffff;
/** An index is full one entry before its limit, as the last is written when the segment is sealed. */
const offsetIndexEntryBytes = 8;
const timeIndexEntryBytes = 12;

/** The files that make a segment; the producers' snapshot before it is not one of them. */
export const segmentSuffixes: readonly string[] = [
  suffixes.log,
  suffixes.offsetIndex,
  suffixes.timeIndex,
  suffixes.txnIndex,
];

export interface RollLimits {
  readonly segmentBytes: number;
  readonly segmentIndexBytes: number;
  /** Of the first batch's timestamp. */
  readonly segmentAgeMs: number;
}

/**
 * A piece of a log: batches in a file named by the first offset, and three indexes beside it. One segment per log, the
 * last, is appended to; its indexes are in memory and reach the disk when it is sealed. The others are opened when read.
 */
export class Segment {
  readonly baseOffset: number;
  readonly #files: FileSystem;
  readonly #directory: string;
  /** Behind the names of files that do not count yet. */
  readonly #extension: string;
  readonly #mode: 'read' | 'write';
  #file: File | undefined;
  #offsetIndex: OffsetIndex | undefined;
  #timeIndex: TimeIndex | undefined;
  #aborted: AbortedTransactionEntry[] | undefined;
  #sizeBytes: number;
  #writtenBytes: number;
  #queue: Uint8Array[] = [];
  #hasUnsynced = false;
  #bytesSinceEntry = 0;
  #knowsTimestamps = false;
  #largestTimestampMs = -1;
  #offsetOfLargestTimestamp = -1;
  #firstTimestampMs: number | undefined;
  #uses = 0;
  /** To be closed when nothing uses it any more. */
  #isUnloaded = false;
  #isDropped = false;
  #isPinned = false;

  private constructor(
    files: FileSystem,
    directory: string,
    baseOffset: number,
    sizeBytes: number,
    extension: string,
    mode: 'read' | 'write',
  ) {
    this.#files = files;
    this.#directory = directory;
    this.#extension = extension;
    this.#mode = mode;
    this.baseOffset = baseOffset;
    this.#sizeBytes = sizeBytes;
    this.#writtenBytes = sizeBytes;
  }

  /** A new, empty one; what a crash may have left under its name goes. The directory must be synced before it counts. */
  static create(files: FileSystem, directory: string, baseOffset: number, extension: string = ''): Segment {
    const segment = new Segment(files, directory, baseOffset, 0, extension, 'write');
    for (const suffix of [suffixes.offsetIndex, suffixes.timeIndex, suffixes.txnIndex]) {
      files.remove(segment.path(suffix));
    }
    segment.#file = files.open(segment.path(suffixes.log), 'write');
    if (segment.#file.size() > 0) segment.#file.truncate(0);
    segment.#startIndexes();
    return segment;
  }

  /** One that is there. Nothing is read yet. `'read'`: opening it fails if it is gone by then. */
  static existing(files: FileSystem, directory: string, baseOffset: number, mode: 'read' | 'write' = 'write'): Segment {
    const path = `${directory}/${segmentFileName(baseOffset, suffixes.log)}`;
    return new Segment(files, directory, baseOffset, files.stat(path)?.sizeBytes ?? 0, '', mode);
  }

  path(suffix: string): string {
    return `${this.#directory}/${segmentFileName(this.baseOffset, suffix)}${this.#extension}`;
  }

  /** What is queued included. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get hasUnsynced(): boolean {
    return this.#hasUnsynced;
  }

  /** In the page cache at least, and so what can be read. */
  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  get queuedBytes(): number {
    return this.#sizeBytes - this.#writtenBytes;
  }

  /** Of its records; where they have none, the time the file was written (as Kafka does). */
  get retentionTimestampMs(): number {
    if (this.largestTimestampMs >= 0) return this.#largestTimestampMs;
    return this.#files.stat(this.path(suffixes.log))?.modifiedMs ?? 0;
  }

  /** −1: no record has one. */
  get largestTimestampMs(): number {
    if (!this.#knowsTimestamps) this.#learnTimestamps(this.#readTimeIndex());
    return this.#largestTimestampMs;
  }

  /** The last offset of the batch that holds the largest timestamp. */
  get offsetOfLargestTimestamp(): number {
    if (!this.#knowsTimestamps) this.#learnTimestamps(this.#readTimeIndex());
    return this.#offsetOfLargestTimestamp;
  }

  /**
   * Whether a batch must go to a new segment. Age is measured in the records' own time, from the first batch to this one: records
   * of long ago would otherwise get a segment a batch.
   */
  shouldRoll(limits: RollLimits, batchBytes: number, lastOffset: number, maxTimestampMs: number): boolean {
    if (this.#sizeBytes === 0) return lastOffset - this.baseOffset > maxInt32;
    return (
      this.#sizeBytes > limits.segmentBytes - batchBytes ||
      lastOffset - this.baseOffset > maxInt32 ||
      this.offsetIndex().sizeBytes + offsetIndexEntryBytes > limits.segmentIndexBytes ||
      this.timeIndex().sizeBytes + 2 * timeIndexEntryBytes > limits.segmentIndexBytes ||
      this.isOlderThan(limits.segmentAgeMs, maxTimestampMs)
    );
  }

  /** By the timestamp of its first batch, which producers set: one far in the future keeps a segment from rolling by age. */
  isOlderThan(ageMs: number, nowMs: number): boolean {
    const first = this.#firstTimestamp();
    return this.#sizeBytes > 0 && first >= 0 && nowMs - first > ageMs;
  }

  /** Queues a batch, and enters it in the indexes. */
  append(bytes: Uint8Array, lastOffset: number, maxTimestampMs: number, indexIntervalBytes: number): void {
    if (this.#sizeBytes === 0) this.#firstTimestampMs = maxTimestampMs;
    this.#queue.push(bytes);
    this.#enter(this.#sizeBytes, bytes.length, lastOffset, maxTimestampMs, indexIntervalBytes);
    this.#sizeBytes += bytes.length;
  }

  /** Enters a batch that is in the file already: recovery builds the indexes anew. */
  index(position: number, header: BatchHeader, indexIntervalBytes: number): void {
    if (position === 0) this.#firstTimestampMs = header.maxTimestamp;
    const lastOffset = header.baseOffset + header.lastOffsetDelta;
    this.#enter(position, header.sizeBytes, lastOffset, header.maxTimestamp, indexIntervalBytes);
  }

  addAborted(entry: AbortedTransactionEntry): void {
    this.aborted().push(entry);
  }

  /** Forgets the indexes, to build them anew. */
  resetIndexes(): void {
    this.#startIndexes();
    this.#largestTimestampMs = -1;
    this.#offsetOfLargestTimestamp = -1;
    this.#firstTimestampMs = undefined;
    this.#bytesSinceEntry = 0;
  }

  /** Hands what is queued to the page cache. */
  write(): void {
    if (this.#queue.length === 0) return;
    const queue = this.#queue;
    this.file().writev(queue, this.#writtenBytes);
    this.#queue = [];
    this.#writtenBytes = this.#sizeBytes;
    this.#hasUnsynced = true;
  }

  /** Makes what was written durable; of a segment that was deleted meanwhile, nothing need be. */
  async sync(): Promise<void> {
    if (this.#isDropped) return;
    this.#hasUnsynced = false;
    await this.using((file) => file.datasync());
  }

  /** Cuts what recovery found damaged. */
  truncate(sizeBytes: number): void {
    this.file().truncate(sizeBytes);
    this.offsetIndex().truncateTo(sizeBytes);
    this.#sizeBytes = sizeBytes;
    this.#writtenBytes = sizeBytes;
    this.#hasUnsynced = true;
  }

  /** Writes the indexes to disk, trimmed: the segment is complete. */
  seal(): void {
    this.timeIndex().append(this.largestTimestampMs, this.offsetOfLargestTimestamp);
    this.#writeIndex(suffixes.offsetIndex, this.offsetIndex().toBytes());
    this.#writeIndex(suffixes.timeIndex, this.timeIndex().toBytes());
    if (this.aborted().length > 0) this.#writeIndex(suffixes.txnIndex, encodeTxnIndex(this.aborted()));
    else this.#files.remove(this.path(suffixes.txnIndex));
  }

  /** Makes the sealed indexes durable. */
  async syncIndexes(): Promise<void> {
    const paths = segmentSuffixes.slice(1).map((suffix) => this.path(suffix));
    await Promise.all(paths.map((path) => syncIfThere(this.#files, path)));
  }

  /** What `seal` would write is on disk already. */
  isSealed(): boolean {
    this.timeIndex().append(this.largestTimestampMs, this.offsetOfLargestTimestamp);
    return (
      this.#holds(suffixes.offsetIndex, this.offsetIndex().toBytes()) &&
      this.#holds(suffixes.timeIndex, this.timeIndex().toBytes()) &&
      this.#holds(suffixes.txnIndex, encodeTxnIndex(this.aborted()))
    );
  }

  /**
   * Whether both indexes are there and end as they must; the rest is looked at when they are read. Learns the largest
   * timestamp on the way.
   */
  checkIndexEnds(endOffset: number): boolean {
    const maxDelta = endOffset - 1 - this.baseOffset;
    const offsets = this.#lastEntry(suffixes.offsetIndex, offsetIndexEntryBytes);
    const times = this.#lastEntry(suffixes.timeIndex, timeIndexEntryBytes);
    if (offsets === undefined || times === undefined) return false;
    if (offsets !== null) {
      const delta = offsets.getInt32(0);
      const position = offsets.getInt32(4);
      if (delta < 0 || delta > maxDelta || position <= 0 || position >= this.#sizeBytes) return false;
    }
    if (times !== null) {
      const delta = times.getInt32(8);
      if (delta < 0 || delta > maxDelta) return false;
      this.#largestTimestampMs = Number(times.getBigInt64(0));
      this.#offsetOfLargestTimestamp = this.baseOffset + delta;
    }
    this.#knowsTimestamps = true;
    return true;
  }

  /** The indexes as they are on disk are sound, and lead to a batch. Reads them. */
  hasSoundIndexes(): boolean {
    const index = OffsetIndex.read(this.#files, this.path(suffixes.offsetIndex), this.baseOffset, this.#sizeBytes);
    if (index === undefined) return false;
    if (index.lastOffset >= 0) {
      const bytes = new Uint8Array(batchHeaderBytes);
      this.file().readSync(bytes, index.lastPosition);
      const header = headerOrNull(bytes, 0, false);
      if (header === null || header.baseOffset + header.lastOffsetDelta !== index.lastOffset) return false;
    }
    return (
      TimeIndex.read(this.#files, this.path(suffixes.timeIndex), this.baseOffset) !== undefined &&
      readTxnIndex(this.#files, this.path(suffixes.txnIndex)) !== undefined
    );
  }

  file(): File {
    if (this.#file === undefined) {
      // By name it would be another's file by now, or a new one.
      assert(!this.#isDropped, 'a segment that was deleted or replaced is not opened again');
      this.#file = this.#files.open(this.path(suffixes.log), this.#mode);
    }
    return this.#file;
  }

  /** A damaged one counts as empty: look-ups walk from the segment's start. */
  offsetIndex(): OffsetIndex {
    return (this.#offsetIndex ??=
      OffsetIndex.read(this.#files, this.path(suffixes.offsetIndex), this.baseOffset, this.#sizeBytes) ??
      OffsetIndex.empty(this.baseOffset));
  }

  timeIndex(): TimeIndex {
    if (this.#timeIndex === undefined) {
      this.#timeIndex = this.#readTimeIndex();
      this.#learnTimestamps(this.#timeIndex);
    }
    return this.#timeIndex;
  }

  aborted(): AbortedTransactionEntry[] {
    return (this.#aborted ??= readTxnIndex(this.#files, this.path(suffixes.txnIndex)) ?? []);
  }

  /** Lets go of what can be opened and read again. Only for sealed segments. */
  unload(): void {
    if (this.#isPinned) return;
    this.#offsetIndex = undefined;
    this.#timeIndex = undefined;
    this.#aborted = undefined;
    this.#isUnloaded = !this.#hasUnsynced;
    if (this.#isUnloaded) this.#closeFile();
  }

  /** Opens and reads all there is, for good: the files are about to get other names. */
  pin(): void {
    this.#isPinned = true;
    this.file();
    this.offsetIndex();
    this.timeIndex();
    this.aborted();
  }

  /** What is queued must be written before. */
  read(into: Uint8Array, position: number): Promise<number> {
    assert(position + into.length <= this.#writtenBytes, 'what is read has been written');
    return this.using((file) => file.read(into, position));
  }

  /** The file stays open for as long as the task takes, even if the segment is dropped meanwhile. */
  async using<T>(task: (file: File) => Promise<T>): Promise<T> {
    const file = this.file();
    this.#isUnloaded = false;
    this.#uses++;
    try {
      return await task(file);
    } finally {
      this.#uses--;
      if (this.#isDropped || this.#isUnloaded) this.#closeFile();
    }
  }

  /** Renames the files, so that they count no longer, whatever happens before they are removed. Gives their paths. */
  markDeleted(): string[] {
    // A reader that is still at it will ask which transactions were aborted.
    this.aborted();
    this.#isPinned = true;
    return renameFiles(this.#files, this, [...segmentSuffixes, suffixes.snapshot], '', suffixes.deleted);
  }

  /** Closes the file, as soon as nothing uses it. */
  close(): void {
    this.#isDropped = true;
    this.#closeFile();
  }

  #closeFile(): void {
    if (this.#uses > 0 || this.#file === undefined) return;
    this.#file.close();
    this.#file = undefined;
  }

  /** null: the index is empty. undefined: it is missing or cut short. */
  #lastEntry(suffix: string, entryBytes: number): DataView | null | undefined {
    const sizeBytes = this.#files.stat(this.path(suffix))?.sizeBytes;
    if (sizeBytes === undefined || sizeBytes % entryBytes !== 0) return undefined;
    if (sizeBytes === 0) return null;
    const bytes = new Uint8Array(entryBytes);
    const file = this.#files.open(this.path(suffix), 'read');
    try {
      file.readSync(bytes, sizeBytes - entryBytes);
    } finally {
      file.close();
    }
    return new DataView(bytes.buffer);
  }

  #readTimeIndex(): TimeIndex {
    const path = this.path(suffixes.timeIndex);
    return TimeIndex.read(this.#files, path, this.baseOffset) ?? TimeIndex.empty(this.baseOffset);
  }

  #learnTimestamps(index: TimeIndex): void {
    if (this.#knowsTimestamps) return;
    this.#knowsTimestamps = true;
    this.#largestTimestampMs = index.lastTimestampMs;
    this.#offsetOfLargestTimestamp = index.lastOffset;
  }

  #startIndexes(): void {
    this.#knowsTimestamps = true;
    this.#offsetIndex = OffsetIndex.empty(this.baseOffset);
    this.#timeIndex = TimeIndex.empty(this.baseOffset);
    this.#aborted = [];
  }

  #enter(position: number, bytes: number, lastOffset: number, maxTimestampMs: number, intervalBytes: number): void {
    assert(position <= maxInt32, 'a segment rolls before its positions overflow');
    if (maxTimestampMs > this.largestTimestampMs) {
      this.#largestTimestampMs = maxTimestampMs;
      this.#offsetOfLargestTimestamp = lastOffset;
    }
    if (this.#bytesSinceEntry > intervalBytes) {
      this.offsetIndex().append(lastOffset, position);
      this.timeIndex().append(this.#largestTimestampMs, this.#offsetOfLargestTimestamp);
      this.#bytesSinceEntry = 0;
    }
    this.#bytesSinceEntry += bytes;
  }

  #firstTimestamp(): number {
    if (this.#firstTimestampMs === undefined) {
      const header = new Uint8Array(batchHeaderBytes);
      const wasOpen = this.#file !== undefined;
      const isThere = this.file().readSync(header, 0) === batchHeaderBytes;
      if (!wasOpen) this.#closeFile(); // whoever asks for the age of each segment must not leave all of them open
      this.#firstTimestampMs = isThere ? readBatchHeader(header, 0).maxTimestamp : -1;
    }
    return this.#firstTimestampMs;
  }

  /** The file has this content; one that is missing counts as empty. */
  #holds(suffix: string, bytes: Uint8Array): boolean {
    const found = readWhole(this.#files, this.path(suffix));
    return Buffer.compare(found ?? new Uint8Array(0), bytes) === 0;
  }

  #writeIndex(suffix: string, bytes: Uint8Array): void {
    const file = this.#files.open(this.path(suffix), 'write');
    try {
      file.writev([bytes], 0);
      if (file.size() > bytes.length) file.truncate(bytes.length);
    } finally {
      file.close();
    }
  }
}

/** Renames those files of a segment that exist, from one extension to another. Gives the new paths. */
export function renameFiles(
  files: FileSystem,
  segment: Segment,
  names: readonly string[],
  from: string,
  to: string,
): string[] {
  const renamed: string[] = [];
  for (const path of names.map((suffix) => segment.path(suffix))) {
    if (files.stat(`${path}${from}`) === undefined) continue;
    files.rename(`${path}${from}`, `${path}${to}`);
    renamed.push(`${path}${to}`);
  }
  return renamed;
}

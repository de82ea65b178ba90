import { silentLogger, type FileSystem, type Logger } from '@millrace/platform';
import { attributesOf, type BatchHeader } from '@millrace/protocol';
import { scanBatches, type ScannedBatch } from './batch-scan.ts';
import {
  checkpoint,
  readCheckpoint,
  readWhole,
  replaceFiles,
  syncIfThere,
  type FileContent,
} from './checkpoint-file.ts';
import { readEndMarker } from './control-batch.ts';
import { CorruptLogError, InconsistentTopicIdError } from './errors.ts';
import { offsetOfFileName, segmentFileName, suffixes } from './file-names.ts';
import { LeaderEpochs } from './leader-epochs.ts';
import { checkpointNames, LogCheckpoints } from './log-checkpoints.ts';
import type { LogConfig } from './log-config.ts';
import { readProducerSnapshot } from './producer-snapshot.ts';
import { ProducerState } from './producer-state.ts';
import { Segment, segmentSuffixes } from './segment.ts';
import { finishSwaps } from './swap-files.ts';

export interface RecoveryOptions {
  readonly topic: string;
  readonly partition: number;
  readonly directory: string;
  readonly topicId: string;
  readonly files: FileSystem;
  readonly config: LogConfig;
  readonly wasClosedCleanly: boolean;
  readonly logger?: Logger | undefined;
}

export interface RecoveredLog {
  /** At least one; the last is appended to. */
  readonly segments: Segment[];
  readonly producers: ProducerState;
  readonly epochs: LeaderEpochs;
  readonly logStartOffset: number;
  readonly logEndOffset: number;
  /** Where the next compaction begins to look for new records. */
  readonly firstDirtyOffset: number;
  /** Segments, indexes, snapshot and recovery point on disk are what closing would write. */
  readonly isAtRest: boolean;
}

/**
 * Opens what is in a log's directory. After a crash, all that was not known to be durable is read: each batch's CRC, offsets
 * that follow each other. The log is cut at the first batch that fails, whatever comes behind it goes, and indexes,
 * producers and aborted transactions are built anew. When it returns, what the log holds is durable.
 */
export async function recoverLog(options: RecoveryOptions): Promise<RecoveredLog> {
  const { files, directory } = options;
  await makeDurableDirectory(files, directory);
  const metadata = checkTopicId(options);
  // Without them nobody has opened it to the end: its own name may be as new, left by a start that was killed.
  if (metadata !== undefined) await files.syncDirectory(parentOf(directory));
  await finishSwaps(files, directory);
  return new Recovery(options).run(metadata);
}

class Recovery {
  readonly #options: RecoveryOptions;
  readonly #files: FileSystem;
  readonly #directory: string;
  readonly #logger: Logger;
  readonly #producers: ProducerState;
  readonly #epochs: LeaderEpochs;
  readonly #logStartOffset: number;
  #segments: Segment[] = [];
  #endOffset = 0;
  #lastEpoch = -1;
  /** Its recovery point is ours: so no compaction but ours, which keeps the end of each segment, has been here. */
  #isOurs = false;
  /** The producers' state is that just before this offset. */
  #producersUpTo = 0;
  /** The offset of the snapshot that was used; −1: there was none. */
  #restoredFrom = -1;

  constructor(options: RecoveryOptions) {
    this.#options = options;
    this.#files = options.files;
    this.#directory = options.directory;
    this.#logger = options.logger ?? silentLogger;
    this.#producers = new ProducerState(options);
    this.#epochs = LeaderEpochs.read(options.files, `${options.directory}/${checkpointNames.leaderEpochs}`);
    this.#logStartOffset = this.#readOffset(checkpointNames.logStartOffset);
  }

  async run(metadata: FileContent | undefined): Promise<RecoveredLog> {
    const { wasClosedCleanly } = this.#options;
    const bases = this.#listSegments();
    const isNew = bases.length === 0;
    for (const base of bases) this.#segments.push(Segment.existing(this.#files, this.#directory, base));
    if (isNew) this.#startAt(this.#logStartOffset);

    const knownDurable = this.#readOffsetIfAny(checkpointNames.recoveryPoint);
    this.#isOurs = knownDurable !== undefined;
    const recoveryPoint = wasClosedCleanly ? Infinity : (knownDurable ?? 0);
    const firstScanned = this.#firstToScan(recoveryPoint);
    this.#restoreProducers(this.#segments[firstScanned]?.baseOffset ?? Infinity);
    this.#endOffset = this.#segments[0]!.baseOffset;
    for (let i = 0; i < this.#segments.length; i++) {
      if (i < firstScanned) await this.#trust(i);
      else if (!(await this.#scan(i, recoveryPoint))) break;
    }
    const wasTrusted = wasClosedCleanly && firstScanned === this.#segments.length;
    let logStartOffset = Math.max(this.#logStartOffset, this.#segments[0]!.baseOffset);
    if (this.#endOffset < logStartOffset) {
      // What was lost lies before the start: nothing is left.
      this.#dropFrom(0);
      this.#startAt(logStartOffset);
    }
    logStartOffset = Math.min(logStartOffset, this.#endOffset);
    this.#dropSnapshotsAfter(this.#endOffset);
    const wasCut = this.#segments.some((segment) => segment.hasUnsynced);
    const lastBase = this.#segments.at(-1)!.baseOffset;
    // Nothing was written since the recovery point was: of a thousand logs, a crash finds most like this.
    const isAsSynced =
      knownDurable === this.#endOffset && firstScanned >= this.#segments.length - 1 && !wasCut && !isNew;
    const mayBeUnsynced = !wasTrusted && !isAsSynced;
    if (isNew || wasCut || mayBeUnsynced) await this.#makeDurable(firstScanned);
    this.#producers.highWatermarkMoved(this.#endOffset);
    const written = this.#startEpoch(isNew || wasClosedCleanly, logStartOffset) ? [this.#epochs.toFile()] : [];
    if (metadata !== undefined) written.push(metadata);
    const isPointUseful = knownDurable !== undefined && knownDurable >= lastBase && knownDurable <= this.#endOffset;
    const movesPoint = !isPointUseful && !(wasClosedCleanly && this.#isOurs);
    if (movesPoint) written.push(this.#recoveryPointFile());
    // Names that this start has made or removed, it makes durable with those of the checkpoints.
    if (written.length > 0) await replaceFiles(this.#files, this.#directory, written);
    else if (isNew || wasCut || mayBeUnsynced) await this.#files.syncDirectory(this.#directory);
    const isPointAtEnd = (movesPoint ? lastBase : knownDurable) === this.#endOffset;
    return {
      segments: this.#segments,
      producers: this.#producers,
      epochs: this.#epochs,
      logStartOffset,
      logEndOffset: this.#endOffset,
      firstDirtyOffset: this.#firstDirtyOffset(logStartOffset),
      isAtRest: isPointAtEnd && !wasCut && ((wasTrusted && this.#restoredFrom === this.#endOffset) || this.#isSealed()),
    };
  }

  /** The indexes of the last segment and the snapshot of producers are what closing would write. */
  #isSealed(): boolean {
    // A log that nothing was ever written to needs neither.
    if (this.#isUnused() && this.#restoredFrom === -1) return true;
    const snapshot = `${this.#directory}/${segmentFileName(this.#endOffset, suffixes.snapshot)}`;
    return this.#segments.at(-1)!.isSealed() && readProducerSnapshot(this.#files, snapshot) !== undefined;
  }

  /** A checkpoint that does not fit the log is of no use: all is new. */
  #firstDirtyOffset(logStartOffset: number): number {
    const offset = this.#readOffset(checkpointNames.cleanerOffset);
    return offset < logStartOffset || offset > this.#endOffset ? logStartOffset : offset;
  }

  /** Base offsets of the segments, ascending. Removes what belongs to no segment. */
  #listSegments(): number[] {
    const names = this.#files.list(this.#directory);
    const bases: number[] = [];
    for (const name of names) {
      const base = offsetOfFileName(name);
      if (base !== undefined && name === segmentFileName(base, suffixes.log)) bases.push(base);
    }
    const known = new Set(bases);
    for (const name of names) {
      const base = offsetOfFileName(name);
      if (name.endsWith('.tmp')) this.#files.remove(`${this.#directory}/${name}`);
      if (base === undefined || known.has(base)) continue;
      if (!segmentSuffixes.some((suffix) => name === segmentFileName(base, suffix))) continue;
      this.#files.remove(`${this.#directory}/${name}`);
    }
    return bases.toSorted((a, b) => a - b);
  }

  #startAt(offset: number): void {
    this.#segments = [Segment.create(this.#files, this.#directory, offset)];
    this.#endOffset = offset;
    this.#producersUpTo = offset;
    this.#producers.restore([]);
  }

  /** The first segment that is not known to be durable, or whose indexes are not sound. */
  #firstToScan(recoveryPoint: number): number {
    const segments = this.#segments;
    for (let i = 0; i < segments.length - 1; i++) {
      const endOffset = segments[i + 1]!.baseOffset;
      if (endOffset > recoveryPoint || !segments[i]!.checkIndexEnds(endOffset)) return i;
    }
    const last = segments.length - 1;
    if (recoveryPoint !== Infinity) return last;
    return this.#isUnused() || segments[last]!.hasSoundIndexes() ? last + 1 : last;
  }

  #isUnused(): boolean {
    return this.#segments.length === 1 && this.#segments[0]!.sizeBytes === 0;
  }

  /** The latest whole snapshot that is not ahead of where records are read again from. */
  #restoreProducers(beforeOffset: number): void {
    const names = this.#files.list(this.#directory).filter((name) => name.endsWith(suffixes.snapshot));
    for (const name of names.toReversed()) {
      const offset = offsetOfFileName(name);
      if (offset === undefined || offset > beforeOffset) continue;
      const entries = readProducerSnapshot(this.#files, `${this.#directory}/${name}`);
      if (entries === undefined) {
        this.#files.remove(`${this.#directory}/${name}`);
        continue;
      }
      this.#producers.restore(entries);
      this.#producersUpTo = offset;
      this.#restoredFrom = offset;
      return;
    }
    this.#producersUpTo = this.#segments[0]!.baseOffset;
  }

  /** A segment that is durable: only what the snapshot does not cover is read, and the end of the last. */
  async #trust(index: number): Promise<void> {
    const segment = this.#segments[index]!;
    const next = this.#segments[index + 1];
    if (next !== undefined && next.baseOffset <= this.#producersUpTo) {
      this.#endOffset = next.baseOffset;
      return;
    }
    let from = segment.offsetIndex().positionFor(this.#producersUpTo - 1);
    if (next === undefined) from = Math.min(from, segment.offsetIndex().lastPosition);
    this.#endOffset = Math.max(this.#endOffset, segment.baseOffset);
    const end = await scanBatches(segment.file(), { from, to: segment.sizeBytes, checksCrc: false }, (batch) => {
      this.#endOffset = endOf(batch.header);
      this.#replay(batch, null);
    });
    if (next !== undefined) this.#endOffset = next.baseOffset;
    else if (end < segment.sizeBytes) segment.truncate(end);
    this.#producersUpTo = Math.max(this.#producersUpTo, this.#endOffset);
  }

  /** As rolling does: the crash may have taken it, and when the segments before are deleted it alone tells of their producers. */
  #snapshotAt(offset: number): void {
    const path = `${this.#directory}/${segmentFileName(offset, suffixes.snapshot)}`;
    if (readProducerSnapshot(this.#files, path) !== undefined) return;
    new LogCheckpoints(this.#files, this.#directory, this.#options).writeSnapshot(this.#producers, offset);
  }

  /** Reads a whole segment, cuts it where it is damaged. False: nothing may follow it. */
  async #scan(index: number, recoveryPoint: number): Promise<boolean> {
    const segment = this.#segments[index]!;
    segment.resetIndexes();
    if (index > 0) this.#snapshotAt(segment.baseOffset);
    this.#endOffset = Math.max(this.#endOffset, segment.baseOffset);
    const { indexIntervalBytes } = this.#options.config;
    const end = await scanBatches(segment.file(), { from: 0, to: segment.sizeBytes, checksCrc: true }, (batch) => {
      const { header } = batch;
      // The base offset and the epoch lie outside the CRC: a lost sector shows as one that goes back.
      if (header.baseOffset < this.#endOffset || header.partitionLeaderEpoch < this.#lastEpoch) return false;
      if (header.lastOffsetDelta < 0 || endOf(header) - 1 - segment.baseOffset > 0x7fff_ffff) return false;
      this.#endOffset = endOf(header);
      this.#lastEpoch = header.partitionLeaderEpoch;
      if (header.partitionLeaderEpoch >= 0) this.#epochs.assign(header.partitionLeaderEpoch, header.baseOffset);
      segment.index(batch.position, header, indexIntervalBytes);
      this.#replay(batch, segment);
      return true;
    });
    const next = this.#segments[index + 1];
    const isWhole = end === segment.sizeBytes;
    if (!isWhole) {
      this.#logger.warn(
        { path: segment.path(suffixes.log), position: end, droppedBytes: segment.sizeBytes - end },
        'cut a log at its first damaged batch',
      );
      segment.truncate(end);
    }
    if (next === undefined) return true;
    segment.seal();
    segment.unload();
    // A segment that ends too early has lost whole batches. Kafka's compaction leaves such gaps as well.
    const isComplete = isWhole && (this.#endOffset === next.baseOffset || !this.#isOurs);
    if (isComplete || next.baseOffset <= recoveryPoint) {
      this.#endOffset = next.baseOffset;
      return true;
    }
    this.#logger.warn({ directory: this.#directory, from: next.baseOffset }, 'dropped segments behind a damaged batch');
    this.#dropFrom(index + 1);
    return false;
  }

  #replay(batch: ScannedBatch, aborts: Segment | null): void {
    const { header } = batch;
    if (header.producerId < 0) return;
    if (endOf(header) <= this.#producersUpTo) return;
    if (!attributesOf.isControl(header.attributes)) {
      if (header.lastOffsetDelta >= 0) this.#producers.append(header, header.baseOffset, header.maxTimestamp);
      return;
    }
    const marker = readEndMarker(batch.bytes, batch.start);
    if (marker === null) return;
    const aborted = this.#producers.appendMarker(header, marker, header.baseOffset, header.maxTimestamp);
    if (aborted !== undefined) aborts?.addAborted(aborted);
  }

  #dropFrom(index: number): void {
    for (const segment of this.#segments.slice(index)) {
      segment.close();
      for (const path of segment.markDeleted()) this.#files.remove(path);
    }
    this.#segments = this.#segments.slice(0, index);
  }

  #dropSnapshotsAfter(endOffset: number): void {
    for (const name of this.#files.list(this.#directory)) {
      const isLater = name.endsWith(suffixes.snapshot) && offsetOfFileName(name)! > endOffset;
      if (isLater) this.#files.remove(`${this.#directory}/${name}`);
    }
  }

  /** What a process left in the page cache counts only once it is on disk: consumers will see it. */
  async #makeDurable(firstScanned: number): Promise<void> {
    const scanned = this.#segments.slice(firstScanned);
    const last = this.#segments.at(-1);
    for (const segment of this.#segments) {
      if (segment.hasUnsynced || scanned.includes(segment)) await segment.sync();
      if (segment !== last) segment.unload();
    }
    for (const segment of scanned.slice(0, -1)) await segment.syncIndexes();
    // The recovery point will lie there.
    const snapshot = segmentFileName(this.#segments.at(-1)!.baseOffset, suffixes.snapshot);
    await syncIfThere(this.#files, `${this.#directory}/${snapshot}`);
  }

  /** A crash may have taken what consumers have read (unless each commit was synced): a new epoch lets them find out. True: to be saved. */
  #startEpoch(keepsEpoch: boolean, logStartOffset: number): boolean {
    const before = this.#epochs.toFile().bytes;
    this.#epochs.truncateFromEnd(this.#endOffset + 1);
    this.#epochs.truncateFromStart(logStartOffset);
    const latest = this.#epochs.latest;
    if (latest < 0) this.#epochs.assign(0, logStartOffset);
    else if (!keepsEpoch) this.#epochs.assign(latest + 1, this.#endOffset);
    return Buffer.compare(before, this.#epochs.toFile().bytes) !== 0;
  }

  #recoveryPointFile(): FileContent {
    const { topic, partition } = this.#options;
    const offset = this.#segments.at(-1)!.baseOffset;
    return checkpoint(`${this.#directory}/${checkpointNames.recoveryPoint}`, [[topic, partition, offset]]);
  }

  #readOffsetIfAny(name: string): number | undefined {
    return readOffsetCheckpoint(this.#files, `${this.#directory}/${name}`);
  }

  /** 0: there is no checkpoint. */
  #readOffset(name: string): number {
    return this.#readOffsetIfAny(name) ?? 0;
  }
}

/** The offset in a checkpoint of one partition. */
export function readOffsetCheckpoint(files: FileSystem, path: string): number | undefined {
  const fields = readCheckpoint(files, path)?.[0];
  if (fields === undefined) return undefined;
  const offset = Number(fields.at(-1));
  if (!Number.isSafeInteger(offset) || offset < 0) throw new CorruptLogError(path, 'It holds no offset.');
  return offset;
}

function endOf(header: BatchHeader): number {
  return header.baseOffset + header.lastOffsetDelta + 1;
}

export function parentOf(directory: string): string {
  const slash = directory.lastIndexOf('/');
  return slash > 0 ? directory.slice(0, slash) : slash === 0 ? '/' : '.';
}

/** Every name on the way must survive a power cut, or all below it is lost. */
async function makeDurableDirectory(files: FileSystem, directory: string): Promise<void> {
  if (files.stat(directory) !== undefined) return;
  const parent = parentOf(directory);
  if (parent !== '.') await makeDurableDirectory(files, parent);
  files.makeDirectory(directory);
  await files.syncDirectory(parent);
}

/** A directory of a deleted topic must not pass for that of a new one of the same name. Gives the file, if it is missing. */
function checkTopicId(options: RecoveryOptions): FileContent | undefined {
  const path = `${options.directory}/${checkpointNames.metadata}`;
  const topicId = kafkaUuid(options.topicId);
  const stored = readWhole(options.files, path);
  if (stored === undefined) return { path, bytes: Buffer.from(`version: 0\ntopic_id: ${topicId}\n`) };
  const match = /^version: 0\ntopic_id: (\S+)\n?$/.exec(Buffer.from(stored).toString('utf8'));
  if (match === null) throw new CorruptLogError(path, 'This is not the metadata of a partition (version 0).');
  if (match[1] !== topicId) {
    throw new InconsistentTopicIdError(options, { topicId, storedTopicId: match[1]!, path });
  }
  return undefined;
}

/** Kafka spells UUIDs in base64url; ours may come with dashes. */
function kafkaUuid(text: string): string {
  const hex = text.replaceAll('-', '');
  return text.length === 36 && /^[0-9a-fA-F]{32}$/.test(hex) ? Buffer.from(hex, 'hex').toString('base64url') : text;
}

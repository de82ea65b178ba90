import assert from 'node:assert/strict';
import { silentLogger, type Clock, type FileSystem, type Logger } from '@millrace/platform';
import { attributesOf, setBaseOffset, setPartitionLeaderEpoch, type BatchHeader } from '@millrace/protocol';
import { BatchValidator, type AppendOrigin } from './batch-validation.ts';
import type { CompactionResult, Compactor } from './compaction.ts';
import { readEndMarker, transactionMarker } from './control-batch.ts';
import { DoomedFiles } from './doomed-files.ts';
import { KafkaStorageError, OffsetOutOfRangeError, PolicyViolationError, type PartitionAt } from './errors.ts';
import { graveName } from './file-names.ts';
import type { CommitMember, GroupCommit } from './group-commit.ts';
import type { LeaderEpochs } from './leader-epochs.ts';
import { checkpointNames, LogCheckpoints } from './log-checkpoints.ts';
import { LogCompaction } from './log-compaction.ts';
import type { LogConfig } from './log-config.ts';
import type { AppendResult, LogEvent, LogOptions, ProducerSnapshot, ReadOptions, ReadResult } from './log-types.ts';
import type { EndMarker, ProducerState } from './producer-state.ts';
import { readSegments } from './read-segments.ts';
import { parentOf, recoverLog, type RecoveredLog } from './recovery.ts';
import { segmentsToDelete } from './retention.ts';
import { abortedBetween, RecentSegments, segmentIndex } from './segment-list.ts';
import { Segment } from './segment.ts';
import { Tail } from './tail-cache.ts';
import { offsetForTimestamp, offsetForMaxTimestamp, type OffsetAndTimestamp, type SearchedLog } from './time-lookup.ts';

/** Queued bytes from which on a log writes at once, so that a slow sync does not let memory grow. */
const earlyWriteBytes = 1_048_576;

/** A partition's log. All methods but those that give promises finish within the turn; nothing here knows sockets or groups. */
export class PartitionLog {
  readonly topic: string;
  readonly partition: number;
  readonly topicId: string;
  readonly #at: PartitionAt;
  readonly #directory: string;
  readonly #files: FileSystem;
  readonly #clock: Clock;
  readonly #commits: GroupCommit;
  readonly #logger: Logger;
  readonly #validator: BatchValidator;
  readonly #producers: ProducerState;
  readonly #epochs: LeaderEpochs;
  readonly #leaderEpoch: number;
  readonly #tail: Tail;
  readonly #member: CommitMember;
  #config: LogConfig;
  #segments: Segment[];
  #active: Segment;
  #logStartOffset: number;
  #logEndOffset: number;
  /** Up to where the last commit's write went. */
  #writtenOffset: number;
  #highWatermark: number;
  #sizeBytes: number;
  #listeners: readonly ((event: LogEvent) => void)[] = [];
  #closed: KafkaStorageError | undefined;
  #closing: Promise<void> | undefined;
  /** The end of the log as the files hold it, complete with indexes, snapshot and recovery point; −1: they are behind. */
  #restOffset: number;
  /** Rolled since the last commit: the names of new files are to be synced as well. */
  #hasNewFiles = false;
  /** The last sync, which may be under way. */
  #syncing: Promise<unknown> = Promise.resolve();
  /** Sealed, and not yet durable with indexes and snapshot. */
  #sealed: Segment[] = [];
  /** Work beside the turn: checkpoints, files to remove. Closing waits for it. */
  #background: Promise<void> = Promise.resolve();
  readonly #doomed: DoomedFiles;
  readonly #checkpoints: LogCheckpoints;
  readonly #recent: RecentSegments = new RecentSegments();
  readonly #compaction: LogCompaction;

  /** Recovers, then opens. @throws `CorruptLogError`, `InconsistentTopicIdError`, `FileSystemError` */
  static async open(options: LogOptions): Promise<PartitionLog> {
    return new PartitionLog(options, await recoverLog(options));
  }

  private constructor(options: LogOptions, recovered: RecoveredLog) {
    this.topic = options.topic;
    this.partition = options.partition;
    this.topicId = options.topicId;
    this.#at = { topic: options.topic, partition: options.partition };
    this.#directory = options.directory;
    this.#files = options.files;
    this.#clock = options.clock;
    this.#commits = options.commits;
    this.#logger = options.logger ?? silentLogger;
    this.#config = options.config;
    this.#validator = new BatchValidator(this.#at);
    this.#doomed = new DoomedFiles(options.files, options.clock, (error) => this.#shut(this.#commits.fail(error)));
    this.#checkpoints = new LogCheckpoints(options.files, options.directory, this.#at);
    this.#segments = recovered.segments;
    this.#active = recovered.segments.at(-1)!;
    this.#producers = recovered.producers;
    this.#epochs = recovered.epochs;
    this.#leaderEpoch = recovered.epochs.latest;
    this.#logStartOffset = recovered.logStartOffset;
    this.#logEndOffset = recovered.logEndOffset;
    this.#writtenOffset = recovered.logEndOffset;
    this.#highWatermark = recovered.logEndOffset;
    this.#restOffset = recovered.isAtRest ? recovered.logEndOffset : -1;
    this.#sizeBytes = recovered.segments.reduce((sum, segment) => sum + segment.sizeBytes, 0);
    this.#compaction = this.#newCompaction(recovered.firstDirtyOffset);
    this.#tail = new Tail(options.tailCache, recovered.logEndOffset);
    this.#member = {
      write: () => this.#write(),
      sync: () => this.#sync(),
      committed: () => this.#committed(),
      announce: () => {
        if (this.#closed === undefined) this.#emit('visible');
      },
      fail: (error) => this.#shut(error),
    };
  }

  get config(): LogConfig {
    return this.#config;
  }

  get logStartOffset(): number {
    return this.#logStartOffset;
  }

  /** One past the last appended, durable or not. */
  get logEndOffset(): number {
    return this.#logEndOffset;
  }

  /** One past the last that is durable: what consumers see. */
  get highWatermark(): number {
    return this.#highWatermark;
  }

  /** `highWatermark`, or the first offset of the oldest open transaction, or what DeleteRecords has left of it. */
  get lastStableOffset(): number {
    const firstUnstable = this.#producers.firstUnstableOffset;
    if (firstUnstable === undefined) return this.#highWatermark;
    return Math.max(this.#logStartOffset, Math.min(firstUnstable, this.#highWatermark));
  }

  get leaderEpoch(): number {
    return this.#leaderEpoch;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /**
   * Validates one batch by its header and CRC, assigns its offset, queues it for the turn's write. `bytes` belong to the log
   * from here on: offset and epoch are patched in place.
   * @throws `BatchTooLargeError`, `CorruptBatchError`, `InvalidRecordError`, `InvalidTimestampError`, `RecordListTooLargeError`,
   * `OutOfOrderSequenceError`, `InvalidProducerEpochError`, `InvalidTxnStateError`, `KafkaStorageError`
   */
  append(bytes: Uint8Array, origin: AppendOrigin): AppendResult {
    this.#checkOpen();
    if (this.#commits.failure !== undefined) throw this.#commits.failure;
    const header = this.#validator.checkHeader(bytes, origin, this.#config);
    const isControl = attributesOf.isControl(header.attributes);
    let marker: EndMarker | null = null;
    if (header.producerId >= 0) {
      if (isControl) {
        marker = readEndMarker(bytes, 0);
        if (marker !== null) {
          this.#producers.checkMarker(header.producerId, header.producerEpoch, marker.coordinatorEpoch);
        }
      } else {
        const duplicate = this.#producers.check(header, origin === 'client');
        if (duplicate !== undefined) {
          const isAppendTime = this.#config.messageTimestampType === 'LogAppendTime';
          const logAppendTimeMs = isAppendTime ? duplicate.timestampMs : -1;
          return this.#result(duplicate.firstOffset, duplicate.lastOffset, logAppendTimeMs, true);
        }
      }
    }
    const nowMs = this.#clock.now();
    const valid = this.#validator.prepare(bytes, header, origin, this.#config, nowMs);
    const baseOffset = this.#logEndOffset;
    const lastOffset = baseOffset + header.lastOffsetDelta;
    this.#rollIfNeeded(valid.bytes.length, lastOffset, valid.maxTimestampMs);

    setBaseOffset(valid.bytes, 0, baseOffset);
    setPartitionLeaderEpoch(valid.bytes, 0, this.#leaderEpoch);
    this.#active.append(valid.bytes, lastOffset, valid.maxTimestampMs, this.#config.indexIntervalBytes);
    this.#tail.add(valid.bytes, lastOffset + 1);
    this.#sizeBytes += valid.bytes.length;
    this.#logEndOffset = lastOffset + 1;
    if (header.producerId >= 0) this.#rememberProducer(header, marker, isControl, baseOffset, valid.maxTimestampMs);
    const result = this.#result(baseOffset, lastOffset, valid.logAppendTimeMs, false);
    if (this.#active.queuedBytes >= earlyWriteBytes) this.#writeQueue();
    if (this.#listeners.length > 0) this.#emit('appended');
    return result;
  }

  /**
   * Ends a producer's transaction here with a control batch: one offset.
   * @throws `InvalidProducerEpochError`, `TransactionCoordinatorFencedError`, `KafkaStorageError`
   */
  appendTransactionMarker(marker: {
    readonly producerId: number;
    readonly producerEpoch: number;
    readonly coordinatorEpoch: number;
    readonly isCommit: boolean;
  }): AppendResult {
    return this.append(transactionMarker({ ...marker, timestampMs: this.#clock.now() }), 'coordinator');
  }

  /**
   * Whole batches from the one that holds `offset` on: the first may begin before it, and exceed `maxBytes` (KIP-74). At once
   * where the tail cache has it; a promise where the file must be read.
   * @throws `OffsetOutOfRangeError` below `logStartOffset` or above `logEndOffset`; `KafkaStorageError` when closed
   */
  read(offset: number, options: ReadOptions): ReadResult | Promise<ReadResult> {
    this.#checkOpen();
    if (!(offset >= this.#logStartOffset && offset <= this.#logEndOffset)) throw this.#outOfRange(offset);
    const upperOffset = this.#upperOffset(options.isolation);
    if (offset >= upperOffset) return this.#readResult([], 0, offset, offset, options);
    if (offset < this.#tail.startOffset) return this.#readFile(offset, upperOffset, options);
    const parts: Uint8Array[] = [];
    const endOffset = this.#tail.collect(offset, upperOffset, options.maxBytes, options.minOneBatch, parts);
    let byteLength = 0;
    for (const part of parts) byteLength += part.length;
    return this.#readResult(parts, byteLength, offset, endOffset, options);
  }

  /** Bytes available to a reader at `offset`, without reading them: for long polls. Exact in the tail cache, an estimate before it. */
  availableBytes(offset: number, isolation: ReadOptions['isolation']): number {
    const upperOffset = this.#upperOffset(isolation);
    if (offset >= upperOffset) return 0;
    if (offset >= this.#tail.startOffset) return this.#tail.bytesBetween(offset, upperOffset);
    return Math.max(1, this.#positionEstimate(upperOffset) - this.#positionEstimate(offset));
  }

  /** The first record with a timestamp at or after the target; null: none that a reader of this isolation may see. */
  async offsetForTimestamp(
    timestampMs: number,
    isolation: ReadOptions['isolation'],
  ): Promise<OffsetAndTimestamp | null> {
    this.#checkOpen();
    this.#writeQueue();
    return this.#orClosed(offsetForTimestamp(this.#searched(this.#upperOffset(isolation)), timestampMs));
  }

  /** The record with the greatest timestamp; null: the log is empty, or no record has one. */
  async offsetForMaxTimestamp(): Promise<OffsetAndTimestamp | null> {
    this.#checkOpen();
    this.#writeQueue();
    return this.#orClosed(offsetForMaxTimestamp(this.#searched(this.#logEndOffset)));
  }

  /** Of the greatest epoch not above the one asked for: it, and where it ended. (−1, −1): unknown. */
  endOffsetForEpoch(leaderEpoch: number): { readonly leaderEpoch: number; readonly endOffset: number } {
    return this.#epochs.endOffsetFor(leaderEpoch, this.#logEndOffset);
  }

  /**
   * Moves the log start. −1: to the high watermark. Resolves, with the new start, when a crash would not undo it.
   * @throws `OffsetOutOfRangeError` above the high watermark, `PolicyViolationError` where only compaction may delete
   */
  async deleteRecordsBefore(offset: number): Promise<number> {
    this.#checkOpen();
    if (this.#config.cleanupPolicy === 'compact') {
      throw new PolicyViolationError(this.#at, 'records of a compacted topic are deleted by tombstones alone.');
    }
    const target = offset === -1 ? this.#highWatermark : offset;
    if (!(target >= 0 && target <= this.#highWatermark)) throw this.#outOfRange(offset);
    if (target > this.#logStartOffset) {
      this.#moveStart(target);
      if (!this.#compaction.isSwapping) this.#deleteSegments(this.#segmentsBelowStart()); // else retention will
    }
    await this.#drained();
    this.#checkOpen();
    return this.#logStartOffset;
  }

  setConfig(config: LogConfig): void {
    this.#config = config;
  }

  /** Deletes segments past retention, rolls what must roll, drops expired producers. Called every `log.retention.check.interval.ms`. */
  enforceRetention(): void {
    this.#checkOpen();
    if (this.#compaction.isSwapping) return; // next time
    const nowMs = this.#clock.now();
    this.#producers.expire(nowMs, this.#config.producerIdExpirationMs);
    if (this.#active.isOlderThan(this.#maxSegmentAgeMs(), nowMs)) this.#roll();
    const isDeleting = this.#config.cleanupPolicy !== 'compact';
    const doomed = isDeleting
      ? segmentsToDelete(this.#segments, {
          config: this.#config,
          nowMs,
          highWatermark: this.#highWatermark,
          logEndOffset: this.#logEndOffset,
        })
      : 0;
    if (doomed === this.#segments.length) this.#roll(); // the active segment is eligible too
    if (doomed > 0) this.#moveStart(this.#segments[doomed]!.baseOffset);
    this.#deleteSegments(Math.max(doomed, this.#segmentsBelowStart()));
  }

  /**
   * New bytes over all bytes that a compaction would look at; 1 if something has waited for longer than
   * `max.compaction.lag.ms`; undefined where there is nothing to clean, or a compaction is under way.
   */
  get dirtyRatio(): number | undefined {
    return this.#compaction.dirtyRatio;
  }

  /**
   * Compacts what is eligible, in the worker that `compactor` stands for. The log may be used meanwhile.
   * @throws `CorruptLogError` for a damaged batch (from a worker: `KafkaStorageError`): the log stays as it is
   */
  async compact(compactor: Compactor): Promise<CompactionResult> {
    this.#checkOpen();
    const result = await this.#orClosed(this.#compaction.run(compactor, () => this.#drained()));
    this.#checkOpen();
    return result;
  }

  get activeProducers(): readonly ProducerSnapshot[] {
    return [...this.#producers.entries()].map((entry) => ({
      producerId: entry.producerId,
      producerEpoch: entry.epoch,
      lastSequence: entry.batches.at(-1)?.lastSequence ?? -1,
      lastTimestampMs: entry.lastTimestampMs,
      coordinatorEpoch: entry.coordinatorEpoch,
      currentTransactionFirstOffset: entry.currentTxnFirstOffset,
    }));
  }

  /** Called after each change; several may listen. Gives the removal. */
  onEvent(listener: (event: LogEvent) => void): () => void {
    this.#listeners = [...this.#listeners, listener];
    return () => {
      this.#listeners = this.#listeners.filter((other) => other !== listener);
    };
  }

  /** Writes checkpoints and snapshots, closes the files. @throws `KafkaStorageError` if what was appended could not be made durable */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    try {
      // Failed or deleted: nothing may be written any more.
      if (this.#closed === undefined) await this.#finish();
    } finally {
      this.#closeFiles();
    }
  }

  async #finish(): Promise<void> {
    while (this.#highWatermark < this.#logEndOffset) await this.#commits.enlist(this.#member).done;
    const endOffset = this.#logEndOffset;
    this.#shut(this.#storageError('is closed'));
    await this.#quiet();
    const hasFailed = this.#commits.failure !== undefined; // meanwhile: nothing may be written any more
    if (!hasFailed && !this.#isAtRest(endOffset)) await this.#bringToRest(endOffset);
  }

  /** Asks the file as well: a disk that is gone must not pass for a clean closing. */
  #isAtRest(endOffset: number): boolean {
    return this.#active.file().size() === this.#active.sizeBytes && this.#restOffset === endOffset;
  }

  /** All that a clean start trusts. A log that was not touched has it already: a thousand idle ones close without a sync. */
  async #bringToRest(endOffset: number): Promise<void> {
    this.#active.seal();
    const syncs = this.#segments.filter((segment) => segment.hasUnsynced).map((segment) => segment.sync());
    for (const segment of [...this.#sealed, this.#active]) syncs.push(segment.syncIndexes());
    syncs.push(this.#checkpoints.writeSnapshotDurably(this.#producers, endOffset));
    await Promise.all(syncs);
    const bases = this.#segments.map((segment) => segment.baseOffset);
    this.#checkpoints.removeSnapshotsExcept(new Set([endOffset, ...bases]));
    // In the modes that do not sync at each commit, the names of rolled segments are still to be made durable.
    if (this.#hasNewFiles) await this.#files.syncDirectory(this.#directory);
    await this.#checkpoints.replace([this.#checkpoints.offset(checkpointNames.recoveryPoint, endOffset)]);
  }

  /** Renames the directory away, to `<topic>-<partition>.<topic id>-delete`, and removes it. Readers get `KafkaStorageError`. */
  async delete(): Promise<void> {
    this.#shut(this.#storageError('was deleted'));
    this.#emit('deleted');
    await this.#quiet();
    this.#closeFiles();
    const parent = parentOf(this.#directory);
    const grave = `${parent}/${graveName(this.topic, this.partition, this.topicId)}`;
    this.#files.rename(this.#directory, grave);
    await this.#files.syncDirectory(parent);
    this.#files.remove(grave);
  }

  // --- appending

  #result(baseOffset: number, lastOffset: number, logAppendTimeMs: number, isDuplicate: boolean): AppendResult {
    return {
      baseOffset,
      lastOffset,
      logAppendTimeMs,
      logStartOffset: this.#logStartOffset,
      isDuplicate,
      // A repeated batch may not be durable yet either: commits finish in order, so the next covers it.
      commit: this.#commits.enlist(this.#member),
    };
  }

  #rememberProducer(
    header: BatchHeader,
    marker: EndMarker | null,
    isControl: boolean,
    baseOffset: number,
    timestampMs: number,
  ): void {
    if (!isControl) return this.#producers.append(header, baseOffset, timestampMs);
    if (marker === null) return;
    const aborted = this.#producers.appendMarker(header, marker, baseOffset, timestampMs);
    if (aborted !== undefined) this.#active.addAborted(aborted);
  }

  #maxSegmentAgeMs(): number {
    const { cleanupPolicy, segmentMs, segmentJitterMs, maxCompactionLagMs } = this.#config;
    const ageMs = cleanupPolicy === 'delete' ? segmentMs : Math.min(segmentMs, maxCompactionLagMs);
    return Math.max(0, ageMs - segmentJitterMs);
  }

  #rollIfNeeded(batchBytes: number, lastOffset: number, maxTimestampMs: number): void {
    const { segmentBytes, segmentIndexBytes } = this.#config;
    const limits = { segmentBytes, segmentIndexBytes, segmentAgeMs: this.#maxSegmentAgeMs() };
    if (this.#active.shouldRoll(limits, batchBytes, lastOffset, maxTimestampMs)) this.#roll();
  }

  /** Seals the active segment and begins the next at the log's end. */
  #roll(): void {
    this.#guarded(() => {
      const sealed = this.#active;
      const baseOffset = this.#logEndOffset;
      if (baseOffset === sealed.baseOffset) return; // empty: it goes on
      sealed.write();
      sealed.seal();
      this.#checkpoints.writeSnapshot(this.#producers, baseOffset);
      this.#active = Segment.create(this.#files, this.#directory, baseOffset);
      this.#sealed.push(sealed);
      this.#restOffset = -1;
      this.#segments = [...this.#segments, this.#active];
      this.#hasNewFiles = true;
      this.#commits.enlist(this.#member);
    });
  }

  /** Before the turn's end: for readers of the files, and when much is queued. */
  #writeQueue(): void {
    if (this.#active.queuedBytes > 0) this.#guarded(() => this.#active.write());
  }

  /** What throws in here is the disk's failure: it ends the broker. */
  #guarded(task: () => void): void {
    try {
      task();
    } catch (error) {
      const failure = this.#commits.fail(error);
      this.#shut(failure);
      throw failure;
    }
  }

  // --- committing

  #write(): void {
    if (this.#closed !== undefined) return;
    this.#active.write();
    this.#writtenOffset = this.#logEndOffset;
  }

  async #sync(): Promise<void> {
    if (this.#closed !== undefined) return;
    const syncs: Promise<void>[] = [];
    const sealed = this.#sealed;
    this.#sealed = [];
    for (const segment of sealed) if (segment.hasUnsynced) syncs.push(segment.sync());
    if (this.#active.hasUnsynced && !this.#commits.isUnsynced) syncs.push(this.#active.sync());
    if (this.#hasNewFiles) {
      this.#hasNewFiles = false;
      syncs.push(this.#files.syncDirectory(this.#directory));
    }
    const done = Promise.all(syncs);
    this.#syncing = done;
    await done;
    const last = sealed.at(-1);
    if (last !== undefined) this.#inBackground(() => this.#moveRecoveryPoint(sealed));
  }

  #committed(): void {
    this.#highWatermark = this.#writtenOffset;
    this.#producers.highWatermarkMoved(this.#highWatermark);
    // Without commits to sync it, a segment is synced when it is complete, as Kafka does: recovery then begins behind it.
    if (this.#sealed.length > 0 && this.#commits.isUnsynced) this.#inBackground(() => this.#sync());
  }

  /** Recovery after a crash need not look at segments that are durable together with their indexes and the snapshot behind them. */
  async #moveRecoveryPoint(sealed: readonly Segment[]): Promise<void> {
    for (const segment of sealed) await segment.syncIndexes();
    const next = this.#segments.find((segment) => segment.baseOffset > sealed.at(-1)!.baseOffset);
    if (next === undefined) return;
    await this.#checkpoints.syncSnapshot(next.baseOffset);
    await this.#files.syncDirectory(this.#directory);
    await this.#checkpoints.replace([this.#checkpoints.offset(checkpointNames.recoveryPoint, next.baseOffset)]);
    if (next === this.#active && next.sizeBytes === 0 && this.#sealed.length === 0) this.#restOffset = next.baseOffset;
    for (const segment of sealed) if (!this.#recent.has(segment)) segment.unload();
  }

  // --- reading

  async #readFile(offset: number, upperOffset: number, options: ReadOptions): Promise<ReadResult> {
    this.#writeQueue();
    const { maxBytes, minOneBatch } = options;
    const { indexIntervalBytes } = this.#config;
    const read = await this.#orClosed(
      readSegments(
        () => this.#segments,
        { offset, upperOffset, maxBytes, minOneBatch, indexIntervalBytes },
        (segment) => this.#visit(segment),
      ),
    );
    this.#checkOpen();
    return this.#readResult(read.parts, read.byteLength, offset, read.endOffset, options, read.segments);
  }

  /** Before a segment is opened. */
  #visit(segment: Segment): void {
    this.#checkOpen();
    if (segment !== this.#active) this.#recent.touch(segment);
  }

  #searched(upperOffset: number): SearchedLog {
    const range = { from: this.#logStartOffset, to: upperOffset };
    return { segments: () => this.#segments, visit: (segment) => this.#visit(segment), range };
  }

  #readResult(
    parts: readonly Uint8Array[],
    byteLength: number,
    offset: number,
    endOffset: number,
    options: ReadOptions,
    segments: readonly Segment[] = this.#segments,
  ): ReadResult {
    return {
      parts,
      byteLength,
      highWatermark: this.#highWatermark,
      lastStableOffset: this.lastStableOffset,
      logStartOffset: this.#logStartOffset,
      abortedTransactions: options.isolation === 'read_committed' ? abortedBetween(segments, offset, endOffset) : null,
    };
  }

  #upperOffset(isolation: ReadOptions['isolation']): number {
    if (isolation === 'log_end') return this.#logEndOffset;
    return isolation === 'read_committed' ? this.lastStableOffset : this.#highWatermark;
  }

  /** Bytes of the log before an offset, as exact as the index is. */
  #positionEstimate(offset: number): number {
    if (offset >= this.#logEndOffset) return this.#sizeBytes;
    const index = segmentIndex(this.#segments, offset);
    let bytes = 0;
    for (let i = 0; i < index; i++) bytes += this.#segments[i]!.sizeBytes;
    const segment = this.#segments[index]!;
    if (segment !== this.#active) this.#recent.touch(segment);
    return bytes + segment.offsetIndex().positionFor(offset);
  }

  // --- compacting

  #newCompaction(firstDirtyOffset: number): LogCompaction {
    const log = {
      directory: this.#directory,
      files: this.#files,
      clock: this.#clock,
      producers: this.#producers,
      config: () => this.#config,
      segments: () => this.#segments,
      logStartOffset: () => this.#logStartOffset,
      lastStableOffset: () => this.lastStableOffset,
      isClosed: () => this.#closed !== undefined,
      inBackground: (task: () => Promise<void>) => this.#inBackground(task),
      replaced: (sources: readonly Segment[], target: Segment) => this.#replaceSegments(sources, target),
      removeLater: (paths: readonly string[]) => this.#doomed.removeLater(paths, this.#config.fileDeleteDelayMs),
      saveFirstDirtyOffset: (offset: number) =>
        this.#checkpoints.replace([this.#checkpoints.offset(checkpointNames.cleanerOffset, offset)]),
    };
    return new LogCompaction(log, firstDirtyOffset);
  }

  #replaceSegments(sources: readonly Segment[], target: Segment): void {
    const first = this.#segments.indexOf(sources[0]!);
    this.#segments = this.#segments.toSpliced(first, sources.length, target);
    this.#sizeBytes += target.sizeBytes;
    for (const source of sources) {
      this.#sizeBytes -= source.sizeBytes;
      this.#recent.drop(source);
    }
    // Superseded records would be harmless; those of aborted transactions, which the index no longer names, would not.
    this.#tail.forgetBefore(this.#segments[first + 1]!.baseOffset);
  }

  // --- deleting

  #moveStart(offset: number): void {
    if (offset <= this.#logStartOffset) return;
    this.#logStartOffset = offset;
    this.#epochs.truncateFromStart(offset);
    this.#inBackground(async () => {
      const start = this.#checkpoints.offset(checkpointNames.logStartOffset, this.#logStartOffset);
      await this.#checkpoints.replace([start, this.#epochs.toFile()]);
    });
    this.#emit('deleted');
  }

  /** How many leading segments end at or before the log's start. The active one stays. */
  #segmentsBelowStart(): number {
    let count = 0;
    while (count < this.#segments.length - 1 && this.#segments[count + 1]!.baseOffset <= this.#logStartOffset) count++;
    return count;
  }

  #deleteSegments(count: number): void {
    assert(count < this.#segments.length, 'the active segment stays');
    if (count === 0) return;
    const doomed = this.#segments.slice(0, count);
    this.#segments = this.#segments.slice(count);
    for (const segment of doomed) this.#sizeBytes -= segment.sizeBytes;
    // First the start is durable, then the files go: a crash in between must not bring the old start back.
    this.#inBackground(async () => {
      for (const segment of doomed) this.#doom(segment);
      await this.#files.syncDirectory(this.#directory);
    });
  }

  /** Renames a segment's files now, removes them later: a slow reader may still be at it. */
  #doom(segment: Segment): void {
    const paths = segment.markDeleted();
    segment.close();
    this.#doomed.removeLater(paths, this.#config.fileDeleteDelayMs);
  }

  /** In order, one after the other; a failure is the disk's. */
  #inBackground(task: () => Promise<void>): void {
    this.#background = this.#background.then(task).catch((error: unknown) => {
      this.#shut(this.#commits.fail(error));
    });
  }

  /** For the end: when no sync is under way either, which may have more to do afterwards. */
  #quiet(): Promise<void> {
    this.#inBackground(async () => void (await this.#syncing));
    return this.#drained();
  }

  /** When no work beside the turn is left: what ends may have begun more. */
  async #drained(): Promise<void> {
    for (let last; last !== this.#background;) {
      last = this.#background;
      await last;
    }
  }

  // --- closing

  #checkOpen(): void {
    if (this.#closed !== undefined) throw this.#closed;
  }

  /** A read that fails because the log was closed under it says so. */
  async #orClosed<T>(read: Promise<T>): Promise<T> {
    try {
      return await read;
    } catch (error) {
      throw this.#closed ?? error;
    }
  }

  #shut(error: KafkaStorageError): void {
    this.#closed ??= error;
    this.#tail.clear(this.#logEndOffset);
  }

  #closeFiles(): void {
    for (const segment of this.#segments) segment.close();
    if (this.#commits.failure === undefined) this.#doomed.removeNow();
    else this.#doomed.giveUp();
    this.#logger.debug({ ...this.#at, logEndOffset: this.#logEndOffset }, 'closed a log');
  }

  #emit(event: LogEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  #outOfRange(offset: number): OffsetOutOfRangeError {
    const context = { offset, logStartOffset: this.#logStartOffset, logEndOffset: this.#logEndOffset };
    return new OffsetOutOfRangeError(this.#at, context);
  }

  #storageError(what: string): KafkaStorageError {
    return new KafkaStorageError(`The log ${this.topic}-${this.partition} ${what}.`, { ...this.#at });
  }
}

import type { Clock, FileSystem, Logger } from '@millrace/platform';
import type { Commit, GroupCommit } from './group-commit.ts';
import type { LogConfig } from './log-config.ts';

export interface LogOptions {
  readonly topic: string;
  readonly partition: number;
  /** `DATA/<topic>-<partition>`; made when missing. */
  readonly directory: string;
  readonly topicId: string;
  readonly files: FileSystem;
  readonly clock: Clock;
  readonly commits: GroupCommit;
  readonly config: LogConfig;
  /** Memory for tails, shared by all logs of a broker. */
  readonly tailCache: TailCache;
  /** The broker closed cleanly: recovery is skipped. */
  readonly wasClosedCleanly: boolean;
  readonly logger?: Logger | undefined;
}

/** A bound on the bytes that logs keep of what was appended last, so that consumers at the head never touch the disk. */
export declare class TailCache {
  constructor(options: { readonly maxBytes: number });
  readonly usedBytes: number;
}

/** Who appends. Control batches only from the coordinator; `'coordinator'` also skips sequence checks. */
export type AppendOrigin = 'client' | 'coordinator';

export interface AppendResult {
  readonly baseOffset: number;
  readonly lastOffset: number;
  /** −1 unless the topic has LogAppendTime. */
  readonly logAppendTimeMs: number;
  readonly logStartOffset: number;
  /** The batch was there already (idempotence): its first offsets are given, and nothing was appended. */
  readonly isDuplicate: boolean;
  /** What `acks=all` waits for. */
  readonly commit: Commit;
}

export interface ReadOptions {
  /** Soft: the first batch is returned whole even if it is larger, if `minOneBatch`. */
  readonly maxBytes: number;
  readonly minOneBatch: boolean;
  /** Up to where: the durable end, the last stable offset, or everything appended. */
  readonly isolation: 'read_uncommitted' | 'read_committed' | 'log_end';
}

export interface ReadResult {
  /** Whole batches, as they lie; the first may begin before the offset asked for. Each part holds one or more batches. */
  readonly parts: readonly Uint8Array[];
  readonly byteLength: number;
  readonly highWatermark: number;
  readonly lastStableOffset: number;
  readonly logStartOffset: number;
  /** Only for `read_committed`: transactions aborted in the range. */
  readonly abortedTransactions: readonly AbortedTransaction[] | null;
}

export interface AbortedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
}

export interface OffsetAndTimestamp {
  readonly offset: number;
  readonly timestampMs: number;
  readonly leaderEpoch: number;
}

/** Why waiting readers are woken. */
export type LogEvent = 'appended' | 'visible' | 'deleted';

/** A partition's log. All methods but those that give promises finish within the turn; nothing here knows sockets or groups. */
export declare class PartitionLog {
  /** Recovers, then opens. @throws `CorruptLogError`, `FileSystemError` */
  static open(options: LogOptions): Promise<PartitionLog>;

  readonly topic: string;
  readonly partition: number;
  readonly topicId: string;
  readonly config: LogConfig;
  readonly logStartOffset: number;
  /** One past the last appended, durable or not. */
  readonly logEndOffset: number;
  /** One past the last that is durable: what consumers see. */
  readonly highWatermark: number;
  /** `highWatermark`, or the first offset of the oldest open transaction. */
  readonly lastStableOffset: number;
  readonly leaderEpoch: number;
  readonly sizeBytes: number;

  /**
   * Validates one batch by its header and CRC, assigns its offset, queues it for the turn's write. `bytes` belong to the log
   * from here on: offset and epoch are patched in place.
   * @throws `BatchTooLargeError`, `CorruptBatchError`, `InvalidRecordError`, `InvalidTimestampError`, `RecordListTooLargeError`,
   * `OutOfOrderSequenceError`, `InvalidProducerEpochError`, `InvalidTxnStateError`, `KafkaStorageError`
   */
  append(bytes: Uint8Array, origin: AppendOrigin): AppendResult;

  /** Ends a producer's transaction here with a control batch: one offset. */
  appendTransactionMarker(marker: {
    readonly producerId: number;
    readonly producerEpoch: number;
    readonly coordinatorEpoch: number;
    readonly isCommit: boolean;
  }): AppendResult;

  /** At once where the tail cache or the page cache has it; a promise where the disk must be waited for. @throws `OffsetOutOfRangeError` */
  read(offset: number, options: ReadOptions): ReadResult | Promise<ReadResult>;
  /** Bytes available to a reader at `offset`, without reading them: for long polls. */
  availableBytes(offset: number, isolation: ReadOptions['isolation']): number;

  /** The first record with a timestamp at or after the target; null: none. */
  offsetForTimestamp(timestampMs: number, isolation: ReadOptions['isolation']): Promise<OffsetAndTimestamp | null>;
  /** The record with the greatest timestamp; null: the log is empty. */
  offsetForMaxTimestamp(): Promise<OffsetAndTimestamp | null>;
  /** Of the greatest epoch not above the one asked for: it, and where it ended. (−1, −1): unknown. */
  endOffsetForEpoch(leaderEpoch: number): { readonly leaderEpoch: number; readonly endOffset: number };

  /** Moves the log start. −1: to the high watermark. @throws `OffsetOutOfRangeError`, `PolicyViolationError` */
  deleteRecordsBefore(offset: number): Promise<number>;
  setConfig(config: LogConfig): void;

  /** Deletes segments past retention, rolls what must roll, drops expired producers. Called every `log.retention.check.interval.ms`. */
  enforceRetention(): void;
  /** Bytes a compaction would look at over those it would keep, or undefined where there is nothing to clean. */
  readonly dirtyRatio: number | undefined;
  /** Compacts what is eligible, in the worker that `compactor` stands for. */
  compact(compactor: Compactor): Promise<CompactionResult>;

  /** True: a producer has an open transaction here. */
  hasOpenTransaction(producerId: number): boolean;
  readonly activeProducers: readonly ProducerSnapshot[];

  /** Called after each change; several may listen. Gives the removal. */
  onEvent(listener: (event: LogEvent) => void): () => void;

  /** Writes checkpoints and snapshots, closes the files. */
  close(): Promise<void>;
  /** Renames the directory away and removes it. Readers get `KafkaStorageError`. */
  delete(): Promise<void>;
}

export interface ProducerSnapshot {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly lastSequence: number;
  readonly lastTimestampMs: number;
  readonly coordinatorEpoch: number;
  /** −1: none open. */
  readonly currentTransactionFirstOffset: number;
}

/** Runs compactions: in a worker thread (`workerCompactor`), or inline for tests and simulations. */
export interface Compactor {
  run(task: CompactionTask): Promise<CompactionOutput>;
  close(): Promise<void>;
}
export interface CompactionTask {
  readonly directory: string;
}
export interface CompactionOutput {
  readonly keptBytes: number;
}
export interface CompactionResult {
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

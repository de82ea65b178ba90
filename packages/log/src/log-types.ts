import type { Clock, FileSystem, Logger } from '@millrace/platform';
import type { Commit, GroupCommit } from './group-commit.ts';
import type { LogConfig } from './log-config.ts';
import type { TailCache } from './tail-cache.ts';

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

/** Why waiting readers are woken: there is more to read for `'log_end'`, for consumers, or less than there was. */
export type LogEvent = 'appended' | 'visible' | 'deleted';

export interface ProducerSnapshot {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly lastSequence: number;
  readonly lastTimestampMs: number;
  readonly coordinatorEpoch: number;
  /** −1: none open. */
  readonly currentTransactionFirstOffset: number;
}

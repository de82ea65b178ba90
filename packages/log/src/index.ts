export type { AppendOrigin } from './batch-validation.ts';
export {
  BatchTooLargeError,
  CorruptLogError,
  InconsistentTopicIdError,
  InvalidProducerEpochError,
  InvalidRecordError,
  InvalidTimestampError,
  InvalidTxnStateError,
  KafkaStorageError,
  OffsetOutOfRangeError,
  OutOfOrderSequenceError,
  PolicyViolationError,
  RecordListTooLargeError,
  TransactionCoordinatorFencedError,
  type RecordError,
} from './errors.ts';
export { GroupCommit, type Commit, type CommitMember, type FlushMode } from './group-commit.ts';
export { defaultLogConfig, type LogConfig } from './log-config.ts';
export type {
  AbortedTransaction,
  AppendResult,
  LogEvent,
  LogOptions,
  ProducerSnapshot,
  ReadOptions,
  ReadResult,
} from './log-types.ts';
export { PartitionLog } from './partition-log.ts';
export { TailCache } from './tail-cache.ts';
export type { OffsetAndTimestamp } from './time-lookup.ts';
export type { CleanedSegment, CompactionOutput, CompactionResult, CompactionTask, Compactor } from './compaction.ts';
export { inlineCompactor, workerCompactor, type CompactorOptions } from './compactors.ts';

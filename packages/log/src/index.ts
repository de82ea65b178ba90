export { GroupCommit, type Commit, type FlushMode } from './group-commit.ts';
export { defaultLogConfig, type LogConfig } from './log-config.ts';
export {
  PartitionLog,
  TailCache,
  type AbortedTransaction,
  type AppendOrigin,
  type AppendResult,
  type CompactionResult,
  type Compactor,
  type LogEvent,
  type LogOptions,
  type OffsetAndTimestamp,
  type ProducerSnapshot,
  type ReadOptions,
  type ReadResult,
} from './partition-log.ts';

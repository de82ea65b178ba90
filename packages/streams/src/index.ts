/** `@millrace/streams`: the DSL, the plan, the runtime. (The test driver is `@millrace/streams/testing`.) */
export {
  agg,
  type Aggregates,
  type Aggregator,
  type Invertible,
  type InvertibleAggregates,
  type RowOf,
} from './dsl/aggregators.ts';
export { StreamsBuilder, type BuilderOptions, type SourceOptions } from './dsl/builder.ts';
export type { KGroupedStream, KGroupedTable, RowOptions, Subtract, TimeWindowedKStream } from './dsl/grouping.ts';
export type {
  AsyncContext,
  Branched,
  Branches,
  KeyedValue,
  KStream,
  MapAsyncOptions,
  OnOptions,
  Partitioner,
  PipeOptions,
  RecordContext,
  RekeyOptions,
  RepartitionOptions,
  StreamJoinOptions,
  ToOptions,
} from './dsl/kstream.ts';
export type { GlobalKTable, KTable, StoredKTable, TableGroupOptions, WindowedKTable } from './dsl/ktable.ts';
export type { Literals, Result } from './dsl/literals.ts';
export type { KeysOf, Processor, ProcessorContext, ProcessorStores, StoresOf, Timer, Timers } from './dsl/processor.ts';
export {
  days,
  hopping,
  hours,
  minutes,
  seconds,
  tumbling,
  type Grace,
  type JoinWindow,
  type TimeWindows,
} from './dsl/windows.ts';
export { deadLetterOf, deadLetters, type DeadLetter } from './dead-letters.ts';
export {
  DuplicateNameError,
  InvalidPlanError,
  KeyNotDeclaredError,
  LateEmissionError,
  NondeterministicSinkError,
  NotCopartitionedError,
  PromiseValueError,
  RecordFailedError,
  SegmentCompletedError,
  StoreCorruptError,
  TaskClosedError,
  type ErrorPolicy,
  type NodeOptions,
  type RetryPolicy,
  type StreamsErrorCode,
} from './errors.ts';
export { CallTimeoutError } from './nodes/map-async.ts';
export type { Topology, TopologyNode } from './plan/topology.ts';
export { Streams, type StreamsOptions, type StreamsState } from './runtime/app.ts';
export {
  AppClosedError,
  IncompatiblePlanError,
  InvalidStreamsOptionError,
  MissingTopicError,
  NoOwnerError,
  SinkFailedError,
  ViewTimeoutError,
  type RuntimeErrorCode,
} from './runtime/errors.ts';
export type { StreamsMetrics } from './runtime/metrics.ts';
export type { RestoreProgress } from './runtime/restore.ts';
export {
  SinkBusyError,
  type Sink,
  type SinkBatch,
  type SinkRecord,
  type SinkTask,
  type SinkTier,
  type SinkWriter,
} from './sink.ts';
export { memory } from './state/memory.ts';
export type {
  KeyValueStore,
  KeyValueStoreOptions,
  ProcessorStore,
  ReadOnlyKeyValueStore,
  ReadOnlyWindowStore,
  Retention,
  StoreBackend,
  Stored,
  StoreOptions,
  StoreSettings,
  TimeSpan,
  WindowStore,
  WindowStoreOptions,
} from './stores.ts';
export type { RecordFailure } from './task/ports.ts';
export type { Answer, Change, KeyValueView, ReadOptions, Scan, WindowView } from './views.ts';
export { isMillraceError, type MillraceError } from '@millrace/platform';
export type { Windowed } from '@millrace/serde';

/**
 * `@millrace/client`: producer, consumer and admin, over TCP/TLS or in-process; promises and async iterables (Observables:
 * `@millrace/client/rx`).
 *
 * Offsets and timestamps are numbers. 2^53 lasts a partition 285 years at a million records a second, a bigint doubles the
 * cost of decoding and cannot be JSON. What is not a safe integer is an error, never a rounded number.
 */
export { isMillraceError, type MillraceError } from '@millrace/platform';
export type {
  Admin,
  ClusterDescription,
  GroupDescription,
  GroupOffset,
  GroupState,
  TopicDescription,
  TopicSpec,
} from './admin/admin-types.ts';
export { Client } from './client.ts';
export type { ClientOptions, Cluster, ClusterOptions, SaslOptions } from './cluster-options.ts';
export type {
  ConsumerOptions,
  IsolationLevel,
  OnInvalid,
  RecordsOptions,
  StartPosition,
} from './consumer/consumer-options.ts';
export type { Consumer, PartitionLag, RecordBatch } from './consumer/consumer.ts';
export {
  BrokerNotAvailableError,
  BufferOverflowError,
  ClosedError,
  CommitFailedError,
  DeliveryTimeoutError,
  DisconnectedError,
  InvalidOptionError,
  InvalidRecordError,
  InvalidTransactionStateError,
  MessageTooLargeError,
  NodeNotAvailableError,
  OffsetOutOfRangeError,
  ProducerFencedError,
  RequestTimedOutError,
  ResponseTooLargeError,
  SaslAuthenticationError,
  TopicMismatchError,
  TransactionAbortedError,
  UnknownTopicError,
  UnsafeIntegerError,
  UnsupportedVersionError,
} from './errors.ts';
export { KafkaError } from './kafka-error.ts';
export type { Position, TopicPartition } from './positions.ts';
export { partitionOf as partitionForKey } from './producer/partitioner.ts';
export type { Producer, Sender, Transaction, TransactionalProducer } from './producer/producer.ts';
export type { RecordSource, SendFromOptions, SendFromResult, Subscribable } from './producer/send-from.ts';
export type { ProducerOptions, TransactionalProducerOptions } from './producer-options.ts';
export type { AnyTopic, ConsumerRecord, OutgoingRecord, RecordOf } from './records.ts';

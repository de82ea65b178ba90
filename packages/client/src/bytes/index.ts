/**
 * `@millrace/client/bytes`: producer and consumer without serdes, for those who build on the protocol (the streams runtime is
 * one). Nothing here makes a promise or an object per record.
 */
import type { Client } from '../client.ts';
import type { ProducerOptions, TransactionalProducerOptions } from '../producer-options.ts';
import type { BytesConsumer, BytesConsumerOptions, BytesProducer, BytesTransactionalProducer } from './types.ts';

export type {
  Assignor,
  AssignorMember,
  BytesConsumer,
  BytesConsumerOptions,
  BytesProducer,
  BytesTransactionalProducer,
  FetchedRecords,
  GroupMetadata,
  TopicPartitionId,
  TopicPartitionOffset,
} from './types.ts';

/** A producer of bytes; it shares the client's connections, and is closed with the client. */
export declare function bytesProducer(client: Client, options?: ProducerOptions): BytesProducer;

/** The same with transactions. Call `init` first. */
export declare function bytesTransactionalProducer(
  client: Client,
  options: TransactionalProducerOptions,
): BytesTransactionalProducer;

/** A consumer of bytes. With a group it joins at the first `poll`; `close` leaves the group. */
export declare function bytesConsumer(client: Client, options: BytesConsumerOptions): BytesConsumer;

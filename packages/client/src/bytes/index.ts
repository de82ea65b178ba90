/**
 * `@millrace/client/bytes`: producer and consumer without serdes, for those who build on the protocol (the streams runtime is
 * one). Nothing here makes a promise or an object per record.
 */
import { internalsOf, type Client } from '../client.ts';
import { EngineBytesConsumer } from '../consumer/bytes-consumer.ts';
import { EngineBytesProducer, EngineBytesTransactionalProducer } from '../producer/bytes-producer.ts';
import type { ProducerOptions, TransactionalProducerOptions } from '../producer-options.ts';
import type { BytesConsumer, BytesConsumerOptions, BytesProducer, BytesTransactionalProducer } from './types.ts';

export { cooperativeSticky } from '../consumer/assignors/cooperative-sticky.ts';
export { range } from '../consumer/assignors/range.ts';
export { partitionOf } from '../producer/partitioner.ts';
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

/** A producer of bytes; it shares the client's view of the cluster, and is closed with the client. @throws `INVALID_CONFIG`, `CLOSED` */
export function bytesProducer(client: Client, options: ProducerOptions = {}): BytesProducer {
  const { cluster, own } = internalsOf(client);
  return own(new EngineBytesProducer(cluster, options));
}

/** The same with transactions. Call `init` first. @throws `INVALID_CONFIG`, `CLOSED` */
export function bytesTransactionalProducer(
  client: Client,
  options: TransactionalProducerOptions,
): BytesTransactionalProducer {
  const { cluster, own } = internalsOf(client);
  return own(new EngineBytesTransactionalProducer(cluster, options));
}

/** A consumer of bytes. With a group it joins at the first `poll`; `close` leaves the group. @throws `INVALID_CONFIG`, `CLOSED` */
export function bytesConsumer(client: Client, options: BytesConsumerOptions): BytesConsumer {
  const { cluster, own } = internalsOf(client);
  return own(new EngineBytesConsumer(cluster, options));
}

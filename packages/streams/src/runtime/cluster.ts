import type {
  BytesConsumer,
  BytesConsumerOptions,
  BytesProducer,
  BytesTransactionalProducer,
  TopicPartitionOffset,
} from '@millrace/client/bytes';

/** What a running app asks of the cluster. One connection pool behind all of it. */
export interface StreamsCluster {
  consumer(options: BytesConsumerOptions): BytesConsumer;
  producer(): BytesProducer;
  transactionalProducer(transactionalId: string): BytesTransactionalProducer;

  /** Every topic there is, internal ones of the cluster left out, with its partition count. */
  partitionCounts(): Promise<ReadonlyMap<string, number>>;
  /** One that exists is left alone: two instances may start at once. */
  createTopic(topic: NewTopic): Promise<void>;
  topicDetails(topic: string): Promise<TopicDetails>;
  setTopicConfig(topic: string, config: Readonly<Record<string, string>>): Promise<void>;
  earliestOffsets(topic: string): Promise<ReadonlyMap<number, number>>;
  endOffsets(topic: string): Promise<ReadonlyMap<number, number>>;
  /** Offsets of the group with their metadata. */
  committedOffsets(groupId: string): Promise<readonly TopicPartitionOffset[]>;
  deleteRecordsBefore(positions: readonly TopicPartitionOffset[]): Promise<void>;
  close(): Promise<void>;
}

export interface TopicDetails {
  /** undefined: the cluster is too old to say. */
  readonly topicId: string | undefined;
  /** undefined: unlimited. */
  readonly deleteRetentionMs: number | undefined;
  /** undefined: the cluster does not say. */
  readonly minCompactionLagMs: number | undefined;
}

export interface NewTopic {
  readonly name: string;
  readonly numPartitions: number;
  /** −1: the cluster's default. */
  readonly replicationFactor: number;
  readonly config: Readonly<Record<string, string>>;
}

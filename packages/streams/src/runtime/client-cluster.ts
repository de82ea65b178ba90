import type { Client } from '@millrace/client';
import {
  bytesConsumer,
  bytesProducer,
  bytesTransactionalProducer,
  type TopicPartitionOffset,
} from '@millrace/client/bytes';
import type { NewTopic, StreamsCluster } from './cluster.ts';

/** The cluster behind a client. Closing it closes the client. */
export function clusterOf(client: Client, options: { readonly transactionTimeoutMs: number }): StreamsCluster {
  const { admin } = client;
  const offsets = async (topic: string, at: 'earliest' | 'latest'): Promise<ReadonlyMap<number, number>> => {
    const positions = await admin.listOffsets(topic, at);
    return new Map(positions.map(({ partition, offset }) => [partition, offset]));
  };
  return {
    consumer: (consumerOptions) => bytesConsumer(client, consumerOptions),
    producer: () => bytesProducer(client),
    transactionalProducer: (transactionalId) => bytesTransactionalProducer(client, { transactionalId, ...options }),
    async partitionCounts() {
      const topics = await admin.describeTopics(await admin.listTopics());
      return new Map(topics.map(({ name, partitions }) => [name, partitions.length]));
    },
    createTopic: ({ name, numPartitions, replicationFactor, config }: NewTopic) =>
      admin.createTopics([{ name, numPartitions, replicationFactor, config }]),
    async topicDetails(topic) {
      const [[description], configs] = await Promise.all([admin.describeTopics([topic]), admin.describeConfigs(topic)]);
      return {
        topicId: description === undefined || isNil(description.topicId) ? undefined : description.topicId,
        deleteRetentionMs: wholeNumber(configs['delete.retention.ms']),
        minCompactionLagMs: wholeNumber(configs['min.compaction.lag.ms']),
      };
    },
    setTopicConfig: (topic, config) => admin.alterConfigs(topic, config),
    earliestOffsets: (topic) => offsets(topic, 'earliest'),
    endOffsets: (topic) => offsets(topic, 'latest'),
    committedOffsets: (groupId) =>
      admin.listConsumerGroupOffsets(groupId) as Promise<readonly (TopicPartitionOffset & { metadata: string })[]>,
    deleteRecordsBefore: (positions) => admin.deleteRecords(positions),
    close: () => client.close(),
  };
}

/** undefined: not there, or more than a number holds, which is without end. */
function wholeNumber(config: string | null | undefined): number | undefined {
  const value = Number(config ?? NaN);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** Brokers without topic ids (before Kafka 2.8) answer zeros. */
function isNil(topicId: string): boolean {
  return topicId === '' || /^[0-]+$/.test(topicId) || topicId === 'AAAAAAAAAAAAAAAAAAAAAA';
}

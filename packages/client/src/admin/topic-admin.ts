import { apis, errorCodes } from '@millrace/protocol';
import { TopicMismatchError, UnknownTopicError } from '../errors.ts';
import { KafkaError } from '../kafka-error.ts';
import { Backoff } from '../network/backoff.ts';
import type { ClusterClient } from '../network/cluster-client.ts';
import type { KafkaConnection } from '../network/connection.ts';
import type { PartitionMetadata } from '../network/metadata.ts';
import type { Position } from '../positions.ts';
import type { TopicDescription, TopicSpec } from './admin-types.ts';

export async function createTopics(
  cluster: ClusterClient,
  topics: readonly TopicSpec[],
  isOnlyValidated: boolean,
): Promise<void> {
  if (topics.length === 0) return;
  const existing = await cluster.retrying(async () => {
    const connection = await controllerConnection(cluster);
    const answer = await connection.request(apis.createTopics, {
      topics: topics.map((topic) => ({
        name: topic.name,
        // −1: the cluster's default (KIP-464).
        numPartitions: topic.numPartitions ?? -1,
        replicationFactor: topic.replicationFactor ?? -1,
        configs: Object.entries(topic.config ?? {})
          .filter(([, value]) => value !== undefined)
          .map(([name, value]) => ({ name, value: String(value) })),
      })),
      timeoutMs: cluster.requestTimeoutMs,
      validateOnly: isOnlyValidated,
    });
    const there: string[] = [];
    for (const { name, errorCode, errorMessage } of answer.topics) {
      if (errorCode === errorCodes.TOPIC_ALREADY_EXISTS) there.push(name);
      else await checkTopic(cluster, errorCode, 'CreateTopics', name, errorMessage);
    }
    return there;
  });
  for (const topic of topics) {
    if (isOnlyValidated && !existing.includes(topic.name)) continue;
    const partitionCount = await visiblePartitions(cluster, topic.name, 1);
    if (topic.numPartitions !== undefined && partitionCount !== topic.numPartitions) {
      throw new TopicMismatchError(topic.name, topic.numPartitions, partitionCount);
    }
  }
}

export async function deleteTopics(cluster: ClusterClient, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  const left = new Set(names);
  await cluster.retrying(async () => {
    const connection = await controllerConnection(cluster);
    const { requestTimeoutMs: timeoutMs } = cluster;
    const answer = await connection.request(
      apis.deleteTopics,
      connection.serves(apis.deleteTopics, 6)
        ? { topics: [...left].map((name) => ({ name })), timeoutMs }
        : { topicNames: [...left], timeoutMs },
    );
    // Another try is for the others: these would be unknown by then.
    for (const { name, errorCode } of answer.responses) if (errorCode === errorCodes.NONE) left.delete(name ?? '');
    for (const { name, errorCode, errorMessage } of answer.responses) {
      if (errorCode === errorCodes.UNKNOWN_TOPIC_OR_PARTITION) throw new UnknownTopicError(name ?? '');
      await checkTopic(cluster, errorCode, 'DeleteTopics', name ?? '', errorMessage);
    }
  });
  await untilShown(cluster, names, () => !names.some((name) => cluster.metadata.topics.has(name)));
}

export async function describeTopics(
  cluster: ClusterClient,
  names: readonly string[],
): Promise<readonly TopicDescription[]> {
  await cluster.refresh(names);
  return names.map((name) => {
    const topic = cluster.metadata.topics.get(name);
    if (topic === undefined) throw new UnknownTopicError(name);
    return {
      name,
      topicId: topic.topicId,
      partitions: topic.partitions.map(({ partition, leader, replicas, isr }) => ({
        partition,
        leader,
        replicas,
        isr,
      })),
    };
  });
}

export async function createPartitions(cluster: ClusterClient, topic: string, totalCount: number): Promise<void> {
  await cluster.retrying(async () => {
    const connection = await controllerConnection(cluster);
    const answer = await connection.request(apis.createPartitions, {
      topics: [{ name: topic, count: totalCount, assignments: null }],
      timeoutMs: cluster.requestTimeoutMs,
      validateOnly: false,
    });
    for (const { errorCode, errorMessage } of answer.results) {
      if (errorCode === errorCodes.UNKNOWN_TOPIC_OR_PARTITION) throw new UnknownTopicError(topic);
      await checkTopic(cluster, errorCode, 'CreatePartitions', topic, errorMessage);
    }
  });
  await visiblePartitions(cluster, topic, totalCount);
}

/** Each leader deletes for its partitions. */
export async function deleteRecords(cluster: ClusterClient, before: readonly Position[]): Promise<void> {
  for (const topic of new Set(before.map((position) => position.topic))) await cluster.topic(topic);
  await Promise.all(
    before.map(({ topic, partition, offset }) =>
      cluster.retrying(async () => {
        const metadata = cluster.leaderOf(topic, partition);
        if (metadata === undefined) throw new UnknownTopicError(topic, partition);
        const connection = await connectionTo(cluster, metadata.leader, [topic]);
        const answer = await connection.request(apis.deleteRecords, {
          topics: [{ name: topic, partitions: [{ partitionIndex: partition, offset }] }],
          timeoutMs: cluster.requestTimeoutMs,
        });
        const code = answer.topics[0]?.partitions[0]?.errorCode ?? errorCodes.UNKNOWN_SERVER_ERROR;
        if (code === errorCodes.NONE) return;
        await cluster.refresh([topic]);
        throw new KafkaError(code, `DeleteRecords of ${topic}-${partition}`, { context: { topic, partition, offset } });
      }),
    ),
  );
}

const resourceTypeTopic = 2;
const configOperations = { set: 0, delete: 1 } as const;

export async function describeConfigs(
  cluster: ClusterClient,
  topic: string,
): Promise<Readonly<Record<string, string | null>>> {
  return await cluster.retrying(async () => {
    const connection = await cluster.anyConnection();
    const answer = await connection.request(apis.describeConfigs, {
      resources: [{ resourceType: resourceTypeTopic, resourceName: topic, configurationKeys: null }],
    });
    const [result] = answer.results;
    if (result === undefined) throw new KafkaError(errorCodes.UNKNOWN_SERVER_ERROR, `DescribeConfigs of ${topic}`);
    if (result.errorCode === errorCodes.UNKNOWN_TOPIC_OR_PARTITION) throw new UnknownTopicError(topic);
    await checkTopic(cluster, result.errorCode, 'DescribeConfigs', topic, result.errorMessage);
    return Object.fromEntries(result.configs.map(({ name, value }) => [name, value]));
  });
}

export async function alterConfigs(
  cluster: ClusterClient,
  topic: string,
  changes: Readonly<Record<string, string | number | boolean | null | undefined>>,
): Promise<void> {
  const configs = Object.entries(changes)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) =>
      value === null
        ? { name, configOperation: configOperations.delete, value: null }
        : { name, configOperation: configOperations.set, value: String(value) },
    );
  await cluster.retrying(async () => {
    const connection = await controllerConnection(cluster);
    const answer = await connection.request(apis.incrementalAlterConfigs, {
      resources: [{ resourceType: resourceTypeTopic, resourceName: topic, configs }],
      validateOnly: false,
    });
    for (const { errorCode, errorMessage } of answer.responses) {
      if (errorCode === errorCodes.UNKNOWN_TOPIC_OR_PARTITION) throw new UnknownTopicError(topic);
      await checkTopic(cluster, errorCode, 'IncrementalAlterConfigs', topic, errorMessage);
    }
  });
}

/** Only the controller may change things; a broker of today passes them on, an older one says NOT_CONTROLLER. */
async function controllerConnection(cluster: ClusterClient): Promise<KafkaConnection> {
  const { controllerId, brokers } = cluster.metadata;
  return brokers.has(controllerId) ? await connectionTo(cluster, controllerId) : await cluster.anyConnection();
}

/** If there is none, the next try knows who has taken the node's place. */
async function connectionTo(
  cluster: ClusterClient,
  nodeId: number,
  topics: readonly string[] = [],
): Promise<KafkaConnection> {
  try {
    return await cluster.connections.to(nodeId);
  } catch (error) {
    await cluster.refresh(topics).catch(() => undefined); // the first failure says what is wrong
    throw error;
  }
}

async function checkTopic(
  cluster: ClusterClient,
  code: number,
  api: string,
  topic: string,
  serverMessage: string | null,
): Promise<void> {
  if (code === errorCodes.NONE) return;
  if (code === errorCodes.NOT_CONTROLLER) await cluster.refresh();
  throw new KafkaError(code, `${api} of topic ${topic}`, { context: { topic }, serverMessage });
}

/** Waits until a topic has at least so many partitions, and all are led. */
async function visiblePartitions(cluster: ClusterClient, topic: string, count: number): Promise<number> {
  const partitionsOf = (): readonly PartitionMetadata[] => cluster.metadata.topics.get(topic)?.partitions ?? [];
  await untilShown(
    cluster,
    [topic],
    () => partitionsOf().length >= count && partitionsOf().every(({ leader }) => leader !== -1),
  );
  return partitionsOf().length;
}

/** A change reaches the brokers one after another: waits until the one we ask shows it. */
async function untilShown(cluster: ClusterClient, topics: readonly string[], isShown: () => boolean): Promise<void> {
  const { clock, random } = cluster.platform;
  const deadlineMs = clock.monotonic() + cluster.requestTimeoutMs;
  const backoff = new Backoff(random, 10, 500);
  for (;;) {
    await cluster.refresh(topics);
    if (isShown()) return;
    if (clock.monotonic() > deadlineMs) {
      const context = { topics };
      throw new KafkaError(errorCodes.LEADER_NOT_AVAILABLE, `Metadata of topics ${topics.join(', ')}`, { context });
    }
    await cluster.pause(backoff.nextMs());
  }
}

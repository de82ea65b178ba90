import type { TopicConfig } from '@millrace/serde';
import { apis, errorCodes } from '@millrace/protocol';
import type { IsolationLevel } from '../consumer/consumer-options.ts';
import { listOffsets, offsetAt } from '../consumer/list-offsets.ts';
import { KafkaError } from '../kafka-error.ts';
import type { ClusterClient } from '../network/cluster-client.ts';
import type { Position } from '../positions.ts';
import type {
  Admin,
  ClusterDescription,
  GroupDescription,
  GroupOffset,
  GroupState,
  TopicDescription,
  TopicSpec,
} from './admin-types.ts';
import * as groups from './group-admin.ts';
import * as topics from './topic-admin.ts';

export class ClientAdmin implements Admin {
  readonly #cluster: ClusterClient;

  constructor(cluster: ClusterClient) {
    this.#cluster = cluster;
  }

  createTopics(
    specs: readonly TopicSpec[],
    options: { readonly validateOnly?: boolean | undefined } = {},
  ): Promise<void> {
    return topics.createTopics(this.#cluster, specs, options.validateOnly ?? false);
  }

  deleteTopics(names: readonly string[]): Promise<void> {
    return topics.deleteTopics(this.#cluster, names);
  }

  async listTopics(options: { readonly listInternal?: boolean | undefined } = {}): Promise<readonly string[]> {
    const all = await this.#cluster.retrying(() => this.#cluster.listTopics());
    return all
      .filter((topic) => options.listInternal === true || !topic.isInternal)
      .map((topic) => topic.name)
      .sort();
  }

  describeTopics(names: readonly string[]): Promise<readonly TopicDescription[]> {
    return topics.describeTopics(this.#cluster, names);
  }

  createPartitions(topic: string, totalCount: number): Promise<void> {
    return topics.createPartitions(this.#cluster, topic, totalCount);
  }

  deleteRecords(before: readonly Position[]): Promise<void> {
    return topics.deleteRecords(this.#cluster, before);
  }

  async listOffsets(
    topic: string,
    at: 'earliest' | 'latest' | { readonly timestampMs: number },
    options: { readonly isolationLevel?: IsolationLevel | undefined } = {},
  ): Promise<readonly Position[]> {
    const { partitions } = await this.#cluster.topic(topic);
    const ask = (timestamp: number): Promise<readonly Position[]> =>
      listOffsets(
        this.#cluster,
        partitions.map(({ partition }) => ({ topic, partition, timestamp })),
        options.isolationLevel ?? 'read_uncommitted',
      );
    if (typeof at === 'string') return await ask(offsetAt[at]);
    const found = await ask(at.timestampMs);
    if (found.every(({ offset }) => offset >= 0)) return found;
    const ends = await ask(offsetAt.latest);
    return found.map((position, i) => (position.offset >= 0 ? position : ends[i]!));
  }

  describeConfigs(topic: string): Promise<Readonly<Record<string, string | null>>> {
    return topics.describeConfigs(this.#cluster, topic);
  }

  alterConfigs(topic: string, changes: { readonly [P in keyof TopicConfig]: TopicConfig[P] | null }): Promise<void> {
    return topics.alterConfigs(this.#cluster, topic, changes);
  }

  listConsumerGroups(): Promise<readonly { readonly groupId: string; readonly state: GroupState }[]> {
    return groups.listConsumerGroups(this.#cluster);
  }

  describeConsumerGroups(groupIds: readonly string[]): Promise<readonly GroupDescription[]> {
    return Promise.all(groupIds.map((groupId) => groups.describeConsumerGroup(this.#cluster, groupId)));
  }

  async deleteConsumerGroups(groupIds: readonly string[]): Promise<void> {
    await Promise.all(groupIds.map((groupId) => groups.deleteConsumerGroup(this.#cluster, groupId)));
  }

  listConsumerGroupOffsets(groupId: string): Promise<readonly GroupOffset[]> {
    return groups.listConsumerGroupOffsets(this.#cluster, groupId);
  }

  alterConsumerGroupOffsets(groupId: string, offsets: readonly Position[]): Promise<void> {
    return groups.alterConsumerGroupOffsets(this.#cluster, groupId, offsets);
  }

  async describeCluster(): Promise<ClusterDescription> {
    const connection = await this.#cluster.anyConnection();
    if (connection.serves(apis.describeCluster)) {
      const answer = await connection.request(apis.describeCluster, {});
      if (answer.errorCode !== errorCodes.NONE) {
        throw new KafkaError(answer.errorCode, 'DescribeCluster', { serverMessage: answer.errorMessage });
      }
      const { clusterId, controllerId, brokers } = answer;
      return {
        clusterId,
        controllerId,
        nodes: brokers.map(({ brokerId, host, port }) => ({ nodeId: brokerId, host, port })),
      };
    }
    await this.#cluster.refresh();
    const { clusterId, controllerId, brokers } = this.#cluster.metadata;
    return {
      clusterId,
      controllerId,
      nodes: [...brokers].map(([nodeId, { host, port }]) => ({ nodeId, host, port })),
    };
  }
}

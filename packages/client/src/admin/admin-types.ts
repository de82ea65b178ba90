import type { TopicConfig } from '@millrace/serde';
import type { Position, TopicPartition } from '../positions.ts';
import type { PartitionLag } from '../consumer/consumer.ts';
import type { IsolationLevel } from '../consumer/consumer-options.ts';

/**
 * Named as in Java's `Admin`. A call fails as a whole, with the first error, which names its topic or group.
 *
 * What is not answered is asked again, as by Java's: the second time a broker may say of what the first has done that it cannot
 * be done (`UNKNOWN_TOPIC_OR_PARTITION` by `deleteTopics`, `INVALID_PARTITIONS` by `createPartitions`, `GROUP_ID_NOT_FOUND` by
 * `deleteConsumerGroups`). The others come to the same however often they are asked.
 */
export interface Admin {
  /**
   * Makes the topics of these contracts, and waits until the cluster knows them. One that exists is left alone if its partition
   * count agrees, else `TOPIC_MISMATCH`. `validateOnly` makes nothing.
   */
  createTopics(topics: readonly TopicSpec[], options?: { readonly validateOnly?: boolean | undefined }): Promise<void>;
  /** Waits until the cluster does not show them any more. @throws `UNKNOWN_TOPIC_OR_PARTITION` */
  deleteTopics(names: readonly string[]): Promise<void>;
  /** Names in order. Default: without the cluster's internal ones. */
  listTopics(options?: { readonly listInternal?: boolean | undefined }): Promise<readonly string[]>;
  /** @throws `UNKNOWN_TOPIC_OR_PARTITION` */
  describeTopics(names: readonly string[]): Promise<readonly TopicDescription[]>;
  /** Adds partitions up to `totalCount`. Keys move: a key's later records may go to another partition. @throws `INVALID_PARTITIONS` */
  createPartitions(topic: string, totalCount: number): Promise<void>;
  /** Deletes all records before these positions. @throws `OFFSET_OUT_OF_RANGE`, `POLICY_VIOLATION` (the topic is only compacted) */
  deleteRecords(before: readonly Position[]): Promise<void>;
  /**
   * Of all partitions. By time: the first record that is as late; where there is none, the end of the log. With `isolationLevel:
   * 'read_committed'` (default `'read_uncommitted'`, as in Java's admin) a partition ends before its first open transaction.
   */
  listOffsets(
    topic: string,
    at: 'earliest' | 'latest' | { readonly timestampMs: number },
    options?: { readonly isolationLevel?: IsolationLevel | undefined },
  ): Promise<readonly Position[]>;

  describeConfigs(topic: string): Promise<Readonly<Record<string, string | null>>>;
  /** Incremental; `null` puts a config back to its default. @throws `INVALID_CONFIG` */
  alterConfigs(topic: string, changes: { readonly [P in keyof TopicConfig]: TopicConfig[P] | null }): Promise<void>;

  listConsumerGroups(): Promise<readonly { readonly groupId: string; readonly state: GroupState }[]>;
  /** A group that does not exist is `Dead`. */
  describeConsumerGroups(groupIds: readonly string[]): Promise<readonly GroupDescription[]>;
  /** @throws `NON_EMPTY_GROUP`, `GROUP_ID_NOT_FOUND` */
  deleteConsumerGroups(groupIds: readonly string[]): Promise<void>;
  listConsumerGroupOffsets(groupId: string): Promise<readonly GroupOffset[]>;
  /** The group must have no members. @throws `UNKNOWN_MEMBER_ID` */
  alterConsumerGroupOffsets(groupId: string, offsets: readonly Position[]): Promise<void>;

  describeCluster(): Promise<ClusterDescription>;
}

/** A topic to make; a contract (`topic(…)`) is one. */
export interface TopicSpec {
  readonly name: string;
  /** Default: the cluster's `num.partitions`. */
  readonly numPartitions?: number | undefined;
  /** Default: the cluster's `default.replication.factor`. */
  readonly replicationFactor?: number | undefined;
  readonly config?: TopicConfig | undefined;
}

export interface TopicDescription {
  readonly name: string;
  readonly topicId: string;
  readonly partitions: readonly {
    readonly partition: number;
    /** Node id; −1: none at present. */
    readonly leader: number;
    readonly replicas: readonly number[];
    readonly isr: readonly number[];
  }[];
}

export interface ClusterDescription {
  readonly clusterId: string;
  readonly controllerId: number;
  readonly nodes: readonly { readonly nodeId: number; readonly host: string; readonly port: number }[];
}

export type GroupState =
  | 'Empty'
  | 'PreparingRebalance'
  | 'CompletingRebalance'
  | 'Assigning'
  | 'Reconciling'
  | 'Stable'
  | 'Dead';

export interface GroupDescription {
  readonly groupId: string;
  readonly state: GroupState;
  readonly members: readonly {
    readonly memberId: string;
    readonly clientId: string;
    readonly host: string;
    readonly assignment: readonly TopicPartition[];
  }[];
}

/** What a group has committed in a partition, and how far that is from the end. */
export interface GroupOffset extends Position, PartitionLag {
  readonly metadata: string;
}

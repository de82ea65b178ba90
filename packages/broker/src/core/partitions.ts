import type { PartitionLog } from '@millrace/log';

/** A topic as it is now. A topic that was deleted and made again is another topic with another id. */
export interface Topic {
  readonly name: string;
  /** In its usual spelling, `xxxxxxxx-xxxx-…`. */
  readonly topicId: string;
  /** `__consumer_offsets` and its like: clients may read them, only coordinators write them. */
  readonly isInternal: boolean;
  /** By partition number, without gaps: `logs[3]` is partition 3. Grows when partitions are added. */
  readonly logs: readonly PartitionLog[];
}

export interface InternalTopicOptions {
  readonly partitionCount: number;
  /** Topic configs under Kafka's names. */
  readonly configs: Readonly<Record<string, string>>;
}

/** What coordinators need of the topics. `Topics` is its implementation. */
export interface Partitions {
  /** undefined: there is no such topic or partition (deleted ones are gone at once). */
  log(topic: string, partition: number): PartitionLog | undefined;
  topic(name: string): Topic | undefined;
  topicById(topicId: string): Topic | undefined;
  /** All topics, internal ones included, in no particular order. */
  all(): Iterable<Topic>;
  /**
   * The internal topic, made if it is missing: durable when this resolves. Callers at the same time share one creation. The
   * partition count and configs of one that exists stay as they are.
   */
  ensureInternalTopic(name: string, options: InternalTopicOptions): Promise<Topic>;
  /** Called in the turn in which a topic disappears, before its logs are removed. Gives the removal of the listener. */
  onTopicDeleted(listener: (topic: Topic) => void): () => void;
}

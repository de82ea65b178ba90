export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** A place in a partition. From a producer: where the record went. */
export interface Position extends TopicPartition {
  readonly offset: number;
}

/** How far a group is with a partition. */
export interface CommittedOffset {
  readonly offset: number;
  /** Of the last record consumed; −1: unknown. */
  readonly leaderEpoch: number;
  readonly metadata: string;
  readonly commitTimestampMs: number;
  /** A time of its own, which OffsetCommit versions 2 to 4 could ask for; null: the broker's retention. */
  readonly expireTimestampMs: number | null;
  /** Where it stands in its partition of `__consumer_offsets`: of two commits, the one written later counts. */
  readonly recordOffset: number;
}

/** Offsets by topic and partition. */
export class OffsetMap {
  readonly #byTopic = new Map<string, Map<number, CommittedOffset>>();

  get(topic: string, partition: number): CommittedOffset | undefined {
    return this.#byTopic.get(topic)?.get(partition);
  }

  set(topic: string, partition: number, value: CommittedOffset): void {
    let byPartition = this.#byTopic.get(topic);
    if (byPartition === undefined) this.#byTopic.set(topic, (byPartition = new Map()));
    byPartition.set(partition, value);
  }

  delete(topic: string, partition: number): boolean {
    const byPartition = this.#byTopic.get(topic);
    if (byPartition === undefined || !byPartition.delete(partition)) return false;
    if (byPartition.size === 0) this.#byTopic.delete(topic);
    return true;
  }

  *[Symbol.iterator](): IterableIterator<readonly [topic: string, partition: number, value: CommittedOffset]> {
    for (const [topic, byPartition] of this.#byTopic) {
      for (const [partition, value] of byPartition) yield [topic, partition, value];
    }
  }
}

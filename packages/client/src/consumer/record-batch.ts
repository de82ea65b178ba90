import assert from 'node:assert/strict';
import type { GroupMetadata, TopicPartitionOffset } from '../bytes/types.ts';
import type { RecordBatch } from './consumer.ts';

/** The group that a batch was handed out to, as it is when it is asked for. */
export interface BatchGroup {
  /** @throws `COMMIT_FAILED` where the batch is not this member's to commit any more */
  metadata(): GroupMetadata;
  /** Resolves when the member does not stand between two generations. */
  settled(): Promise<void>;
}

interface BatchSource {
  readonly group: BatchGroup;
  /** Where the group goes on after this batch. */
  readonly position: TopicPartitionOffset;
}

let sourceOfBatch: (batch: ClientRecordBatch<unknown>) => BatchSource;

/** Which group a batch was handed out to. */
export function sourceOf(batch: RecordBatch<unknown>): BatchSource {
  assert(batch instanceof ClientRecordBatch, 'a batch as `consumer.batches()` gave it');
  return sourceOfBatch(batch);
}

export class ClientRecordBatch<R> implements RecordBatch<R> {
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly R[];
  readonly firstOffset: number;
  readonly lastOffset: number;
  readonly highWatermark: number;
  readonly #group: BatchGroup;

  static {
    sourceOfBatch = (batch) => ({
      group: batch.#group,
      position: { topic: batch.topic, partition: batch.partition, offset: batch.lastOffset + 1 },
    });
  }

  constructor(
    place: {
      readonly topic: string;
      readonly partition: number;
      readonly firstOffset: number;
      readonly lastOffset: number;
      readonly highWatermark: number;
    },
    records: readonly R[],
    group: BatchGroup,
  ) {
    this.topic = place.topic;
    this.partition = place.partition;
    this.records = records;
    this.firstOffset = place.firstOffset;
    this.lastOffset = place.lastOffset;
    this.highWatermark = place.highWatermark;
    this.#group = group;
  }

  [Symbol.iterator](): Iterator<R> {
    return this.records[Symbol.iterator]();
  }
}

import type { AnyTopic, ConsumerRecord } from '../records.ts';
import type { TopicPartition } from '../positions.ts';

/** Default `'read_committed'`: records of open and aborted transactions are not seen. (Kafka's default is the other.) */
export type IsolationLevel = 'read_committed' | 'read_uncommitted';

/** What to do with a record that its serde refuses. Default `'fail'`. */
export type OnInvalid =
  | 'fail'
  | 'skip'
  | ((error: Error, record: ConsumerRecord<Uint8Array | null, Uint8Array | null>) => 'fail' | 'skip');

/** Where reading begins. A partition that `offsets` does not name begins at its earliest record. */
export type StartPosition =
  | 'earliest'
  | 'latest'
  | { readonly timestampMs: number }
  | { readonly offsets: Readonly<Record<number, number>> };

export interface RecordsOptions {
  /** Default `'earliest'`. */
  readonly from?: StartPosition | undefined;
  /** Stop at what is the end when reading begins. Default: go on. */
  readonly to?: 'end' | undefined;
  /** Default: all. */
  readonly partitions?: readonly number[] | undefined;
  readonly isolationLevel?: IsolationLevel | undefined;
  readonly onInvalid?: OnInvalid | undefined;
  /** Ends the reading. */
  readonly signal?: AbortSignal | undefined;
}

export interface ConsumerOptions<T extends readonly AnyTopic[]> {
  readonly groupId: string;
  readonly topics: T;
  /** Where a partition with no committed offset begins. Default `'earliest'`. (Kafka's `'latest'` loses the first records.) */
  readonly autoOffsetReset?: 'earliest' | 'latest' | 'none' | undefined;
  /**
   * Default true: asking for the next record or batch says that the last one is done, and what is done is committed every
   * `autoCommitIntervalMs`, at a rebalance and at close. At least once. False: only `commit()` and transactions commit.
   */
  readonly enableAutoCommit?: boolean | undefined;
  /** Default 5000. */
  readonly autoCommitIntervalMs?: number | undefined;
  readonly isolationLevel?: IsolationLevel | undefined;
  readonly onInvalid?: OnInvalid | undefined;
  /**
   * How partitions are shared out, in order of preference; all members of a group must have one in common. Default
   * `['cooperative-sticky']`; `['range']` is what older Java groups use.
   */
  readonly partitionAssignmentStrategy?: readonly ('cooperative-sticky' | 'range')[] | undefined;
  /** Static membership: a restart within the session timeout moves no partition. */
  readonly groupInstanceId?: string | undefined;
  /** Default 45 000. */
  readonly sessionTimeoutMs?: number | undefined;
  /** How soon this member learns of a rebalance. Default 3000, or a third of the session timeout if that is less. */
  readonly heartbeatIntervalMs?: number | undefined;
  /** How long a rebalance waits for this member, and so how long one turn of the loop may take. Default 60 000. */
  readonly rebalanceTimeoutMs?: number | undefined;
  /** Records decoded ahead of the loop. Default 10 000. */
  readonly maxBufferedRecords?: number | undefined;
  /** Bytes fetched ahead of the loop, over all partitions. Default 32 MiB. */
  readonly maxBufferedBytes?: number | undefined;
  /** Default 1 MiB. */
  readonly maxPartitionFetchBytes?: number | undefined;
  /** Awaited before the first record of these partitions. */
  readonly onPartitionsAssigned?: ((partitions: readonly TopicPartition[]) => void | Promise<void>) | undefined;
  /** Awaited before another member may have them: finish and commit here. */
  readonly onPartitionsRevoked?: ((partitions: readonly TopicPartition[]) => void | Promise<void>) | undefined;
  /** They are another's already: drop what you hold. */
  readonly onPartitionsLost?: ((partitions: readonly TopicPartition[]) => void | Promise<void>) | undefined;
  /** Leaves the group and ends the loop. */
  readonly signal?: AbortSignal | undefined;
}

/** What `@millrace/client/bytes` makes. */
import type { HeaderEntry, RecordReader } from '@millrace/protocol';

export interface TopicPartitionOffset {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Stored with the committed offset. Default ''. */
  readonly metadata?: string | undefined;
}

/** Where a record went. */
export interface BytesProducer {
  /**
   * Puts a record into its partition's batch; all bytes are copied. Failures surface at `flush` and in `onError`.
   * False: the buffer (`bufferMemoryBytes`) is full; the record was taken, but await `drained()` before the next ones.
   */
  append(
    topic: string,
    partition: number,
    timestampMs: number,
    key: Uint8Array | null,
    value: Uint8Array | null,
    headers?: readonly HeaderEntry[],
  ): boolean;
  drained(): Promise<void>;
  /** Partitions of a topic, cached; asks the cluster for a topic not seen yet. */
  partitionCount(topic: string): Promise<number>;
  /** Resolves when all appended before is acknowledged. Rejects with the first failure since the last flush. */
  flush(): Promise<void>;
  /** Offset after the last acknowledged record of a partition that this producer wrote; undefined: none yet. */
  ackedEndOffset(topic: string, partition: number): number | undefined;
  close(): Promise<void>;
}

export interface BytesTransactionalProducer extends BytesProducer {
  /** InitProducerId: fences earlier producers of this transactional id, aborts what they left open. */
  init(): Promise<void>;
  /** No request: the transaction begins on the broker with its first partition. */
  begin(): void;
  /** KIP-447: offsets commit with the transaction, if the member still is one. */
  sendOffsets(offsets: readonly TopicPartitionOffset[], group: GroupMetadata): Promise<void>;
  /** Flushes, then ends the transaction. @throws `PRODUCER_FENCED`, `COMMIT_FAILED`, … : then abort or close */
  commit(): Promise<void>;
  abort(): Promise<void>;
}

export interface GroupMetadata {
  readonly groupId: string;
  readonly generationId: number;
  readonly memberId: string;
  readonly groupInstanceId: string | null;
}

/** One fetch of one partition: whole batches, transactions already filtered as the isolation level has it. */
export interface FetchedRecords {
  readonly topic: string;
  readonly partition: number;
  /** The first offset wanted: earlier records of the first batch are skipped by the reader. */
  readonly firstOffset: number;
  /** Where to go on: one past the last offset covered, also by what was filtered out. */
  readonly nextOffset: number;
  readonly highWatermark: number;
  readonly byteLength: number;
  /** Calls `visit` for each record; the reader is reused, its views belong to this fetch. */
  forEach(visit: (reader: RecordReader) => void): void;
}

export interface Assignor {
  /** Name in the group protocol: all members must share one. */
  readonly name: string;
  readonly isCooperative: boolean;
  /** Sent with the subscription. */
  userData?(ownedPartitions: readonly TopicPartitionId[]): Uint8Array | null;
  /** On the leader: partitions by member. */
  assign(
    members: readonly AssignorMember[],
    partitionsOf: ReadonlyMap<string, number>,
  ): ReadonlyMap<string, readonly TopicPartitionId[]>;
}
export interface AssignorMember {
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  readonly topics: readonly string[];
  readonly ownedPartitions: readonly TopicPartitionId[];
  readonly generationId: number;
  readonly userData: Uint8Array | null;
}
export interface TopicPartitionId {
  readonly topic: string;
  readonly partition: number;
}

export interface BytesConsumerOptions {
  /** Without a group, partitions are given by `assign`. */
  readonly groupId?: string | undefined;
  readonly topics?: readonly string[] | RegExp | undefined;
  readonly isolationLevel: 'read_committed' | 'read_uncommitted';
  readonly autoOffsetReset: 'earliest' | 'latest' | 'none';
  readonly assignors?: readonly Assignor[] | undefined;
  /** Static membership (KIP-345). */
  readonly groupInstanceId?: string | undefined;
  /** Whether `close` leaves the group. Default: unless the membership is static. */
  readonly leaveOnClose?: boolean | undefined;
  readonly sessionTimeoutMs?: number | undefined;
  readonly rebalanceTimeoutMs?: number | undefined;
  readonly heartbeatIntervalMs?: number | undefined;
  readonly fetchMinBytes?: number | undefined;
  readonly fetchMaxWaitMs?: number | undefined;
  readonly fetchMaxBytes?: number | undefined;
  readonly maxPartitionFetchBytes?: number | undefined;
  /** Bytes fetched ahead of `poll`, over all partitions. Then fetching pauses. */
  readonly maxBufferedBytes?: number | undefined;
  /** Whether the CRC-32C of each batch is checked. Default true. */
  readonly checkCrcs?: boolean | undefined;
  /** Awaited before the first records of these partitions; may `seek`. `committed`: what the group has committed there. */
  readonly onPartitionsAssigned?:
    | ((
        partitions: readonly (TopicPartitionId & { readonly committed: TopicPartitionOffset | undefined })[],
      ) => void | Promise<void>)
    | undefined;
  /** Awaited before another member may have them. */
  readonly onPartitionsRevoked?: ((partitions: readonly TopicPartitionId[]) => void | Promise<void>) | undefined;
  /** They are another's already. */
  readonly onPartitionsLost?: ((partitions: readonly TopicPartitionId[]) => void | Promise<void>) | undefined;
}

export interface BytesConsumer {
  /**
   * The next fetched records of some partition. null: `maxWaitMs` went by, or a rebalance callback ran (call again).
   * Heartbeats, rebalances and fetching ahead go on between calls.
   * @throws the group's or a fetch's fatal error; `CLOSED` after `close`
   */
  poll(maxWaitMs: number): Promise<FetchedRecords | null>;
  assign(positions: readonly TopicPartitionOffset[]): void;
  seek(position: TopicPartitionOffset): void;
  pause(partitions: readonly TopicPartitionId[]): void;
  resume(partitions: readonly TopicPartitionId[]): void;
  /** The offset `poll` gives next. */
  position(partition: TopicPartitionId): number | undefined;
  /** Log end as of the last fetch; undefined: not fetched yet. */
  endOffset(partition: TopicPartitionId): number | undefined;
  commit(offsets: readonly TopicPartitionOffset[]): Promise<void>;
  /** Makes the group rebalance: partitions or subscriptions have changed. */
  enforceRebalance(): void;
  readonly groupMetadata: GroupMetadata;
  readonly assignment: readonly TopicPartitionId[];
  close(): Promise<void>;
}

import type { TransactionalProducer } from '../coordinator-log.ts';
import type { ErrorName } from '../errors.ts';

export interface OffsetToCommit {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** −1: unknown. */
  readonly leaderEpoch: number;
  /** null is kept as empty. */
  readonly metadata: string | null;
}

export interface CommitRequest {
  readonly groupId: string;
  /** −1: not as a member. */
  readonly generationId: number;
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  readonly offsets: readonly OffsetToCommit[];
}

export interface OffsetCommitRequest extends CommitRequest {
  /** null: as the broker is configured. */
  readonly retentionMs: number | null;
  /** Version 9 tells a group that does not exist from an old generation. */
  readonly tellsGroupNotFound: boolean;
}

export interface TransactionalCommitRequest extends CommitRequest {
  readonly producer: TransactionalProducer;
}

export interface PartitionResult {
  readonly topic: string;
  readonly partition: number;
  readonly error: ErrorName | null;
}

export interface FetchedOffset extends PartitionResult {
  /** −1: none is committed. */
  readonly offset: number;
  readonly leaderEpoch: number;
  readonly metadata: string;
}

export interface OffsetFetchRequest {
  readonly groupId: string;
  /** null: all that are committed. */
  readonly partitions: readonly { readonly topic: string; readonly partition: number }[] | null;
  /** Offsets with an open transaction are refused rather than answered as they were before it (KIP-447). */
  readonly requiresStable: boolean;
}

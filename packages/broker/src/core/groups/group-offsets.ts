import type { Clock } from '@millrace/platform';
import {
  isTooLargeForBatch,
  type AppendedRecords,
  type CoordinatorLog,
  type CoordinatorRecord,
  type TransactionalProducer,
} from '../coordinator-log.ts';
import { RequestRefusedError, type ErrorName } from '../errors.ts';
import { Group } from './group.ts';
import { groupRecord, offsetRecord } from './group-records.ts';
import type {
  FetchedOffset,
  OffsetCommitRequest,
  OffsetFetchRequest,
  OffsetToCommit,
  PartitionResult,
  TransactionalCommitRequest,
} from './offset-requests.ts';
import {
  allOffsetsOf,
  fetchOne,
  notCommitted,
  refused,
  retentionBegan,
  validateCommit,
  validateTransactionalCommit,
} from './offset-rules.ts';
import { OffsetMap, type CommittedOffset } from './offsets.ts';

export interface OffsetsConfig {
  readonly 'offset.metadata.max.bytes': number;
  readonly 'offsets.retention.minutes': number;
}

export interface GroupOffsetsOptions {
  readonly clock: Clock;
  readonly config: OffsetsConfig;
  readonly log: CoordinatorLog;
  /** Shared with the membership. */
  readonly groups: Map<string, Group>;
  readonly partitionExists: (topic: string, partition: number) => boolean;
  /** The group shows that it lives. */
  readonly keepAlive: (group: Group, memberId: string) => void;
  /** The group is gone from the map. */
  readonly onDeleted: (group: Group) => void;
}

/**
 * Committed offsets. Memory changes in the turn of the append; whoever is told of it waits until it is durable, the reader of an
 * offset as much as its writer: no answer shows what a crash could take back.
 */
export class GroupOffsets {
  readonly #clock: Clock;
  readonly #config: OffsetsConfig;
  readonly #log: CoordinatorLog;
  readonly #groups: Map<string, Group>;
  readonly #partitionExists: GroupOffsetsOptions['partitionExists'];
  readonly #keepAlive: GroupOffsetsOptions['keepAlive'];
  readonly #onDeleted: GroupOffsetsOptions['onDeleted'];
  /** By partition of the log and producer id: groups with offsets that wait for the end of its transaction. */
  readonly #openTransactions = new Map<number, Map<number, Set<Group>>>();

  constructor(options: GroupOffsetsOptions) {
    this.#clock = options.clock;
    this.#config = options.config;
    this.#log = options.log;
    this.#groups = options.groups;
    this.#partitionExists = options.partitionExists;
    this.#keepAlive = options.keepAlive;
    this.#onDeleted = options.onDeleted;
  }

  // ── Committing ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** @throws {RequestRefusedError} where the whole request is refused */
  async commit(request: OffsetCommitRequest): Promise<readonly PartitionResult[]> {
    const { groupId, generationId, memberId } = request;
    const group = this.#groups.get(groupId);
    if (group === undefined) {
      if (generationId >= 0) {
        throw refused(request.tellsGroupNotFound ? 'GROUP_ID_NOT_FOUND' : 'ILLEGAL_GENERATION', groupId);
      }
    } else {
      const error = validateCommit(group, request);
      if (error !== null) throw refused(error, groupId);
      if (group.state === 'Stable' || group.state === 'PreparingRebalance') this.#keepAlive(group, memberId);
    }
    const { accepted, results } = this.#check(request.offsets);
    if (accepted.length > 0) {
      const expireTimestampMs = request.retentionMs === null ? null : this.#clock.now() + request.retentionMs;
      await this.#append(groupId, accepted, expireTimestampMs, undefined);
    }
    return results;
  }

  /** Offsets that count once the producer's transaction commits. @throws {RequestRefusedError} */
  async commitTransactional(request: TransactionalCommitRequest): Promise<readonly PartitionResult[]> {
    const { groupId, generationId, producer } = request;
    if (groupId === '') throw refused('INVALID_GROUP_ID', groupId);
    const group = this.#groups.get(groupId);
    if (group === undefined) {
      if (generationId >= 0) throw refused('ILLEGAL_GENERATION', groupId);
    } else {
      const error = validateTransactionalCommit(group, request);
      if (error !== null) throw refused(error, groupId);
    }
    const { accepted, results } = this.#check(request.offsets);
    if (accepted.length > 0) await this.#append(groupId, accepted, null, producer);
    return results;
  }

  /** Partitions are judged one by one: one that does not exist keeps none of the others from being committed. */
  #check(offsets: readonly OffsetToCommit[]): {
    readonly accepted: readonly OffsetToCommit[];
    readonly results: readonly PartitionResult[];
  } {
    const accepted: OffsetToCommit[] = [];
    const results = offsets.map((each) => {
      const error = this.#errorOf(each);
      if (error === null) accepted.push(each);
      return { topic: each.topic, partition: each.partition, error };
    });
    return { accepted, results };
  }

  #errorOf({ topic, partition, metadata }: OffsetToCommit): ErrorName | null {
    if (!this.#partitionExists(topic, partition)) return 'UNKNOWN_TOPIC_OR_PARTITION';
    // Kafka measures UTF-16 units, whatever the config's name says.
    if (metadata !== null && metadata.length > this.#config['offset.metadata.max.bytes']) {
      return 'OFFSET_METADATA_TOO_LARGE';
    }
    return null;
  }

  async #append(
    groupId: string,
    offsets: readonly OffsetToCommit[],
    expireTimestampMs: number | null,
    producer: TransactionalProducer | undefined,
  ): Promise<void> {
    const partition = this.#log.partitionOf(groupId);
    const commitTimestampMs = this.#clock.now();
    const values = offsets.map(({ offset, leaderEpoch, metadata }): CommittedOffset => ({
      offset,
      leaderEpoch,
      metadata: metadata ?? '',
      commitTimestampMs,
      expireTimestampMs,
      recordOffset: -1,
    }));
    const appended = this.#write(
      partition,
      offsets.map((each, index) => offsetRecord(groupId, each.topic, each.partition, values[index]!)),
      producer,
    );
    const group = this.#groupOf(groupId);
    offsets.forEach((each, index) => {
      const value = { ...values[index]!, recordOffset: appended.baseOffset + index };
      this.#apply(group, partition, producer?.producerId ?? -1, each.topic, each.partition, value);
    });
    this.#awaitDurable(group, appended.done);
    await appended.done;
  }

  #write(partition: number, records: readonly CoordinatorRecord[], producer?: TransactionalProducer): AppendedRecords {
    try {
      return this.#log.append(partition, records, producer);
    } catch (error) {
      if (!isTooLargeForBatch(error)) throw error;
      throw new RequestRefusedError(
        'INVALID_COMMIT_OFFSET_SIZE',
        `${records.length} offsets with their metadata do not fit one batch. Commit fewer at a time, or with less metadata.`,
        { context: { partition, recordCount: records.length }, cause: error },
      );
    }
  }

  #groupOf(groupId: string): Group {
    let group = this.#groups.get(groupId);
    if (group === undefined) this.#groups.set(groupId, (group = new Group(groupId, this.#clock.now())));
    return group;
  }

  /** Offsets of a group are answered when the last append about them is durable: appends become so in their order. */
  #awaitDurable(group: Group, done: Promise<void>): void {
    group.undurable = done;
    const settled = (): void => {
      if (group.undurable === done) group.undurable = null;
    };
    done.then(settled, settled);
  }

  #apply(
    group: Group,
    logPartition: number,
    producerId: number,
    topic: string,
    partition: number,
    value: CommittedOffset,
  ): void {
    if (producerId < 0) {
      group.offsets.set(topic, partition, value);
      return;
    }
    let pending = group.pendingOffsets.get(producerId);
    if (pending === undefined) group.pendingOffsets.set(producerId, (pending = new OffsetMap()));
    pending.set(topic, partition, value);
    let byProducer = this.#openTransactions.get(logPartition);
    if (byProducer === undefined) this.#openTransactions.set(logPartition, (byProducer = new Map()));
    const groups = byProducer.get(producerId);
    if (groups === undefined) byProducer.set(producerId, new Set([group]));
    else groups.add(group);
  }

  // ── Transactions ───────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * A transaction's marker was appended to a partition of the log: what waited for it counts, or is gone.
   * @param done when the marker is durable; null: it was read from the disk
   */
  completeTransaction(logPartition: number, producerId: number, isCommit: boolean, done: Promise<void> | null): void {
    const byProducer = this.#openTransactions.get(logPartition);
    for (const group of byProducer?.get(producerId) ?? []) {
      const pending = group.pendingOffsets.get(producerId);
      group.pendingOffsets.delete(producerId);
      if (pending === undefined || !isCommit) continue;
      for (const [topic, partition, value] of pending) {
        const current = group.offsets.get(topic, partition);
        // A plain commit that came after the transaction's was meant to overrule it.
        if (current === undefined || current.recordOffset < value.recordOffset)
          group.offsets.set(topic, partition, value);
      }
      if (done !== null) this.#awaitDurable(group, done);
    }
    byProducer?.delete(producerId);
    if (byProducer?.size === 0) this.#openTransactions.delete(logPartition);
  }

  // ── Reading ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** What is committed; a group that does not exist has nothing, which is no error. */
  fetch(request: OffsetFetchRequest): readonly FetchedOffset[] | Promise<readonly FetchedOffset[]> {
    const { partitions, requiresStable } = request;
    const group = this.#groups.get(request.groupId);
    if (group === undefined) return (partitions ?? []).map(({ topic, partition }) => notCommitted(topic, partition));
    const fetched: FetchedOffset[] = [];
    if (partitions === null) {
      for (const [topic, partition] of group.offsets) fetched.push(fetchOne(group, topic, partition, requiresStable));
    } else {
      for (const { topic, partition } of partitions) fetched.push(fetchOne(group, topic, partition, requiresStable));
    }
    return group.undurable === null ? fetched : group.undurable.then(() => fetched);
  }

  // ── Deleting ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Deletes single offsets. @throws {RequestRefusedError} */
  async deleteOffsets(
    groupId: string,
    partitions: readonly { readonly topic: string; readonly partition: number }[],
  ): Promise<readonly PartitionResult[]> {
    if (groupId === '') throw refused('INVALID_GROUP_ID', groupId);
    const group = this.#groups.get(groupId);
    if (group === undefined) throw refused('GROUP_ID_NOT_FOUND', groupId);
    if (group.state !== 'Empty' && !group.usesConsumerProtocol) throw refused('NON_EMPTY_GROUP', groupId);
    const doomed: { readonly topic: string; readonly partition: number }[] = [];
    const results = partitions.map(({ topic, partition }): PartitionResult => {
      if (!this.#partitionExists(topic, partition)) {
        return { topic, partition, error: 'UNKNOWN_TOPIC_OR_PARTITION' };
      }
      if (group.isSubscribedTo(topic)) return { topic, partition, error: 'GROUP_SUBSCRIBED_TO_TOPIC' };
      if (group.offsets.get(topic, partition) !== undefined || group.hasPendingOffset(topic, partition)) {
        doomed.push({ topic, partition });
      }
      return { topic, partition, error: null };
    });
    await this.#drop(group, doomed);
    return results;
  }

  /** Deletes a group and its offsets. @throws {RequestRefusedError} */
  async deleteGroup(groupId: string): Promise<void> {
    const group = this.#groups.get(groupId);
    if (group === undefined) throw refused('GROUP_ID_NOT_FOUND', groupId);
    if (group.state !== 'Empty') throw refused('NON_EMPTY_GROUP', groupId);
    await this.#delete(group);
  }

  async #delete(group: Group): Promise<void> {
    const { groupId } = group;
    const records = allOffsetsOf(group).map(({ topic, partition }) => offsetRecord(groupId, topic, partition, null));
    records.push(groupRecord(groupId, null));
    const done = this.#appendTombstones(groupId, records);
    this.#forget(group);
    await done;
  }

  /** In as many batches as it takes, unlike what clients commit: a group must not outlive its deletion for being large. */
  #appendTombstones(groupId: string, records: readonly CoordinatorRecord[]): Promise<void> {
    try {
      return this.#log.append(this.#log.partitionOf(groupId), records).done;
    } catch (error) {
      if (records.length === 1 || !isTooLargeForBatch(error)) throw error;
      const middle = records.length >>> 1;
      const halves = [records.slice(0, middle), records.slice(middle)];
      return Promise.all(halves.map((half) => this.#appendTombstones(groupId, half))).then(() => {});
    }
  }

  #forget(group: Group): void {
    this.#groups.delete(group.groupId);
    this.#onDeleted(group);
  }

  async #drop(group: Group, doomed: readonly { readonly topic: string; readonly partition: number }[]): Promise<void> {
    if (doomed.length === 0) return;
    const { groupId } = group;
    const done = this.#appendTombstones(
      groupId,
      doomed.map(({ topic, partition }) => offsetRecord(groupId, topic, partition, null)),
    );
    for (const { topic, partition } of doomed) this.#remove(group, topic, partition);
    this.#awaitDurable(group, done);
    await done;
  }

  #remove(group: Group, topic: string, partition: number): void {
    group.offsets.delete(topic, partition);
    for (const pending of group.pendingOffsets.values()) pending.delete(topic, partition);
  }

  /**
   * Offsets of topics that are gone: a topic made again under the same name must begin at its beginning.
   * @param isGone of a topic
   */
  async dropTopics(isGone: (topic: string) => boolean): Promise<void> {
    const drops: Promise<void>[] = [];
    for (const group of this.#groups.values()) {
      drops.push(
        this.#drop(
          group,
          allOffsetsOf(group).filter(({ topic }) => isGone(topic)),
        ),
      );
    }
    await Promise.all(drops);
  }

  /** Drops what is past its retention, and empty groups that have nothing left. */
  async expire(): Promise<void> {
    const nowMs = this.#clock.now();
    const done: Promise<void>[] = [];
    for (const group of this.#groups.values()) {
      const expired: { readonly topic: string; readonly partition: number }[] = [];
      let keptCount = 0;
      for (const [topic, partition, value] of group.offsets) {
        if (this.#isExpired(group, topic, partition, value, nowMs)) expired.push({ topic, partition });
        else keptCount++;
      }
      const isUnused =
        keptCount === 0 && group.state === 'Empty' && group.pendingOffsets.size === 0 && group.pendingJoins.size === 0;
      done.push(isUnused ? this.#delete(group) : this.#drop(group, expired));
    }
    await Promise.all(done);
  }

  #isExpired(group: Group, topic: string, partition: number, value: CommittedOffset, nowMs: number): boolean {
    const sinceMs = retentionBegan(group, value);
    if (sinceMs === null || group.isSubscribedTo(topic) || group.hasPendingOffset(topic, partition)) return false;
    if (value.expireTimestampMs !== null) return nowMs >= value.expireTimestampMs;
    return nowMs - sinceMs >= this.#config['offsets.retention.minutes'] * 60_000;
  }

  // ── Loading ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** An offset, read from the log. */
  replay(
    logPartition: number,
    producerId: number,
    offset: {
      readonly groupId: string;
      readonly topic: string;
      readonly partition: number;
      readonly value: CommittedOffset | null;
    },
  ): void {
    const { groupId, topic, partition, value } = offset;
    if (value === null) {
      const group = this.#groups.get(groupId);
      if (group !== undefined) this.#remove(group, topic, partition);
      return;
    }
    this.#apply(this.#groupOf(groupId), logPartition, producerId, topic, partition, value);
  }

  /** A group's tombstone, read from the log. */
  replayDeletion(groupId: string): void {
    const group = this.#groups.get(groupId);
    if (group !== undefined) this.#forget(group);
  }
}

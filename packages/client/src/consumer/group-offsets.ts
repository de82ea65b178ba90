import { isMillraceError } from '@millrace/platform';
import { apis, errorCodes, type RequestInput } from '@millrace/protocol';
import type { GroupMetadata, TopicPartitionId, TopicPartitionOffset } from '../bytes/types.ts';
import { CommitFailedError, UnsafeIntegerError } from '../errors.ts';
import { KafkaError } from '../kafka-error.ts';
import { Backoff } from '../network/backoff.ts';
import type { ClusterClient } from '../network/cluster-client.ts';
import { Coordinator } from '../network/coordinator.ts';

/** What a group has committed: read and written at its coordinator, by connections that no JoinGroup blocks. */
export class GroupOffsets {
  readonly #cluster: ClusterClient;
  readonly #groupId: string;
  readonly #coordinator: Coordinator;

  constructor(cluster: ClusterClient, groupId: string) {
    this.#cluster = cluster;
    this.#groupId = groupId;
    this.#coordinator = new Coordinator(cluster, cluster.connections, 'group', groupId);
  }

  /**
   * @param partitions null: all of which the group has committed something
   * @param isStable waits for transactions that are about to commit offsets (KIP-447)
   */
  async fetch(
    partitions: readonly TopicPartitionId[] | null,
    isStable: boolean,
    signal: AbortSignal = this.#cluster.signal,
  ): Promise<TopicPartitionOffset[]> {
    if (partitions?.length === 0) return [];
    return await this.#cluster.retrying(() => this.#fetchOnce(partitions, isStable), { signal });
  }

  /**
   * @param settled resolves when no rebalance is between JoinGroup and SyncGroup: then it is worth trying again
   * @throws `COMMIT_FAILED` when the member is no longer in the group; from outside (generation −1), `UNKNOWN_MEMBER_ID` when
   * the group has members
   */
  async commit(
    offsets: readonly TopicPartitionOffset[],
    group: () => GroupMetadata,
    settled: () => Promise<void>,
  ): Promise<void> {
    if (offsets.length === 0) return;
    const topics = byTopic(offsets);
    const isMember = group().generationId !== -1;
    const { clock, random } = this.#cluster.platform;
    const deadlineMs = clock.monotonic() + this.#cluster.requestTimeoutMs;
    const backoff = new Backoff(random, 20, 500);
    for (;;) {
      try {
        return await this.#commitOnce(topics, group());
      } catch (error) {
        if (error instanceof KafkaError && isMemberGone(error.errorNumber) && isMember) {
          throw new CommitFailedError(this.#groupId, 'this member is no longer in the group', error);
        }
        const isRebalancing = isMillraceError(error, 'REBALANCE_IN_PROGRESS');
        const mayPass = isRebalancing || (isMillraceError(error) && error.retriable);
        if (!mayPass || clock.monotonic() > deadlineMs) throw error;
        if (isRebalancing) await settled();
        await this.#cluster.pause(backoff.nextMs());
      }
    }
  }

  async #fetchOnce(partitions: readonly TopicPartitionId[] | null, isStable: boolean): Promise<TopicPartitionOffset[]> {
    const groupId = this.#groupId;
    const topics =
      partitions === null
        ? null
        : [...byTopic(partitions.map((partition) => ({ ...partition, offset: 0 })))].map(([name, ofTopic]) => ({
            name,
            partitionIndexes: ofTopic.map((partition) => partition.partitionIndex),
          }));
    const connection = await this.#coordinator.connection();
    const isBatched = connection.serves(apis.offsetFetch, 8);
    const requireStable = isStable && connection.serves(apis.offsetFetch, 7);
    const answer = await this.#coordinator.request(
      apis.offsetFetch,
      isBatched ? { groups: [{ groupId, topics }], requireStable } : { groupId, topics, requireStable },
    );
    const group = isBatched ? answer.groups[0] : answer;
    if (group === undefined) throw this.#error(errorCodes.UNKNOWN_SERVER_ERROR, 'OffsetFetch');
    if (group.errorCode !== errorCodes.NONE) throw this.#error(group.errorCode, 'OffsetFetch');
    const committed: TopicPartitionOffset[] = [];
    for (const { name: topic, partitions: ofTopic } of group.topics) {
      for (const { partitionIndex: partition, errorCode, committedOffset, metadata } of ofTopic) {
        if (errorCode !== errorCodes.NONE) throw this.#error(errorCode, `OffsetFetch of ${topic}-${partition}`);
        if (committedOffset >= 0)
          committed.push({ topic, partition, offset: committedOffset, metadata: metadata ?? '' });
      }
    }
    return committed;
  }

  async #commitOnce(topics: ReadonlyMap<string, CommitEntry[]>, group: GroupMetadata): Promise<void> {
    const connection = await this.#coordinator.connection();
    const request: RequestInput<typeof apis.offsetCommit> = {
      groupId: this.#groupId,
      generationIdOrMemberEpoch: group.generationId,
      memberId: group.memberId,
      groupInstanceId: connection.serves(apis.offsetCommit, 7) ? group.groupInstanceId : null,
      topics: [...topics].map(([name, partitions]) => ({ name, partitions })),
    };
    const answer = await this.#coordinator.request(apis.offsetCommit, request);
    for (const { name, partitions } of answer.topics) {
      for (const { partitionIndex, errorCode } of partitions) {
        if (errorCode === errorCodes.NONE) continue;
        throw this.#error(errorCode, `OffsetCommit of ${name}-${partitionIndex}`);
      }
    }
  }

  #error(code: number, where: string): KafkaError {
    this.#coordinator.heed(code);
    return new KafkaError(code, `${where} of group ${this.#groupId}`, { context: { groupId: this.#groupId } });
  }
}

function isMemberGone(code: number): boolean {
  return (
    code === errorCodes.UNKNOWN_MEMBER_ID ||
    code === errorCodes.ILLEGAL_GENERATION ||
    code === errorCodes.FENCED_INSTANCE_ID
  );
}

interface CommitEntry {
  readonly partitionIndex: number;
  readonly committedOffset: number;
  readonly committedMetadata: string;
}

function byTopic(offsets: readonly TopicPartitionOffset[]): Map<string, CommitEntry[]> {
  const topics = new Map<string, CommitEntry[]>();
  for (const { topic, partition, offset, metadata } of offsets) {
    if (!Number.isSafeInteger(offset) || offset < 0) {
      throw new UnsafeIntegerError(`The offset to commit for ${topic}-${partition}`, offset);
    }
    const entry = { partitionIndex: partition, committedOffset: offset, committedMetadata: metadata ?? '' };
    const ofTopic = topics.get(topic);
    if (ofTopic === undefined) topics.set(topic, [entry]);
    else ofTopic.push(entry);
  }
  return topics;
}

import type { Clock, Logger, Random } from '@millrace/platform';
import type { BrokerConfig } from '../broker-config.ts';
import { InternalTopicLog, type CoordinatorLog } from '../coordinator-log.ts';
import type { Coordinator, CoreServices } from '../core-services.ts';
import { RequestRefusedError, type ErrorName } from '../errors.ts';
import {
  GroupMembership,
  type JoinRequest,
  type LeaveResult,
  type LeavingMember,
  type MemberRequest,
  type SyncRequest,
} from './group-membership.ts';
import { GroupOffsets } from './group-offsets.ts';
import type {
  FetchedOffset,
  OffsetCommitRequest,
  OffsetFetchRequest,
  PartitionResult,
  TransactionalCommitRequest,
} from './offset-requests.ts';
import { decodeGroupRecord, groupRecord } from './group-records.ts';
import { Group, type GroupState } from './group.ts';
import { joinRefused, noBytes, syncRefused, type JoinResult, type SyncResult } from './member.ts';

/** Where groups are kept, under Kafka's name. */
export const offsetsTopic = '__consumer_offsets';

export interface GroupDescription {
  readonly groupId: string;
  /** Dead: there is no such group. */
  readonly state: GroupState | 'Dead';
  readonly protocolType: string;
  /** The protocol agreed on; empty unless the group is stable. */
  readonly protocolName: string;
  readonly members: readonly {
    readonly memberId: string;
    readonly groupInstanceId: string | null;
    readonly clientId: string;
    readonly clientHost: string;
    /** Empty unless the group is stable, as is the assignment. */
    readonly metadata: Uint8Array;
    readonly assignment: Uint8Array;
  }[];
}

export interface GroupListing {
  readonly groupId: string;
  readonly protocolType: string;
  readonly state: GroupState;
  readonly type: 'classic';
}

export interface GroupCoordinatorOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly config: BrokerConfig;
  readonly log: CoordinatorLog;
  readonly partitionExists: (topic: string, partition: number) => boolean;
}

/** Consumer groups and their offsets: one coordinator, which is this broker, for all of them. */
export class GroupCoordinator implements Coordinator {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #config: BrokerConfig;
  readonly #log: CoordinatorLog;
  readonly #partitionExists: GroupCoordinatorOptions['partitionExists'];
  readonly #groups = new Map<string, Group>();
  readonly #membership: GroupMembership;
  readonly #offsets: GroupOffsets;
  #cancelExpiry: () => void = () => {};
  #isClosed = false;

  constructor(options: GroupCoordinatorOptions) {
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#config = options.config;
    this.#log = options.log;
    this.#partitionExists = options.partitionExists;
    this.#membership = new GroupMembership({
      ...options,
      groups: this.#groups,
      store: (groupId, group) => this.#log.append(this.#log.partitionOf(groupId), [groupRecord(groupId, group)]).done,
    });
    this.#offsets = new GroupOffsets({
      ...options,
      groups: this.#groups,
      keepAlive: (group, memberId) => this.#membership.keepAlive(group, memberId),
      onDeleted: (group) => this.#membership.forget(group),
    });
  }

  /** Reads all groups; members have their session timeout from now on. Offsets of topics that no longer exist are dropped. */
  async load(): Promise<void> {
    await this.#log.replay((record) => {
      if (record.kind === 'marker') {
        this.#offsets.completeTransaction(record.partition, record.producerId, record.isCommit, null);
        return;
      }
      const decoded = decodeGroupRecord(record, record.offset);
      if (decoded === undefined) return;
      if (decoded.kind === 'offset') {
        this.#offsets.replay(record.partition, record.producerId, decoded);
      } else if (decoded.value === null) {
        this.#offsets.replayDeletion(decoded.groupId);
      } else {
        const { groupId, value } = decoded;
        let group = this.#groups.get(groupId);
        if (group === undefined) this.#groups.set(groupId, (group = new Group(groupId, value.stateTimestampMs)));
        group.restore(value);
      }
    });
    for (const group of this.#groups.values()) this.#membership.resume(group);
    // The deletion of a topic is durable before the tombstones of its offsets are: a crash may fall between.
    await this.#offsets.dropTopics((topic) => !this.#partitionExists(topic, 0));
    this.#scheduleExpiry();
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelExpiry();
    this.#membership.close();
  }

  /** Sees that there is a place to keep groups: who asks for the coordinator is about to need it. */
  async prepare(): Promise<void> {
    if (!this.#log.isOpen) await this.#log.open();
  }

  /** The partition of `__consumer_offsets` where a group's offsets go. */
  async partitionOf(groupId: string): Promise<number> {
    await this.prepare();
    return this.#log.partitionOf(groupId);
  }

  // ── Members ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Resolves at once, or when the rebalance that the member takes part in ends. */
  async join(request: JoinRequest): Promise<JoinResult> {
    await this.prepare();
    if (this.#isClosed) return joinRefused('COORDINATOR_NOT_AVAILABLE', request.memberId);
    return new Promise((resolve) => this.#membership.join(request, resolve));
  }

  /** Resolves at once, or when the leader's assignment is durable. */
  async sync(request: SyncRequest): Promise<SyncResult> {
    if (this.#isClosed) return syncRefused('COORDINATOR_NOT_AVAILABLE');
    return new Promise((resolve) => this.#membership.sync(request, resolve));
  }

  heartbeat(request: MemberRequest): ErrorName | null {
    if (this.#isClosed) return 'COORDINATOR_NOT_AVAILABLE';
    return this.#membership.heartbeat(request);
  }

  /** @throws {RequestRefusedError} for an empty group id, or when the coordinator is closed */
  leave(groupId: string, members: readonly LeavingMember[]): readonly LeaveResult[] {
    if (groupId === '') throw new RequestRefusedError('INVALID_GROUP_ID', 'A group id must not be empty.');
    if (this.#isClosed) throw new RequestRefusedError('COORDINATOR_NOT_AVAILABLE', 'The broker is closing.');
    return this.#membership.leave(groupId, members);
  }

  // ── Offsets ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Resolves when the offsets are durable. @throws {RequestRefusedError} where the whole request is refused */
  async commitOffsets(request: OffsetCommitRequest): Promise<readonly PartitionResult[]> {
    if (!this.#log.isOpen) await this.#log.open();
    return this.#offsets.commit(request);
  }

  /**
   * Offsets that count once the producer's transaction commits. That the transaction is open has been looked at.
   * @throws {RequestRefusedError} where the whole request is refused
   */
  async commitTransactionalOffsets(request: TransactionalCommitRequest): Promise<readonly PartitionResult[]> {
    if (!this.#log.isOpen) await this.#log.open();
    return this.#offsets.commitTransactional(request);
  }

  /** A marker was appended to a partition of `__consumer_offsets`, in this turn; it is durable when `done` resolves. */
  completeTransaction(partition: number, producerId: number, isCommit: boolean, done: Promise<void>): void {
    this.#offsets.completeTransaction(partition, producerId, isCommit, done);
  }

  fetchOffsets(request: OffsetFetchRequest): readonly FetchedOffset[] | Promise<readonly FetchedOffset[]> {
    return this.#offsets.fetch(request);
  }

  /** @throws {RequestRefusedError} where the whole request is refused */
  deleteOffsets(
    groupId: string,
    partitions: readonly { readonly topic: string; readonly partition: number }[],
  ): Promise<readonly PartitionResult[]> {
    return this.#offsets.deleteOffsets(groupId, partitions);
  }

  /** Drops the offsets of a topic that is being deleted. */
  topicDeleted(topic: string): void {
    this.#watch(
      this.#offsets.dropTopics((each) => each === topic),
      'the offsets of a deleted topic could not be dropped',
    );
  }

  // ── Groups ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** @throws {RequestRefusedError} for a group that does not exist, or has members */
  deleteGroup(groupId: string): Promise<void> {
    return this.#offsets.deleteGroup(groupId);
  }

  describe(groupId: string): GroupDescription {
    const group = this.#groups.get(groupId);
    if (group === undefined) return { groupId, state: 'Dead', protocolType: '', protocolName: '', members: [] };
    const protocolName = group.state === 'Stable' ? group.protocolName : null;
    return {
      groupId,
      state: group.state,
      protocolType: group.protocolType ?? '',
      protocolName: protocolName ?? '',
      members: [...group.members].map((member) => ({
        memberId: member.memberId,
        groupInstanceId: member.groupInstanceId,
        clientId: member.clientId,
        clientHost: member.clientHost,
        metadata: protocolName === null ? noBytes : member.metadataOf(protocolName),
        assignment: protocolName === null ? noBytes : member.assignment,
      })),
    };
  }

  /**
   * Groups in one of the states and of one of the types; no filter means all. In no particular order.
   * @param filter names, in any case
   */
  list(
    filter: { readonly states?: readonly string[] | undefined; readonly types?: readonly string[] | undefined } = {},
  ): readonly GroupListing[] {
    const states = new Set(filter.states?.map((state) => state.toLowerCase()));
    const types = new Set(filter.types?.map((type) => type.toLowerCase()));
    const listings: GroupListing[] = [];
    for (const { groupId, protocolType, state } of this.#groups.values()) {
      if (states.size > 0 && !states.has(state.toLowerCase())) continue;
      if (types.size > 0 && !types.has('classic')) continue;
      listings.push({ groupId, protocolType: protocolType ?? '', state, type: 'classic' });
    }
    return listings;
  }

  #scheduleExpiry(): void {
    this.#cancelExpiry = this.#clock.after(this.#config['offsets.retention.check.interval.ms'], () => {
      this.#watch(this.#offsets.expire(), 'expired offsets could not be dropped');
      this.#scheduleExpiry();
    });
  }

  /** For what nobody waits for. */
  #watch(work: Promise<void>, failure: string): void {
    work.catch((error: unknown) => {
      if (!this.#isClosed) this.#logger.error({ error: String(error) }, failure);
    });
  }
}

/** The coordinator over `__consumer_offsets`, as the broker has it. */
export function groupCoordinatorOf(services: CoreServices): GroupCoordinator {
  const { clock, random, logger, config, partitions } = services;
  const coordinator = new GroupCoordinator({
    clock,
    random,
    logger,
    config,
    log: new InternalTopicLog({
      partitions,
      clock,
      topic: offsetsTopic,
      partitionCount: config['offsets.topic.num.partitions'],
      configs: {
        'cleanup.policy': 'compact',
        'compression.type': 'producer',
        'segment.bytes': String(config['offsets.topic.segment.bytes']),
      },
    }),
    partitionExists: (topic, partition) => partitions.log(topic, partition) !== undefined,
  });
  partitions.onTopicDeleted((topic) => coordinator.topicDeleted(topic.name));
  return coordinator;
}

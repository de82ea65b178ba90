import { silentLogger } from '@millrace/platform';
import { SeededRandom, VirtualClock } from '@millrace/platform/simulated';
import { encodeMessage, recordSchemas } from '@millrace/protocol';
import { brokerConfigFrom } from '../broker-config.ts';
import { GroupCoordinator } from '../groups/group-coordinator.ts';
import type { JoinRequest, SyncRequest } from '../groups/group-membership.ts';
import type { OffsetCommitRequest, OffsetToCommit } from '../groups/offset-requests.ts';
import type { JoinResult, MemberProtocol, SyncResult } from '../groups/member.ts';
import { MemoryCoordinatorLog } from './memory-coordinator-log.ts';

/** What a consumer of these topics says of itself. */
export function subscriptionTo(...topics: string[]): Uint8Array {
  return new Uint8Array(encodeMessage(recordSchemas.consumerProtocolSubscription, 0, { topics }));
}

export function protocolsNamed(...names: string[]): readonly MemberProtocol[] {
  return names.map((name) => ({ name, metadata: subscriptionTo('orders') }));
}

/** An answer that may be still to come. */
export class Pending<T> {
  value: T | undefined;
  readonly done: Promise<T>;

  constructor(promise: Promise<T>) {
    this.done = promise.then((value) => (this.value = value));
  }
}

/** A group coordinator on virtual time over a log in memory, for tests. Topics `orders` and `payments` have 4 partitions each. */
export class GroupBench {
  readonly clock: VirtualClock;
  readonly log: MemoryCoordinatorLog;
  readonly coordinator: GroupCoordinator;
  readonly topics: Set<string> = new Set(['orders', 'payments']);
  readonly #config: Readonly<Record<string, number>>;

  private constructor(clock: VirtualClock, log: MemoryCoordinatorLog, config: Readonly<Record<string, number>>) {
    this.clock = clock;
    this.log = log;
    this.#config = config;
    this.coordinator = new GroupCoordinator({
      clock,
      random: new SeededRandom(7),
      logger: silentLogger,
      config: brokerConfigFrom(config),
      log,
      partitionExists: (topic, partition) => this.topics.has(topic) && partition < 4,
    });
  }

  static async open(
    config: Readonly<Record<string, number>> = {},
    log: MemoryCoordinatorLog = new MemoryCoordinatorLog(),
  ): Promise<GroupBench> {
    const bench = new GroupBench(new VirtualClock(1_000_000), log, config);
    await bench.coordinator.load();
    return bench;
  }

  /** A coordinator that starts after this one was killed. */
  async restart(options: { readonly topics?: readonly string[] } = {}): Promise<GroupBench> {
    const bench = new GroupBench(new VirtualClock(this.clock.now()), this.log.crash(), this.#config);
    if (options.topics !== undefined) {
      bench.topics.clear();
      for (const topic of options.topics) bench.topics.add(topic);
    }
    await bench.coordinator.load();
    return bench;
  }

  /** As a client of version 9 would, by default. */
  join(request: Partial<JoinRequest> = {}): Pending<JoinResult> {
    return new Pending(
      this.coordinator.join({
        groupId: 'g',
        memberId: '',
        groupInstanceId: null,
        clientId: 'client',
        clientHost: '/127.0.0.1',
        sessionTimeoutMs: 10_000,
        rebalanceTimeoutMs: 60_000,
        protocolType: 'consumer',
        protocols: protocolsNamed('range'),
        reason: null,
        requiresKnownMemberId: true,
        supportsSkippingAssignment: true,
        ...request,
      }),
    );
  }

  sync(memberId: string, generationId: number, request: Partial<SyncRequest> = {}): Pending<SyncResult> {
    return new Pending(
      this.coordinator.sync({
        groupId: 'g',
        memberId,
        groupInstanceId: null,
        generationId,
        protocolType: null,
        protocolName: null,
        assignments: new Map(),
        ...request,
      }),
    );
  }

  heartbeat(memberId: string, generationId: number, groupInstanceId: string | null = null): string | null {
    return this.coordinator.heartbeat({ groupId: 'g', memberId, generationId, groupInstanceId });
  }

  leave(...memberIds: string[]): readonly (string | null)[] {
    const members = memberIds.map((memberId) => ({ memberId, groupInstanceId: null, reason: null }));
    return this.coordinator.leave('g', members).map((result) => result.error);
  }

  get state(): string {
    return this.coordinator.describe('g').state;
  }

  /** An id to join with, got as clients of version 4 and later do. */
  async newMemberId(groupId: string = 'g'): Promise<string> {
    return (await this.join({ groupId }).done).memberId;
  }

  /** A stable group of dynamic members that know `range`; the first is the leader. Their assignments are `for <id>`. */
  async stableGroup(
    size: number,
    request: Partial<JoinRequest> = {},
  ): Promise<{ ids: string[]; generationId: number }> {
    const ids: string[] = [];
    for (let index = 0; index < size; index++) ids.push(await this.newMemberId());
    const joins = ids.map((memberId) => this.join({ ...request, memberId }));
    await this.clock.advance(0);
    const { generationId } = await joins[0]!.done;
    await this.stabilise(ids, generationId);
    return { ids, generationId };
  }

  /** All members sync; the first leads. */
  async stabilise(ids: readonly string[], generationId: number): Promise<void> {
    const assignments = new Map(ids.map((id) => [id, bytesOf(`for ${id}`)]));
    const syncs = ids.map((id) => this.sync(id, generationId, { assignments }));
    await Promise.all(syncs.map((sync) => sync.done));
  }

  async commit(
    offsets: readonly Partial<OffsetToCommit>[],
    request: Partial<OffsetCommitRequest> = {},
  ): Promise<readonly (string | null)[]> {
    const results = await this.coordinator.commitOffsets({
      groupId: 'g',
      generationId: -1,
      memberId: '',
      groupInstanceId: null,
      retentionMs: null,
      tellsGroupNotFound: true,
      offsets: offsets.map(toCommit),
      ...request,
    });
    return results.map((result) => result.error);
  }

  async commitInTransaction(
    producerId: number,
    offsets: readonly Partial<OffsetToCommit>[],
    member: { readonly generationId?: number; readonly memberId?: string; readonly groupId?: string } = {},
  ): Promise<readonly (string | null)[]> {
    const results = await this.coordinator.commitTransactionalOffsets({
      groupId: 'g',
      generationId: -1,
      memberId: '',
      groupInstanceId: null,
      offsets: offsets.map(toCommit),
      producer: { producerId, producerEpoch: 0 },
      ...member,
    });
    return results.map((result) => result.error);
  }

  /** Writes the marker that ends a producer's transaction. */
  endTransaction(producerId: number, isCommit: boolean, groupId: string = 'g'): void {
    const partition = this.log.partitionOf(groupId);
    const { done } = this.log.appendMarker(partition, producerId, isCommit);
    this.coordinator.completeTransaction(partition, producerId, isCommit, done);
  }

  /** What is committed for partitions of `orders`: the offset, or the error. */
  async committed(...partitions: number[]): Promise<(number | string)[]> {
    const fetched = await this.coordinator.fetchOffsets({
      groupId: 'g',
      partitions: partitions.map((partition) => ({ topic: 'orders', partition })),
      requiresStable: true,
    });
    return fetched.map(({ offset, error }) => error ?? offset);
  }
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function toCommit(offset: Partial<OffsetToCommit>): OffsetToCommit {
  return { topic: 'orders', partition: 0, offset: 0, leaderEpoch: -1, metadata: '', ...offset };
}

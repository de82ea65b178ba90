import { isMillraceError } from '@millrace/platform';
import { apis, errorCodes, type ResponseOf } from '@millrace/protocol';
import type { Assignor, GroupMetadata, TopicPartitionId } from '../bytes/types.ts';
import { KafkaError } from '../kafka-error.ts';
import { Backoff } from '../network/backoff.ts';
import type { ClusterClient } from '../network/cluster-client.ts';
import { Coordinator } from '../network/coordinator.ts';
import { NodeConnections } from '../network/node-connections.ts';
import { unlessAborted } from '../network/unless-aborted.ts';
import { decodeAssignment, decodeSubscription, encodeAssignment, encodeSubscription } from './consumer-protocol.ts';
import type { Subscription } from './subscription.ts';

export interface GroupMemberOptions {
  readonly groupId: string;
  readonly groupInstanceId: string | null;
  readonly leavesOnClose: boolean;
  readonly assignors: readonly Assignor[];
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
}

/** What the member asks of its consumer. Each is awaited; while they run, heartbeats go on. */
export interface GroupMemberListener {
  assigned(partitions: readonly TopicPartitionId[]): Promise<void>;
  revoked(partitions: readonly TopicPartitionId[]): Promise<void>;
  lost(partitions: readonly TopicPartitionId[]): Promise<void>;
  /** The group can never be joined, or has thrown this member out for good. */
  failed(error: Error): void;
}

/**
 * A member of a consumer group, by the classic protocol: join, let the leader assign, sync, and beat; again whenever the
 * group changes. With cooperative assignors a member keeps its partitions meanwhile and gives up only those that move
 * (KIP-429); otherwise it gives up all before it joins.
 */
export class GroupMember {
  readonly #cluster: ClusterClient;
  readonly #options: GroupMemberOptions;
  readonly #subscription: Subscription;
  readonly #listener: GroupMemberListener;
  readonly #connections: NodeConnections;
  readonly #coordinator: Coordinator;
  readonly #backoff: Backoff;
  readonly #closing = new AbortController();
  #memberId = '';
  #generationId = -1;
  #owned: readonly TopicPartitionId[] = [];
  #isLeader = false;
  #rejoinReason: string | undefined = 'the consumer starts';
  #wakeStable: (() => void) | undefined;
  /** Between JoinGroup and the end of SyncGroup the session is kept by those requests, and commits are refused. */
  #joining: Promise<void> | undefined;
  #cancelHeartbeat: (() => void) | undefined;
  #cancelCheck: (() => void) | undefined;
  #running: Promise<void> | undefined;

  constructor(
    cluster: ClusterClient,
    options: GroupMemberOptions,
    subscription: Subscription,
    listener: GroupMemberListener,
  ) {
    this.#cluster = cluster;
    this.#options = options;
    this.#subscription = subscription;
    this.#listener = listener;
    this.#connections = new NodeConnections(cluster);
    this.#coordinator = new Coordinator(cluster, this.#connections, 'group', options.groupId);
    this.#backoff = new Backoff(cluster.platform.random, 50, 1_000);
  }

  get metadata(): GroupMetadata {
    const { groupId, groupInstanceId } = this.#options;
    return { groupId, groupInstanceId, generationId: this.#generationId, memberId: this.#memberId };
  }

  get owned(): readonly TopicPartitionId[] {
    return this.#owned;
  }

  /** Resolves when no JoinGroup or SyncGroup is under way. */
  get settled(): Promise<void> {
    return this.#joining ?? Promise.resolve();
  }

  start(): void {
    this.#running ??= this.#run();
  }

  rejoin(reason: string): void {
    this.#rejoinReason ??= reason;
    this.#wakeStable?.();
  }

  /** Leaves the group, if it is to: a static member that stays is back within its session timeout, and nothing has moved. */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    this.#stopHeartbeat();
    this.#cancelCheck?.();
    this.#wakeStable?.();
    this.#connections.close(); // also ends a JoinGroup that waits for others
    await this.#running;
    if (this.#owned.length > 0) {
      const owned = this.#owned;
      this.#owned = [];
      await this.#listener.revoked(owned);
    }
    if (this.#memberId !== '' && this.#options.leavesOnClose) await this.#leave();
  }

  get #isClosing(): boolean {
    return this.#closing.signal.aborted;
  }

  /** What others share goes on; this member does not wait for it when it closes. */
  #unlessClosing<T>(work: Promise<T>): Promise<T> {
    return unlessAborted(work, this.#closing.signal, 'consumer');
  }

  async #run(): Promise<void> {
    while (!this.#isClosing) {
      try {
        await this.#joinGroup();
        this.#backoff.reset();
        await this.#stable();
      } catch (error) {
        if (this.#isClosing) return;
        if (error instanceof Rejoin) continue;
        if (!isMillraceError(error) || !error.retriable) {
          this.#stopHeartbeat();
          return this.#listener.failed(error as Error);
        }
        await this.#cluster.pause(this.#backoff.nextMs(), this.#closing.signal).catch(() => undefined);
      }
    }
  }

  // ── Joining ──────────────────────────────────────────────────────────────────────────────────────────────────────

  async #joinGroup(): Promise<void> {
    const topics = await this.#unlessClosing(this.#subscription.topics());
    await this.#letGoBeforeJoining();
    if (this.#isClosing) return;
    const reason = this.#rejoinReason ?? '';
    this.#rejoinReason = undefined;

    let done: (() => void) | undefined;
    this.#joining = new Promise((resolve) => (done = resolve));
    this.#stopHeartbeat();
    let assigned: TopicPartitionId[];
    try {
      const joined = await this.#join(topics, reason);
      assigned = await this.#sync(joined);
    } catch (error) {
      this.#rejoinReason ??= 'the last attempt failed';
      throw error;
    } finally {
      this.#joining = undefined;
      done!();
      if (this.#generationId !== -1 && !this.#isClosing) this.#beatAfter(this.#options.heartbeatIntervalMs);
    }
    await this.#apply(assigned);
    this.#watchSubscription();
  }

  /** What was lost is told; without cooperation, everything is given up (KIP-429 calls it eager). */
  async #letGoBeforeJoining(): Promise<void> {
    const isLost = this.#generationId === -1;
    const isEager = !this.#options.assignors.every((assignor) => assignor.isCooperative);
    if (this.#owned.length === 0 || (!isLost && !isEager)) return;
    if (isLost) await this.#listener.lost(this.#owned);
    else await this.#listener.revoked(this.#owned);
    this.#owned = [];
  }

  async #join(topics: readonly string[], reason: string): Promise<ResponseOf<typeof apis.joinGroup>> {
    const { groupId, groupInstanceId, assignors, sessionTimeoutMs, rebalanceTimeoutMs } = this.#options;
    const request = {
      groupId,
      sessionTimeoutMs,
      rebalanceTimeoutMs,
      memberId: this.#memberId,
      groupInstanceId,
      protocolType: 'consumer',
      protocols: assignors.map((assignor) => ({
        name: assignor.name,
        metadata: encodeSubscription(assignor, topics, this.#owned, this.#generationId),
      })),
      reason: reason.slice(0, 255),
    };
    // The broker answers when all members have joined.
    const timeoutMs = rebalanceTimeoutMs + this.#cluster.requestTimeoutMs;
    const answer = await this.#unlessClosing(this.#coordinator.request(apis.joinGroup, request, { timeoutMs }));
    if (answer.errorCode === errorCodes.MEMBER_ID_REQUIRED) {
      this.#memberId = answer.memberId; // KIP-394: come again with it
      throw new Rejoin();
    }
    this.#check(answer.errorCode, 'JoinGroup');
    this.#memberId = answer.memberId;
    this.#generationId = answer.generationId;
    this.#isLeader = answer.leader === answer.memberId;
    return answer;
  }

  async #sync(joined: ResponseOf<typeof apis.joinGroup>): Promise<TopicPartitionId[]> {
    const { groupId, groupInstanceId, rebalanceTimeoutMs } = this.#options;
    const assignments = this.#isLeader && !joined.skipAssignment ? await this.#assign(joined) : [];
    const request = {
      groupId,
      groupInstanceId,
      generationId: this.#generationId,
      memberId: this.#memberId,
      protocolType: 'consumer',
      protocolName: joined.protocolName,
      assignments,
    };
    // It is answered when the leader has synced.
    const timeoutMs = rebalanceTimeoutMs + this.#cluster.requestTimeoutMs;
    const answer = await this.#unlessClosing(this.#coordinator.request(apis.syncGroup, request, { timeoutMs }));
    this.#check(answer.errorCode, 'SyncGroup');
    return decodeAssignment(answer.assignment);
  }

  async #assign(joined: ResponseOf<typeof apis.joinGroup>): Promise<{ memberId: string; assignment: Uint8Array }[]> {
    const assignor = this.#options.assignors.find(({ name }) => name === joined.protocolName);
    if (assignor === undefined) {
      throw new KafkaError(errorCodes.INCONSISTENT_GROUP_PROTOCOL, `JoinGroup chose ${joined.protocolName}`);
    }
    const members = joined.members.map((member) =>
      decodeSubscription(member.memberId, member.groupInstanceId, member.metadata),
    );
    const topics = new Set(members.flatMap((member) => member.topics));
    const partitionsOf = await this.#unlessClosing(this.#subscription.partitionCounts(topics));
    const assignment = assignor.assign(members, partitionsOf);
    return members.map(({ memberId }) => ({
      memberId,
      assignment: encodeAssignment(assignment.get(memberId) ?? []),
    }));
  }

  async #apply(assigned: readonly TopicPartitionId[]): Promise<void> {
    const before = new Set(this.#owned.map(keyOf));
    const after = new Set(assigned.map(keyOf));
    const revoked = this.#owned.filter((partition) => !after.has(keyOf(partition)));
    const added = assigned.filter((partition) => !before.has(keyOf(partition)));
    if (revoked.length > 0) {
      await this.#listener.revoked(revoked);
      this.rejoin('partitions were given up for others to have');
    }
    // What the consumer was not given, as its offsets could not be asked for, must count as new in the next round.
    this.#owned = assigned.filter((partition) => before.has(keyOf(partition)));
    await this.#listener.assigned(added);
    this.#owned = assigned;
  }

  // ── Staying ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Until there is a reason to join again. */
  async #stable(): Promise<void> {
    while (this.#rejoinReason === undefined && !this.#isClosing) {
      await new Promise<void>((resolve) => (this.#wakeStable = resolve));
    }
    this.#wakeStable = undefined;
  }

  #beatAfter(delayMs: number): void {
    this.#cancelHeartbeat?.();
    this.#cancelHeartbeat = this.#cluster.platform.clock.after(delayMs, () => void this.#beat());
  }

  #stopHeartbeat(): void {
    this.#cancelHeartbeat?.();
    this.#cancelHeartbeat = undefined;
  }

  async #beat(): Promise<void> {
    const { groupId, groupInstanceId, heartbeatIntervalMs, sessionTimeoutMs } = this.#options;
    const generationId = this.#generationId;
    let nextMs = heartbeatIntervalMs;
    try {
      const request = { groupId, groupInstanceId, generationId, memberId: this.#memberId };
      const timeoutMs = Math.min(this.#cluster.requestTimeoutMs, sessionTimeoutMs);
      const answer = await this.#coordinator.request(apis.heartbeat, request, { timeoutMs });
      if (generationId !== this.#generationId) return; // of a generation that is over
      if (answer.errorCode === errorCodes.REBALANCE_IN_PROGRESS) this.rejoin('the group rebalances');
      else this.#check(answer.errorCode, 'Heartbeat');
    } catch (error) {
      if (this.#isClosing) return;
      // Before the generation is compared: being thrown out has reset it.
      if (error instanceof Rejoin) return this.rejoin('the group does not know this member any more');
      if (generationId !== this.#generationId) return;
      if (!isMillraceError(error) || !error.retriable) {
        this.#stopHeartbeat();
        return this.#listener.failed(error as Error);
      }
      nextMs = Math.min(nextMs, this.#backoff.nextMs());
    }
    if (this.#joining === undefined && !this.#isClosing) this.#beatAfter(nextMs);
  }

  /** Partitions are added and topics made: the leader looks for that, and with a pattern each member. */
  #watchSubscription(): void {
    this.#cancelCheck?.();
    const isWatching = this.#isLeader || this.#subscription.isPattern;
    if (!isWatching || this.#isClosing) return;
    this.#cancelCheck = this.#cluster.platform.clock.after(this.#subscription.checkIntervalMs, () => {
      this.#subscription.hasChanged(this.#isLeader).then(
        (hasChanged) => {
          if (hasChanged) this.rejoin('topics or partitions have changed');
          this.#watchSubscription();
        },
        () => this.#watchSubscription(), // no broker answers now
      );
    });
  }

  /** Nobody waits for partitions of a member that has left. If the group cannot be told, its session runs out. */
  async #leave(): Promise<void> {
    const { groupId, groupInstanceId } = this.#options;
    const member = { memberId: this.#memberId, groupInstanceId, reason: 'the consumer is closed' };
    // Not by the connection where a JoinGroup may still wait.
    const coordinator = new Coordinator(this.#cluster, this.#cluster.connections, 'group', groupId);
    try {
      const connection = await coordinator.connection();
      await connection.request(
        apis.leaveGroup,
        connection.serves(apis.leaveGroup, 3) ? { groupId, members: [member] } : { groupId, memberId: member.memberId },
        { timeoutMs: Math.min(this.#cluster.requestTimeoutMs, leaveTimeoutMs) },
      );
    } catch (error) {
      if (!isMillraceError(error)) throw error;
    }
  }

  #check(code: number, where: string): void {
    switch (code) {
      case errorCodes.NONE:
        return;
      case errorCodes.UNKNOWN_MEMBER_ID:
      case errorCodes.ILLEGAL_GENERATION:
        this.#generationId = -1;
        if (code === errorCodes.UNKNOWN_MEMBER_ID) this.#memberId = '';
        throw new Rejoin();
      case errorCodes.REBALANCE_IN_PROGRESS:
        throw new Rejoin();
      default: {
        this.#coordinator.heed(code);
        const { groupId, groupInstanceId } = this.#options;
        throw new KafkaError(code, `${where} of group ${groupId}`, { context: { groupId, groupInstanceId } });
      }
    }
  }
}

const leaveTimeoutMs = 5_000;

/** Join again, at once. */
class Rejoin extends Error {}

function keyOf({ topic, partition }: TopicPartitionId): string {
  return `${partition}/${topic}`;
}

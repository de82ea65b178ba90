import { strict as assert } from 'node:assert';
import type { ErrorName } from '../errors.ts';
import type { StoredGroup } from './group-records.ts';
import {
  joinRefused,
  Member,
  noBytes,
  syncRefused,
  type JoinResult,
  type MemberProtocol,
  type SyncResult,
} from './member.ts';
import { OffsetMap } from './offsets.ts';
import { consumerProtocolType, subscribedTopicsIn } from './subscription.ts';

/**
 *     Empty ──join──▶ PreparingRebalance ──all joined──▶ CompletingRebalance ──leader synced──▶ Stable
 *       ▲                │   ▲      ▲                              │                               │
 *       └──none left─────┘   └──────┴──────join, leave, timeout────┴───────────────────────────────┘
 */
export type GroupState = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable';

/** A group of the classic protocol: who is in it, and what they agreed on. No clock and no log: `GroupMembership` has those. */
export class Group {
  readonly groupId: string;
  state: GroupState = 'Empty';
  /** Before the present state. A rebalance that began in Empty waits for more members. */
  previousState: GroupState | null = null;
  /** null: unknown. */
  stateTimestampMs: number | null;
  generationId = 0;
  protocolType: string | null = null;
  protocolName: string | null = null;
  leader: string | null = null;
  /** Topics that members of type `consumer` subscribe to; null: unknown. */
  subscribedTopics: ReadonlySet<string> | null = null;
  /** Got an id and were told to come back with it (KIP-394). */
  readonly pendingJoins: Set<string> = new Set();
  /** Were told the new generation and have not asked for their assignment. */
  readonly pendingSyncs: Set<string> = new Set();
  /** Someone joined since the initial delay began. */
  hasNewJoins = false;
  /** The generation whose assignment is on its way to the disk. */
  storingGeneration: number | null = null;
  readonly offsets: OffsetMap = new OffsetMap();
  /** By producer id: offsets that wait for the end of its transaction. */
  readonly pendingOffsets: Map<number, OffsetMap> = new Map();
  /** The last append about its offsets that is not durable yet. */
  undurable: Promise<void> | null = null;
  readonly #members = new Map<string, Member>();
  readonly #staticMembers = new Map<string, string>();
  readonly #supporters = new Map<string, number>();
  #awaitingJoinCount = 0;

  constructor(groupId: string, stateTimestampMs: number | null) {
    this.groupId = groupId;
    this.stateTimestampMs = stateTimestampMs;
  }

  get members(): IterableIterator<Member> {
    return this.#members.values();
  }

  get memberCount(): number {
    return this.#members.size;
  }

  /** Members whose JoinGroup is parked. */
  get awaitingJoinCount(): number {
    return this.#awaitingJoinCount;
  }

  get hasAllMembersJoined(): boolean {
    return this.#awaitingJoinCount === this.#members.size && this.pendingJoins.size === 0;
  }

  get usesConsumerProtocol(): boolean {
    return this.protocolType === consumerProtocolType;
  }

  /** How long a rebalance waits: as long as the most patient member. */
  get rebalanceTimeoutMs(): number {
    let longestMs = 0;
    for (const member of this.#members.values()) longestMs = Math.max(longestMs, member.rebalanceTimeoutMs);
    return longestMs;
  }

  member(memberId: string): Member | undefined {
    return this.#members.get(memberId);
  }

  staticMemberId(groupInstanceId: string): string | undefined {
    return this.#staticMembers.get(groupInstanceId);
  }

  moveTo(state: GroupState, nowMs: number): void {
    this.previousState = this.state;
    this.state = state;
    this.stateTimestampMs = nowMs;
  }

  /** Validation that all requests of members share, in Kafka's order: unknown member, then fenced instance. */
  validateMember(memberId: string, groupInstanceId: string | null): ErrorName | null {
    if (groupInstanceId !== null) {
      const current = this.#staticMembers.get(groupInstanceId);
      if (current === undefined) return 'UNKNOWN_MEMBER_ID';
      if (current !== memberId) return 'FENCED_INSTANCE_ID';
    }
    return this.#members.has(memberId) ? null : 'UNKNOWN_MEMBER_ID';
  }

  /** An empty group takes any protocol; others only members that know one that all know. */
  supportsProtocols(protocolType: string, protocols: readonly MemberProtocol[]): boolean {
    if (this.state === 'Empty') return protocolType !== '' && protocols.length > 0;
    return (
      this.protocolType === protocolType &&
      protocols.some((protocol) => (this.#supporters.get(protocol.name) ?? 0) === this.#members.size)
    );
  }

  add(member: Member, answerJoin: ((result: JoinResult) => void) | null): void {
    assert(!this.#members.has(member.memberId), 'a member is added once');
    if (member.groupInstanceId !== null) {
      assert(!this.#staticMembers.has(member.groupInstanceId), 'an instance id belongs to one member');
      this.#staticMembers.set(member.groupInstanceId, member.memberId);
    }
    if (this.#members.size === 0) this.protocolType = member.protocolType;
    assert.equal(member.protocolType, this.protocolType, 'members have the protocol type of their group');
    this.leader ??= member.memberId;
    this.#members.set(member.memberId, member);
    this.#countSupport(member, 1);
    this.pendingJoins.delete(member.memberId);
    this.parkJoin(member, answerJoin);
  }

  /** Forgets a member, pending or not. Whatever it waits for is answered UNKNOWN_MEMBER_ID, so that a live one joins anew. */
  remove(memberId: string): void {
    this.pendingJoins.delete(memberId);
    this.pendingSyncs.delete(memberId);
    const member = this.#members.get(memberId);
    if (member === undefined) return;
    this.completeJoin(member, joinRefused('UNKNOWN_MEMBER_ID', ''));
    this.completeSync(member, syncRefused('UNKNOWN_MEMBER_ID'));
    this.#members.delete(memberId);
    this.#countSupport(member, -1);
    if (member.groupInstanceId !== null) this.#staticMembers.delete(member.groupInstanceId);
    if (this.leader === memberId) this.leader = this.#members.keys().next().value ?? null;
  }

  /** A static member came back under a new id: it takes its predecessor's place, and the predecessor is fenced. */
  replaceStatic(
    previous: Member,
    successor: { readonly memberId: string; readonly clientId: string; readonly clientHost: string },
  ): Member {
    const { memberId, clientId, clientHost } = successor;
    assert(previous.groupInstanceId !== null);
    this.completeJoin(previous, joinRefused('FENCED_INSTANCE_ID', previous.memberId));
    this.completeSync(previous, syncRefused('FENCED_INSTANCE_ID'));
    const member = new Member({
      memberId,
      groupInstanceId: previous.groupInstanceId,
      clientId,
      clientHost,
      rebalanceTimeoutMs: previous.rebalanceTimeoutMs,
      sessionTimeoutMs: previous.sessionTimeoutMs,
      protocolType: previous.protocolType,
      protocols: previous.protocols,
      assignment: previous.assignment,
    });
    this.#members.delete(previous.memberId);
    this.#members.set(memberId, member);
    this.#staticMembers.set(previous.groupInstanceId, memberId);
    if (this.pendingSyncs.delete(previous.memberId)) this.pendingSyncs.add(memberId);
    if (this.leader === previous.memberId) this.leader = memberId;
    return member;
  }

  /** What a member says of itself when it joins again. */
  update(
    member: Member,
    terms: {
      readonly protocols: readonly MemberProtocol[];
      readonly rebalanceTimeoutMs: number;
      readonly sessionTimeoutMs: number;
    },
  ): void {
    this.#countSupport(member, -1);
    member.protocols = terms.protocols;
    this.#countSupport(member, 1);
    member.rebalanceTimeoutMs = terms.rebalanceTimeoutMs;
    member.sessionTimeoutMs = terms.sessionTimeoutMs;
  }

  /** Parks a JoinGroup. One that is parked already belongs to a request that its client has given up. */
  parkJoin(member: Member, answerJoin: ((result: JoinResult) => void) | null): void {
    this.completeJoin(member, joinRefused('REBALANCE_IN_PROGRESS', member.memberId));
    member.isGone = false;
    member.answerJoin = answerJoin;
    if (answerJoin !== null) this.#awaitingJoinCount++;
  }

  completeJoin(member: Member, result: JoinResult): boolean {
    const answer = member.answerJoin;
    if (answer === null) return false;
    member.answerJoin = null;
    this.#awaitingJoinCount--;
    answer(result);
    return true;
  }

  parkSync(member: Member, answerSync: (result: SyncResult) => void): void {
    this.completeSync(member, syncRefused('REBALANCE_IN_PROGRESS'));
    member.isGone = false;
    member.answerSync = answerSync;
  }

  completeSync(member: Member, result: SyncResult): boolean {
    const answer = member.answerSync;
    if (answer === null) return false;
    member.answerSync = null;
    answer(result);
    return true;
  }

  /** Sees that the leader is someone who joined. False: nobody did. */
  electJoinedLeader(): boolean {
    const leader = this.leader === null ? undefined : this.#members.get(this.leader);
    if (leader === undefined) return false;
    if (leader.answerJoin !== null) return true;
    for (const member of this.#members.values()) {
      if (member.answerJoin === null) continue;
      this.leader = member.memberId;
      return true;
    }
    return false;
  }

  /** The protocol that most members prefer, among those that all know; the first of equals in the leader's order of joining. */
  selectProtocol(): string {
    const candidates = new Set<string>();
    for (const [name, supporters] of this.#supporters) if (supporters === this.#members.size) candidates.add(name);
    const votes = new Map<string, number>();
    for (const member of this.#members.values()) {
      const vote = member.voteAmong(candidates);
      if (vote !== undefined) votes.set(vote, (votes.get(vote) ?? 0) + 1);
    }
    let chosen: string | undefined;
    for (const [name, count] of votes) if (chosen === undefined || count > votes.get(chosen)!) chosen = name;
    assert(chosen !== undefined, 'members share a protocol: it was looked at when they joined');
    return chosen;
  }

  beginNextGeneration(nowMs: number): void {
    this.generationId++;
    this.pendingSyncs.clear();
    this.storingGeneration = null;
    this.protocolName = this.#members.size === 0 ? null : this.selectProtocol();
    this.subscribedTopics = this.#computeSubscribedTopics();
    this.moveTo(this.#members.size === 0 ? 'Empty' : 'CompletingRebalance', nowMs);
  }

  /** What a member is told of the present generation. */
  joinResult(member: Member, skipAssignment: boolean = false): JoinResult {
    const protocolName = this.protocolName;
    const isLeader = member.memberId === this.leader;
    return {
      error: null,
      memberId: member.memberId,
      generationId: this.generationId,
      protocolType: this.protocolType,
      protocolName,
      leader: this.leader,
      skipAssignment,
      members:
        isLeader && protocolName !== null
          ? [...this.#members.values()].map((each) => ({
              memberId: each.memberId,
              groupInstanceId: each.groupInstanceId,
              metadata: each.metadataOf(protocolName),
            }))
          : [],
    };
  }

  syncResult(member: Member): SyncResult {
    return {
      error: null,
      protocolType: this.protocolType,
      protocolName: this.protocolName,
      assignment: member.assignment,
    };
  }

  /** Whether offsets of the topic are in use. An unknown subscription of consumers may be to any. */
  isSubscribedTo(topic: string): boolean {
    return this.subscribedTopics?.has(topic) ?? this.usesConsumerProtocol;
  }

  hasPendingOffset(topic: string, partition: number): boolean {
    for (const pending of this.pendingOffsets.values()) if (pending.get(topic, partition) !== undefined) return true;
    return false;
  }

  /** @param assignments by member id; undefined: those that members have */
  toStored(assignments?: ReadonlyMap<string, Uint8Array>): StoredGroup {
    const { protocolName } = this;
    return {
      protocolType: this.protocolType,
      generationId: this.generationId,
      protocolName,
      leader: this.leader,
      stateTimestampMs: this.stateTimestampMs,
      members: [...this.#members.values()].map((member) => ({
        memberId: member.memberId,
        groupInstanceId: member.groupInstanceId,
        clientId: member.clientId,
        clientHost: member.clientHost,
        rebalanceTimeoutMs: member.rebalanceTimeoutMs,
        sessionTimeoutMs: member.sessionTimeoutMs,
        subscription: protocolName === null ? noBytes : member.metadataOf(protocolName),
        assignment: (assignments === undefined ? member.assignment : assignments.get(member.memberId)) ?? noBytes,
      })),
    };
  }

  /** Takes on what the log says; its offsets stay. */
  restore(stored: StoredGroup): void {
    this.#members.clear();
    this.#staticMembers.clear();
    this.#supporters.clear();
    this.state = stored.members.length === 0 ? 'Empty' : 'Stable';
    this.stateTimestampMs = stored.stateTimestampMs;
    this.generationId = stored.generationId;
    this.protocolType = stored.protocolType;
    this.protocolName = stored.protocolName;
    this.leader = stored.leader;
    for (const { subscription, ...member } of stored.members) {
      const protocols = stored.protocolName === null ? [] : [{ name: stored.protocolName, metadata: subscription }];
      this.add(new Member({ ...member, protocolType: stored.protocolType ?? '', protocols }), null);
    }
    this.subscribedTopics = this.#computeSubscribedTopics();
  }

  #computeSubscribedTopics(): ReadonlySet<string> | null {
    if (!this.usesConsumerProtocol) return null;
    const topics = new Set<string>();
    for (const member of this.#members.values()) {
      const subscribed = this.protocolName === null ? null : subscribedTopicsIn(member.metadataOf(this.protocolName));
      if (subscribed === null) return null;
      for (const topic of subscribed) topics.add(topic);
    }
    return topics;
  }

  #countSupport(member: Member, by: 1 | -1): void {
    for (const { name } of member.protocols) {
      const count = (this.#supporters.get(name) ?? 0) + by;
      if (count === 0) this.#supporters.delete(name);
      else this.#supporters.set(name, count);
    }
  }
}

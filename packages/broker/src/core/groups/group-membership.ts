import { uuid, type Clock, type Random } from '@millrace/platform';
import type { BrokerConfig } from '../broker-config.ts';
import type { ErrorName } from '../errors.ts';
import { Group } from './group.ts';
import { joinRefused, Member, syncRefused, type JoinResult, type MemberProtocol, type SyncResult } from './member.ts';
import { Rebalances, type RebalancesOptions } from './rebalances.ts';

export interface JoinRequest {
  readonly groupId: string;
  /** Empty: the member has none yet. */
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly protocolType: string;
  /** In order of preference, each name once. Kept: they must not be views on a frame. */
  readonly protocols: readonly MemberProtocol[];
  readonly reason: string | null;
  /** A member without an id is given one and told to come back with it (version 4 and later, KIP-394). */
  readonly requiresKnownMemberId: boolean;
  /** The leader may be told to keep the assignment there is (version 9, KIP-814). */
  readonly supportsSkippingAssignment: boolean;
  /** Called with a listener for the end of the client's connection; gives its removal. */
  readonly onGone?: ((listener: () => void) => () => void) | undefined;
}

export interface SyncRequest {
  readonly groupId: string;
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  readonly generationId: number;
  /** null: the member does not say (before version 5). */
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  /** By member id; from the leader. Kept: they must not be views on a frame. */
  readonly assignments: ReadonlyMap<string, Uint8Array>;
}

export interface MemberRequest {
  readonly groupId: string;
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  readonly generationId: number;
}

export interface LeavingMember {
  /** Empty: an operator removes a static member by its instance id. */
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  readonly reason: string | null;
}

export interface LeaveResult extends LeavingMember {
  readonly error: ErrorName | null;
}

export type MembershipConfig = Pick<
  BrokerConfig,
  | 'group.min.session.timeout.ms'
  | 'group.max.session.timeout.ms'
  | 'group.initial.rebalance.delay.ms'
  | 'group.max.size'
>;

export interface MembershipOptions extends RebalancesOptions {
  readonly random: Random;
  readonly config: MembershipConfig;
  /** Shared with the offsets. */
  readonly groups: Map<string, Group>;
}

/** A member that waits for its first rebalance is given up after this long: its client may have retried under another id. */
const newMemberJoinTimeoutMs = 5 * 60 * 1000;

/** Joining, syncing, heartbeats and leaving: the requests of Kafka's classic group protocol. Everything happens within the turn. */
export class GroupMembership {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #config: MembershipConfig;
  readonly #groups: Map<string, Group>;
  readonly #rebalances: Rebalances;

  constructor(options: MembershipOptions) {
    this.#clock = options.clock;
    this.#random = options.random;
    this.#config = options.config;
    this.#groups = options.groups;
    this.#rebalances = new Rebalances(options);
  }

  /** The members of a group that was read from the log have their session timeout to show that they live. */
  resume(group: Group): void {
    for (const member of group.members) this.#rebalances.extendSession(group, member.memberId, member.sessionTimeoutMs);
  }

  /** The group is deleted: its timers go. */
  forget(group: Group): void {
    this.#rebalances.abandon(group);
  }

  /** Answers what is parked and stops all timers, for good. */
  close(): void {
    this.#rebalances.close();
    for (const group of this.#groups.values()) this.#rebalances.abandon(group);
  }

  // ── JoinGroup ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Answers at once, or when the rebalance that the member takes part in ends. */
  join(request: JoinRequest, answer: (result: JoinResult) => void): void {
    const { groupId, memberId, sessionTimeoutMs } = request;
    const refuse = (error: ErrorName, id: string = memberId): void => answer(joinRefused(error, id));
    if (groupId === '') return refuse('INVALID_GROUP_ID');
    if (
      sessionTimeoutMs < this.#config['group.min.session.timeout.ms'] ||
      sessionTimeoutMs > this.#config['group.max.session.timeout.ms']
    ) {
      return refuse('INVALID_SESSION_TIMEOUT');
    }
    let group = this.#groups.get(groupId);
    if (group === undefined) {
      if (memberId !== '') return refuse('UNKNOWN_MEMBER_ID');
      group = new Group(groupId, this.#clock.now());
      if (!group.supportsProtocols(request.protocolType, request.protocols)) {
        return refuse('INCONSISTENT_GROUP_PROTOCOL');
      }
      this.#groups.set(groupId, group);
    }
    if (!this.#hasRoomFor(group, memberId)) {
      this.#rebalances.remove(group, memberId);
      this.#rebalances.completeIfAllJoined(group);
      return refuse('GROUP_MAX_SIZE_REACHED', '');
    }
    if (!group.supportsProtocols(request.protocolType, request.protocols)) {
      return refuse('INCONSISTENT_GROUP_PROTOCOL');
    }
    if (memberId === '') this.#joinNew(group, request, answer);
    else this.#joinKnown(group, request, answer);
  }

  /** The size is counted in those who take part in the rebalance, so that a limit set lower drops the last to rejoin. */
  #hasRoomFor(group: Group, memberId: string): boolean {
    const maxSize = this.#config['group.max.size'];
    const member = group.member(memberId);
    switch (group.state) {
      case 'Empty':
        return true;
      case 'PreparingRebalance':
        return (member !== undefined && member.answerJoin !== null) || group.awaitingJoinCount < maxSize;
      case 'CompletingRebalance':
      case 'Stable':
        return member !== undefined || group.memberCount < maxSize;
    }
  }

  #joinNew(group: Group, request: JoinRequest, answer: (result: JoinResult) => void): void {
    const { groupInstanceId } = request;
    const memberId = `${groupInstanceId ?? request.clientId}-${uuid(this.#random)}`;
    if (groupInstanceId !== null) {
      const predecessorId = group.staticMemberId(groupInstanceId);
      if (predecessorId === undefined) this.#addMember(group, memberId, request, answer);
      else this.#replaceStatic(group, group.member(predecessorId)!, memberId, request, answer);
    } else if (request.requiresKnownMemberId) {
      group.pendingJoins.add(memberId);
      this.#rebalances.extendSession(group, memberId, request.sessionTimeoutMs);
      answer(joinRefused('MEMBER_ID_REQUIRED', memberId));
    } else {
      this.#addMember(group, memberId, request, answer);
    }
  }

  #joinKnown(group: Group, request: JoinRequest, answer: (result: JoinResult) => void): void {
    const { memberId, groupInstanceId } = request;
    if (group.pendingJoins.has(memberId)) {
      // Only dynamic members are ever pending.
      if (groupInstanceId === null) this.#addMember(group, memberId, request, answer);
      else answer(joinRefused('UNKNOWN_MEMBER_ID', memberId));
      return;
    }
    const error = group.validateMember(memberId, groupInstanceId);
    if (error !== null) return answer(joinRefused(error, memberId));
    const member = group.member(memberId)!;
    switch (group.state) {
      case 'PreparingRebalance':
        return this.#rejoin(group, member, request, answer);
      case 'CompletingRebalance':
        // The same metadata again: the first answer was lost.
        if (member.hasProtocols(request.protocols)) return answer(group.joinResult(member));
        return this.#rejoin(group, member, request, answer);
      case 'Stable':
        // The leader rejoins when what it assigns has changed (a topic's partitions, say), though its metadata has not.
        if (member.memberId !== group.leader && member.hasProtocols(request.protocols)) {
          return answer(group.joinResult(member));
        }
        return this.#rejoin(group, member, request, answer);
      case 'Empty':
        return answer(joinRefused('UNKNOWN_MEMBER_ID', memberId));
    }
  }

  #addMember(group: Group, memberId: string, request: JoinRequest, answer: (result: JoinResult) => void): void {
    const member = new Member({ ...request, memberId });
    member.isNew = true;
    if (group.state === 'PreparingRebalance' && group.previousState === 'Empty') group.hasNewJoins = true;
    group.add(member, this.#watched(group, member, request, answer));
    this.#rebalances.extendSession(group, memberId, newMemberJoinTimeoutMs);
    this.#rebalances.start(group, `member ${memberId} joins (${request.reason ?? 'no reason given'})`);
  }

  #rejoin(group: Group, member: Member, request: JoinRequest, answer: (result: JoinResult) => void): void {
    group.update(member, request);
    group.parkJoin(member, this.#watched(group, member, request, answer));
    this.#rebalances.start(group, `member ${member.memberId} joins again (${request.reason ?? 'no reason given'})`);
  }

  #replaceStatic(
    group: Group,
    predecessor: Member,
    memberId: string,
    request: JoinRequest,
    answer: (result: JoinResult) => void,
  ): void {
    const leaderBefore = group.leader;
    this.#rebalances.endSession(group, predecessor.memberId);
    const member = group.replaceStatic(predecessor, { ...request, memberId });
    group.update(member, request);
    group.parkJoin(member, this.#watched(group, member, request, answer));
    this.#rebalances.extendSession(group, memberId, member.sessionTimeoutMs);
    switch (group.state) {
      case 'Stable': {
        if (group.selectProtocol() !== group.protocolName) {
          return this.#rebalances.prepare(group, `static member ${memberId} changes the group's protocol`);
        }
        const { generationId } = group;
        this.#rebalances.persist(group, group.toStored(), (failure) => {
          // A rebalance may have begun meanwhile: then the member takes part in it, and is answered at its end.
          if (group.state !== 'Stable' || group.generationId !== generationId) return;
          // A session that ended while the request was parked was let pass, so it starts anew.
          if (member.answerJoin !== null) this.#rebalances.extendSession(group, memberId, member.sessionTimeoutMs);
          if (failure !== null) {
            group.completeJoin(member, joinRefused(failure, ''));
          } else if (request.supportsSkippingAssignment) {
            group.completeJoin(member, group.joinResult(member, member.memberId === group.leader));
          } else {
            // An old client that hears it leads would assign; it must not, as nobody else rejoins. So it hears its old name.
            group.completeJoin(member, { ...group.joinResult(member), leader: leaderBefore, members: [] });
          }
        });
        return;
      }
      case 'CompletingRebalance':
        // The leader may be assigning to the predecessor's id.
        return this.#rebalances.prepare(group, `static member ${memberId} takes the place of ${predecessor.memberId}`);
      case 'PreparingRebalance':
        return this.#rebalances.completeIfAllJoined(group);
      case 'Empty':
        return;
    }
  }

  /** While its JoinGroup is parked, the end of the connection starts the member's session timeout again. */
  #watched(
    group: Group,
    member: Member,
    request: JoinRequest,
    answer: (result: JoinResult) => void,
  ): (result: JoinResult) => void {
    let unwatch: (() => void) | undefined;
    const watched = (result: JoinResult): void => {
      unwatch?.();
      answer(result);
    };
    unwatch = request.onGone?.(() => {
      if (member.answerJoin !== watched) return;
      member.isGone = true;
      this.#rebalances.extendSession(group, member.memberId, member.sessionTimeoutMs);
    });
    return watched;
  }

  // ── SyncGroup ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Answers at once, or when the leader's assignment is durable. */
  sync(request: SyncRequest, answer: (result: SyncResult) => void): void {
    const { memberId } = request;
    if (request.groupId === '') return answer(syncRefused('INVALID_GROUP_ID'));
    const group = this.#groups.get(request.groupId);
    if (group === undefined || group.state === 'Empty') return answer(syncRefused('UNKNOWN_MEMBER_ID'));
    const error = this.#validateSync(group, request);
    if (error !== null) return answer(syncRefused(error));
    const member = group.member(memberId)!;
    switch (group.state) {
      case 'PreparingRebalance':
        return answer(syncRefused('REBALANCE_IN_PROGRESS'));
      case 'CompletingRebalance':
        group.parkSync(member, answer);
        this.#rebalances.synced(group, memberId);
        if (memberId === group.leader && group.storingGeneration === null) {
          this.#rebalances.storeAssignments(group, request.assignments);
        }
        return;
      case 'Stable':
        this.#rebalances.synced(group, memberId);
        return answer(group.syncResult(member));
    }
  }

  #validateSync(group: Group, request: SyncRequest): ErrorName | null {
    const error = group.validateMember(request.memberId, request.groupInstanceId);
    if (error !== null) return error;
    if (request.generationId !== group.generationId) return 'ILLEGAL_GENERATION';
    const { protocolType, protocolName } = request;
    const isConsistent =
      (protocolType === null || group.protocolType === null || protocolType === group.protocolType) &&
      (protocolName === null || group.protocolName === null || protocolName === group.protocolName);
    return isConsistent ? null : 'INCONSISTENT_GROUP_PROTOCOL';
  }

  // ── Heartbeat, LeaveGroup ──────────────────────────────────────────────────────────────────────────────────────────

  heartbeat(request: MemberRequest): ErrorName | null {
    if (request.groupId === '') return 'INVALID_GROUP_ID';
    const group = this.#groups.get(request.groupId);
    if (group === undefined) return 'UNKNOWN_MEMBER_ID';
    const error = group.validateMember(request.memberId, request.groupInstanceId);
    if (error !== null) return error;
    if (request.generationId !== group.generationId) return 'ILLEGAL_GENERATION';
    this.keepAlive(group, request.memberId);
    return group.state === 'PreparingRebalance' ? 'REBALANCE_IN_PROGRESS' : null;
  }

  /** A request that proves the member lives. */
  keepAlive(group: Group, memberId: string): void {
    const member = group.member(memberId);
    if (member !== undefined) this.#rebalances.extendSession(group, memberId, member.sessionTimeoutMs);
  }

  /** Each member on its own: one that is unknown does not keep the others from leaving. */
  leave(groupId: string, leaving: readonly LeavingMember[]): readonly LeaveResult[] {
    const group = this.#groups.get(groupId);
    if (group === undefined) return leaving.map((member) => ({ ...member, error: 'UNKNOWN_MEMBER_ID' }));
    const countBefore = group.memberCount;
    const results = leaving.map((member) => ({ ...member, error: this.#leaveOne(group, member) }));
    // Members that were only pending had no part in the generation, so nothing changes for the others.
    const isSmaller = group.memberCount < countBefore;
    if (group.state === 'PreparingRebalance') this.#rebalances.completeIfAllJoined(group);
    else if (isSmaller) this.#rebalances.prepare(group, `members leave: ${describeLeaving(results)}`);
    return results;
  }

  #leaveOne(group: Group, member: LeavingMember): ErrorName | null {
    const { memberId, groupInstanceId } = member;
    if (memberId === '') {
      const staticMemberId = groupInstanceId === null ? undefined : group.staticMemberId(groupInstanceId);
      if (staticMemberId === undefined) return 'UNKNOWN_MEMBER_ID';
      this.#rebalances.remove(group, staticMemberId);
      return null;
    }
    if (!group.pendingJoins.has(memberId)) {
      const error = group.validateMember(memberId, groupInstanceId);
      if (error !== null) return error;
    }
    this.#rebalances.remove(group, memberId);
    return null;
  }
}

function describeLeaving(results: readonly LeaveResult[]): string {
  return results
    .filter((result) => result.error === null)
    .map((result) => `${result.memberId || result.groupInstanceId} (${result.reason ?? 'no reason given'})`)
    .join(', ');
}

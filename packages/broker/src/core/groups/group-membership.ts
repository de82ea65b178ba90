import { uuid, type Clock, type Logger, type Random } from '@millrace/platform';
import type { ErrorName } from '../errors.ts';
import { Group } from './group.ts';
import {
  joinRefused,
  Member,
  noBytes,
  syncRefused,
  type JoinResult,
  type MemberProtocol,
  type SyncResult,
} from './member.ts';
import type { StoredGroup } from './group-records.ts';
import { SessionTimers } from './session-timers.ts';

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

export interface MembershipConfig {
  readonly 'group.min.session.timeout.ms': number;
  readonly 'group.max.session.timeout.ms': number;
  readonly 'group.initial.rebalance.delay.ms': number;
  readonly 'group.max.size': number;
}

export interface MembershipOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly config: MembershipConfig;
  /** Shared with the offsets. */
  readonly groups: Map<string, Group>;
  /** Appends the group's record. @throws where it cannot be written; then nothing was */
  readonly store: (groupId: string, group: StoredGroup) => Promise<void>;
}

/** A member that waits for its first rebalance is given up after this long: its client may have retried under another id. */
const newMemberJoinTimeoutMs = 5 * 60 * 1000;

/** Joining, syncing, heartbeats and leaving: Kafka's classic group protocol on its timers. Everything happens within the turn. */
export class GroupMembership {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #logger: Logger;
  readonly #config: MembershipConfig;
  readonly #groups: Map<string, Group>;
  readonly #store: MembershipOptions['store'];
  readonly #sessions: SessionTimers;
  /** Cancellations of the timers that end a join phase, or a sync phase, by group. */
  readonly #joinTimers = new Map<Group, () => void>();
  readonly #syncTimers = new Map<Group, () => void>();

  constructor(options: MembershipOptions) {
    this.#clock = options.clock;
    this.#random = options.random;
    this.#logger = options.logger;
    this.#config = options.config;
    this.#groups = options.groups;
    this.#store = options.store;
    this.#sessions = new SessionTimers(options.clock, (group, memberId) => this.#expireSession(group, memberId));
  }

  /** The members of a group that was read from the log have their session timeout to show that they live. */
  resume(group: Group): void {
    for (const member of group.members) this.#sessions.extend(group, member.memberId, member.sessionTimeoutMs);
  }

  /** The group is deleted: its timers go. */
  forget(group: Group): void {
    this.#sessions.dropAll(group);
    this.#cancelTimer(this.#joinTimers, group);
    this.#cancelTimer(this.#syncTimers, group);
  }

  /** Answers what is parked and stops all timers. */
  close(): void {
    for (const group of this.#groups.values()) {
      this.forget(group);
      for (const member of group.members) {
        group.completeJoin(member, joinRefused('COORDINATOR_NOT_AVAILABLE', member.memberId));
        group.completeSync(member, syncRefused('COORDINATOR_NOT_AVAILABLE'));
      }
    }
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
      this.#remove(group, memberId);
      this.#completeJoinIfAllJoined(group);
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
      this.#sessions.extend(group, memberId, request.sessionTimeoutMs);
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
    this.#sessions.extend(group, memberId, newMemberJoinTimeoutMs);
    this.#rebalance(group, `member ${memberId} joins (${request.reason ?? 'no reason given'})`);
  }

  #rejoin(group: Group, member: Member, request: JoinRequest, answer: (result: JoinResult) => void): void {
    group.update(member, request);
    group.parkJoin(member, this.#watched(group, member, request, answer));
    this.#rebalance(group, `member ${member.memberId} joins again (${request.reason ?? 'no reason given'})`);
  }

  #replaceStatic(
    group: Group,
    predecessor: Member,
    memberId: string,
    request: JoinRequest,
    answer: (result: JoinResult) => void,
  ): void {
    const leaderBefore = group.leader;
    this.#sessions.drop(group, predecessor.memberId);
    const member = group.replaceStatic(predecessor, { ...request, memberId });
    group.update(member, request);
    group.parkJoin(member, this.#watched(group, member, request, answer));
    this.#sessions.extend(group, memberId, member.sessionTimeoutMs);
    switch (group.state) {
      case 'Stable': {
        if (group.selectProtocol() !== group.protocolName) {
          return this.#prepareRebalance(group, `static member ${memberId} changes the group's protocol`);
        }
        const { generationId } = group;
        this.#persist(group, group.toStored(), (failure) => {
          // A rebalance may have begun meanwhile: then the member takes part in it, and is answered at its end.
          if (group.state !== 'Stable' || group.generationId !== generationId) return;
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
        return this.#prepareRebalance(group, `static member ${memberId} takes the place of ${predecessor.memberId}`);
      case 'PreparingRebalance':
        return this.#completeJoinIfAllJoined(group);
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
      this.#sessions.extend(group, member.memberId, member.sessionTimeoutMs);
    });
    return watched;
  }

  // ── Rebalances ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #rebalance(group: Group, reason: string): void {
    if (group.state === 'PreparingRebalance') this.#completeJoinIfAllJoined(group);
    else this.#prepareRebalance(group, reason);
  }

  #prepareRebalance(group: Group, reason: string): void {
    if (group.state === 'CompletingRebalance') this.#refuseAssignments(group, 'REBALANCE_IN_PROGRESS');
    group.pendingSyncs.clear();
    this.#cancelTimer(this.#syncTimers, group);
    const isInitial = group.state === 'Empty';
    group.moveTo('PreparingRebalance', this.#clock.now());
    this.#logger.info({ group: group.groupId, generation: group.generationId, reason }, 'group rebalances');
    if (isInitial) {
      const delayMs = this.#config['group.initial.rebalance.delay.ms'];
      group.hasNewJoins = false;
      this.#awaitFirstMembers(group, delayMs, Math.max(0, group.rebalanceTimeoutMs - delayMs));
    } else if (group.hasAllMembersJoined) {
      this.#completeJoin(group);
    } else {
      this.#setTimer(this.#joinTimers, group, group.rebalanceTimeoutMs, () => this.#completeJoin(group));
    }
  }

  /** The first rebalance waits for the delay, and again for each delay in which someone joined, up to the rebalance timeout. */
  #awaitFirstMembers(group: Group, delayMs: number, remainingMs: number): void {
    this.#setTimer(this.#joinTimers, group, delayMs, () => {
      if (!group.hasNewJoins || remainingMs === 0) return this.#completeJoin(group);
      group.hasNewJoins = false;
      const nextMs = Math.min(this.#config['group.initial.rebalance.delay.ms'], remainingMs);
      this.#awaitFirstMembers(group, nextMs, Math.max(0, remainingMs - delayMs));
    });
  }

  #completeJoinIfAllJoined(group: Group): void {
    // The first rebalance of an empty group ends with its delay only.
    if (group.state !== 'PreparingRebalance' || group.previousState === 'Empty') return;
    if (group.hasAllMembersJoined) this.#completeJoin(group);
  }

  #completeJoin(group: Group): void {
    this.#cancelTimer(this.#joinTimers, group);
    for (const member of group.members) {
      // Static members keep their place until their session ends.
      if (member.answerJoin === null && !member.isStatic) this.#remove(group, member.memberId);
    }
    if (!group.electJoinedLeader() && group.memberCount > 0) {
      // Static members alone, and none came: their session timeouts decide.
      this.#setTimer(this.#joinTimers, group, group.rebalanceTimeoutMs, () => this.#completeJoin(group));
      return;
    }
    group.beginNextGeneration(this.#clock.now());
    if (group.state === 'Empty') {
      this.#persist(group, group.toStored(), () => {});
      return;
    }
    for (const member of group.members) {
      group.pendingSyncs.add(member.memberId);
      member.isNew = false;
    }
    const { generationId } = group;
    this.#setTimer(this.#syncTimers, group, group.rebalanceTimeoutMs, () =>
      this.#expirePendingSyncs(group, generationId),
    );
    this.#logger.info({ group: group.groupId, generation: generationId, members: group.memberCount }, 'group joined');
    for (const member of group.members) {
      this.#sessions.extend(group, member.memberId, member.sessionTimeoutMs);
      group.completeJoin(member, group.joinResult(member));
    }
  }

  #expirePendingSyncs(group: Group, generationId: number): void {
    if (generationId !== group.generationId || group.pendingSyncs.size === 0) return;
    const late = [...group.pendingSyncs];
    for (const memberId of late) this.#remove(group, memberId);
    this.#prepareRebalance(group, `members that did not sync in time: ${late.join(', ')}`);
  }

  #expireSession(group: Group, memberId: string): void {
    const member = group.member(memberId);
    if (member === undefined) {
      if (group.pendingJoins.delete(memberId)) this.#completeJoinIfAllJoined(group);
      return;
    }
    if (member.isExcusedFromHeartbeats) return;
    this.#logger.info(
      { group: group.groupId, member: memberId },
      'member sent no heartbeat within its session timeout',
    );
    this.#remove(group, memberId);
    this.#afterMemberLeft(group, `member ${memberId} sent no heartbeat`);
  }

  #remove(group: Group, memberId: string): void {
    this.#sessions.drop(group, memberId);
    group.remove(memberId);
  }

  #afterMemberLeft(group: Group, reason: string): void {
    if (group.state === 'Stable' || group.state === 'CompletingRebalance') this.#prepareRebalance(group, reason);
    else if (group.state === 'PreparingRebalance' && group.hasAllMembersJoined) this.#completeJoin(group);
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
        this.#synced(group, memberId);
        if (memberId === group.leader && group.storingGeneration === null) {
          this.#storeAssignments(group, request.assignments);
        }
        return;
      case 'Stable':
        this.#synced(group, memberId);
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

  #synced(group: Group, memberId: string): void {
    if (group.pendingSyncs.delete(memberId) && group.pendingSyncs.size === 0) {
      this.#cancelTimer(this.#syncTimers, group);
    }
  }

  #storeAssignments(group: Group, given: ReadonlyMap<string, Uint8Array>): void {
    const { generationId } = group;
    // Whom the leader forgot gets nothing, rather than an error.
    const assignments = new Map<string, Uint8Array>();
    for (const member of group.members) assignments.set(member.memberId, given.get(member.memberId) ?? noBytes);
    group.storingGeneration = generationId;
    this.#persist(group, group.toStored(assignments), (failure) => {
      // Another rebalance may have begun meanwhile: its members were told so, and this assignment is void.
      if (group.state !== 'CompletingRebalance' || group.generationId !== generationId) return;
      if (failure !== null) {
        this.#refuseAssignments(group, failure);
        this.#prepareRebalance(group, `the assignment could not be stored: ${failure}`);
        return;
      }
      group.storingGeneration = null;
      group.moveTo('Stable', this.#clock.now());
      for (const member of group.members) member.assignment = assignments.get(member.memberId) ?? noBytes;
      this.#answerSyncs(group, (member) => group.syncResult(member));
    });
  }

  #refuseAssignments(group: Group, error: ErrorName): void {
    for (const member of group.members) member.assignment = noBytes;
    this.#answerSyncs(group, () => syncRefused(error));
  }

  /** A session that ended while its SyncGroup was parked was let pass, so it starts anew. */
  #answerSyncs(group: Group, resultOf: (member: Member) => SyncResult): void {
    for (const member of group.members) {
      if (group.completeSync(member, resultOf(member))) {
        this.#sessions.extend(group, member.memberId, member.sessionTimeoutMs);
      }
    }
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
    if (member !== undefined) this.#sessions.extend(group, memberId, member.sessionTimeoutMs);
  }

  /** Each member on its own: one that is unknown does not keep the others from leaving. */
  leave(groupId: string, leaving: readonly LeavingMember[]): readonly LeaveResult[] {
    const group = this.#groups.get(groupId);
    if (group === undefined) return leaving.map((member) => ({ ...member, error: 'UNKNOWN_MEMBER_ID' }));
    const countBefore = group.memberCount;
    const results = leaving.map((member) => ({ ...member, error: this.#leaveOne(group, member) }));
    // Members that were only pending had no part in the generation, so nothing changes for the others.
    const isSmaller = group.memberCount < countBefore;
    if (group.state === 'PreparingRebalance') this.#completeJoinIfAllJoined(group);
    else if (isSmaller) this.#prepareRebalance(group, `members leave: ${describeLeaving(results)}`);
    return results;
  }

  #leaveOne(group: Group, member: LeavingMember): ErrorName | null {
    const { memberId, groupInstanceId } = member;
    if (memberId === '') {
      const staticMemberId = groupInstanceId === null ? undefined : group.staticMemberId(groupInstanceId);
      if (staticMemberId === undefined) return 'UNKNOWN_MEMBER_ID';
      this.#remove(group, staticMemberId);
      return null;
    }
    if (!group.pendingJoins.has(memberId)) {
      const error = group.validateMember(memberId, groupInstanceId);
      if (error !== null) return error;
    }
    this.#remove(group, memberId);
    return null;
  }

  // ── Storing, timers ────────────────────────────────────────────────────────────────────────────────────────────────

  #persist(group: Group, stored: StoredGroup, then: (failure: ErrorName | null) => void): void {
    const failed = (error: unknown, failure: ErrorName): void => {
      this.#logger.error({ group: group.groupId, error: String(error) }, 'the group could not be stored');
      then(failure);
    };
    let done: Promise<void>;
    try {
      done = this.#store(group.groupId, stored);
    } catch (error) {
      // What an assignor makes too large for a batch is refused each time it is tried, so the client must hear of it.
      return failed(error, 'UNKNOWN_SERVER_ERROR');
    }
    done.then(
      () => then(null),
      (error: unknown) => failed(error, 'COORDINATOR_NOT_AVAILABLE'),
    );
  }

  #setTimer(timers: Map<Group, () => void>, group: Group, delayMs: number, task: () => void): void {
    this.#cancelTimer(timers, group);
    const cancel = this.#clock.after(delayMs, () => {
      timers.delete(group);
      task();
    });
    timers.set(group, cancel);
  }

  #cancelTimer(timers: Map<Group, () => void>, group: Group): void {
    timers.get(group)?.();
    timers.delete(group);
  }
}

function describeLeaving(results: readonly LeaveResult[]): string {
  return results
    .filter((result) => result.error === null)
    .map((result) => `${result.memberId || result.groupInstanceId} (${result.reason ?? 'no reason given'})`)
    .join(', ');
}

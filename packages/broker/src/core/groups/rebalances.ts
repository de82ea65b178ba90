import type { Clock, Logger } from '@millrace/platform';
import type { ErrorName } from '../errors.ts';
import type { Group } from './group.ts';
import type { StoredGroup } from './group-records.ts';
import { joinRefused, noBytes, syncRefused, type Member, type SyncResult } from './member.ts';
import { SessionTimers } from './session-timers.ts';

export interface RebalancesOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly config: { readonly 'group.initial.rebalance.delay.ms': number };
  /** Appends the group's record. @throws where it cannot be written; then nothing was */
  readonly store: (groupId: string, group: StoredGroup) => Promise<void>;
}

/**
 * What moves a group from one generation to the next: the join phase, the sync phase, and the timers that end them where members
 * do not. Everything happens within the turn, but for what waits until it is durable.
 */
export class Rebalances {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #initialDelayMs: number;
  readonly #store: RebalancesOptions['store'];
  readonly #sessions: SessionTimers;
  /** Cancellations of the timers that end a join phase, or a sync phase, by group. */
  readonly #joinTimers = new Map<Group, () => void>();
  readonly #syncTimers = new Map<Group, () => void>();
  #isClosed = false;

  constructor(options: RebalancesOptions) {
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#initialDelayMs = options.config['group.initial.rebalance.delay.ms'];
    this.#store = options.store;
    this.#sessions = new SessionTimers(options.clock, (group, memberId) => this.#expireSession(group, memberId));
  }

  /** The member lives, and has this long to show it again. */
  extendSession(group: Group, memberId: string, timeoutMs: number): void {
    if (!this.#isClosed) this.#sessions.extend(group, memberId, timeoutMs);
  }

  /** Nobody waits for this id any longer. */
  endSession(group: Group, memberId: string): void {
    this.#sessions.drop(group, memberId);
  }

  /** What becomes of records that are on their way to the disk concerns no group any longer. */
  close(): void {
    this.#isClosed = true;
  }

  /** The group is deleted, or the broker closes: its timers go, and what is parked is answered. */
  abandon(group: Group): void {
    this.#sessions.dropAll(group);
    this.#cancelTimer(this.#joinTimers, group);
    this.#cancelTimer(this.#syncTimers, group);
    for (const member of group.members) {
      group.completeJoin(member, joinRefused('COORDINATOR_NOT_AVAILABLE', member.memberId));
      group.completeSync(member, syncRefused('COORDINATOR_NOT_AVAILABLE'));
    }
  }

  /** Someone joined: a rebalance begins, or the one under way may be complete. */
  start(group: Group, reason: string): void {
    if (group.state === 'PreparingRebalance') this.completeIfAllJoined(group);
    else this.prepare(group, reason);
  }

  /** Calls all members to join: those who wait for an assignment at once, others by their heartbeats. */
  prepare(group: Group, reason: string): void {
    if (group.state === 'CompletingRebalance') this.#refuseAssignments(group, 'REBALANCE_IN_PROGRESS');
    group.pendingSyncs.clear();
    this.#cancelTimer(this.#syncTimers, group);
    const isInitial = group.state === 'Empty';
    group.moveTo('PreparingRebalance', this.#clock.now());
    this.#logger.info({ group: group.groupId, generation: group.generationId, reason }, 'group rebalances');
    if (isInitial) {
      const delayMs = this.#initialDelayMs;
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
      const nextMs = Math.min(this.#initialDelayMs, remainingMs);
      this.#awaitFirstMembers(group, nextMs, Math.max(0, remainingMs - delayMs));
    });
  }

  /** Ends the join phase if nobody is missing. */
  completeIfAllJoined(group: Group): void {
    // The first rebalance of an empty group ends with its delay only.
    if (group.state !== 'PreparingRebalance' || group.previousState === 'Empty') return;
    if (group.hasAllMembersJoined) this.#completeJoin(group);
  }

  #completeJoin(group: Group): void {
    this.#cancelTimer(this.#joinTimers, group);
    for (const member of group.members) {
      // Static members keep their place until their session ends.
      if (member.answerJoin === null && !member.isStatic) this.remove(group, member.memberId);
    }
    if (!group.electJoinedLeader() && group.memberCount > 0) {
      // Static members alone, and none came: their session timeouts decide.
      this.#setTimer(this.#joinTimers, group, group.rebalanceTimeoutMs, () => this.#completeJoin(group));
      return;
    }
    group.beginNextGeneration(this.#clock.now());
    if (group.state === 'Empty') {
      this.persist(group, group.toStored(), () => {});
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
    for (const memberId of late) this.remove(group, memberId);
    this.prepare(group, `members that did not sync in time: ${late.join(', ')}`);
  }

  #expireSession(group: Group, memberId: string): void {
    const member = group.member(memberId);
    if (member === undefined) {
      if (group.pendingJoins.delete(memberId)) this.completeIfAllJoined(group);
      return;
    }
    if (member.isExcusedFromHeartbeats) return;
    this.#logger.info(
      { group: group.groupId, member: memberId },
      'member sent no heartbeat within its session timeout',
    );
    this.remove(group, memberId);
    this.#afterMemberLeft(group, `member ${memberId} sent no heartbeat`);
  }

  /** Forgets a member and its session. What that means for the others is the caller's to say. */
  remove(group: Group, memberId: string): void {
    this.#sessions.drop(group, memberId);
    group.remove(memberId);
  }

  #afterMemberLeft(group: Group, reason: string): void {
    if (group.state === 'Stable' || group.state === 'CompletingRebalance') this.prepare(group, reason);
    else this.completeIfAllJoined(group);
  }

  // ── Assignments ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A member has asked for its assignment. */
  synced(group: Group, memberId: string): void {
    if (group.pendingSyncs.delete(memberId) && group.pendingSyncs.size === 0) {
      this.#cancelTimer(this.#syncTimers, group);
    }
  }

  /** The leader has assigned: once that is durable, the group is stable and all who wait are answered. */
  storeAssignments(group: Group, given: ReadonlyMap<string, Uint8Array>): void {
    const { generationId } = group;
    // Whom the leader forgot gets nothing, rather than an error.
    const assignments = new Map<string, Uint8Array>();
    for (const member of group.members) assignments.set(member.memberId, given.get(member.memberId) ?? noBytes);
    group.storingGeneration = generationId;
    this.persist(group, group.toStored(assignments), (failure) => {
      // Another rebalance may have begun meanwhile: its members were told so, and this assignment is void.
      if (group.state !== 'CompletingRebalance' || group.generationId !== generationId) return;
      if (failure !== null) {
        this.#refuseAssignments(group, failure);
        this.prepare(group, `the assignment could not be stored: ${failure}`);
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

  // ── Storing, timers ────────────────────────────────────────────────────────────────────────────────────────────────

  /** Writes the group down, then tells how it went; not after the close. */
  persist(group: Group, stored: StoredGroup, then: (failure: ErrorName | null) => void): void {
    const settled = (failure: ErrorName | null): void => {
      if (!this.#isClosed) then(failure);
    };
    const failed = (error: unknown, failure: ErrorName): void => {
      this.#logger.error({ group: group.groupId, error: String(error) }, 'the group could not be stored');
      settled(failure);
    };
    let done: Promise<void>;
    try {
      done = this.#store(group.groupId, stored);
    } catch (error) {
      // What an assignor makes too large for a batch is refused each time it is tried, so the client must hear of it.
      return failed(error, 'UNKNOWN_SERVER_ERROR');
    }
    done.then(
      () => settled(null),
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

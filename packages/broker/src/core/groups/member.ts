import type { ErrorName } from '../errors.ts';

/** A way to assign that a member knows, and what it has to say to it. */
export interface MemberProtocol {
  readonly name: string;
  readonly metadata: Uint8Array;
}

export interface JoinResult {
  readonly error: ErrorName | null;
  readonly memberId: string;
  /** −1: none. */
  readonly generationId: number;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  /** null: none, or a refusal. */
  readonly leader: string | null;
  /** The leader is told who is in the group, but keeps the assignment there is (KIP-814). */
  readonly skipAssignment: boolean;
  /** For the leader alone; empty for others. */
  readonly members: readonly {
    readonly memberId: string;
    readonly groupInstanceId: string | null;
    readonly metadata: Uint8Array;
  }[];
}

export interface SyncResult {
  readonly error: ErrorName | null;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly assignment: Uint8Array;
}

export const noBytes: Uint8Array = new Uint8Array(0);

export function joinRefused(error: ErrorName, memberId: string): JoinResult {
  return {
    error,
    memberId,
    generationId: -1,
    protocolType: null,
    protocolName: null,
    leader: null,
    skipAssignment: false,
    members: [],
  };
}

export function syncRefused(error: ErrorName): SyncResult {
  return { error, protocolType: null, protocolName: null, assignment: noBytes };
}

export interface MemberOptions {
  readonly memberId: string;
  /** Static members (KIP-345) keep their place over a restart. */
  readonly groupInstanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly rebalanceTimeoutMs: number;
  readonly sessionTimeoutMs: number;
  readonly protocolType: string;
  readonly protocols: readonly MemberProtocol[];
  readonly assignment?: Uint8Array | undefined;
}

/** One member of a group. What it waits for is parked here: at most one JoinGroup and one SyncGroup. */
export class Member {
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly protocolType: string;
  rebalanceTimeoutMs: number;
  sessionTimeoutMs: number;
  protocols: readonly MemberProtocol[];
  assignment: Uint8Array;
  /** Has not been through a rebalance yet: it may not know its id, so it cannot send heartbeats. */
  isNew = false;
  /** Its client went away while it waited for a rebalance: waiting no longer shields it from its session timeout. */
  isGone = false;
  /** Answers the parked JoinGroup; null: none is parked. `Group` counts them, so only `Group` sets it. */
  answerJoin: ((result: JoinResult) => void) | null = null;
  /** Answers the parked SyncGroup; null: none is parked. */
  answerSync: ((result: SyncResult) => void) | null = null;

  constructor(options: MemberOptions) {
    this.memberId = options.memberId;
    this.groupInstanceId = options.groupInstanceId;
    this.clientId = options.clientId;
    this.clientHost = options.clientHost;
    this.protocolType = options.protocolType;
    this.rebalanceTimeoutMs = options.rebalanceTimeoutMs;
    this.sessionTimeoutMs = options.sessionTimeoutMs;
    this.protocols = options.protocols;
    this.assignment = options.assignment ?? noBytes;
  }

  get isStatic(): boolean {
    return this.groupInstanceId !== null;
  }

  /** A parked request proves that the member lives, except for new ones: those are timed out lest a retry leaves a ghost. */
  get isExcusedFromHeartbeats(): boolean {
    return !this.isNew && !this.isGone && (this.answerJoin !== null || this.answerSync !== null);
  }

  metadataOf(protocolName: string): Uint8Array {
    return this.protocols.find((protocol) => protocol.name === protocolName)?.metadata ?? noBytes;
  }

  /** Whether these are the protocols it has now, in the same order, byte for byte. */
  hasProtocols(protocols: readonly MemberProtocol[]): boolean {
    return (
      protocols.length === this.protocols.length &&
      protocols.every((protocol, index) => {
        const own = this.protocols[index]!;
        return own.name === protocol.name && Buffer.compare(own.metadata, protocol.metadata) === 0;
      })
    );
  }

  /** The first of its protocols, in its order of preference, that all members know. */
  voteAmong(candidates: ReadonlySet<string>): string | undefined {
    return this.protocols.find((protocol) => candidates.has(protocol.name))?.name;
  }
}

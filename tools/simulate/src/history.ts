/** What clients were told, to be held against what the log has in the end. */
export interface Sent {
  readonly session: string;
  readonly topic: string;
  readonly partition: number;
  /** Counts a session's records in this partition. */
  readonly n: number;
  readonly value: string;
  /** `pending`: nobody knows. */
  outcome: 'pending' | 'acknowledged' | 'failed';
  /** Where it was said to be. */
  offset: number;
}

export interface SentTransaction {
  readonly values: readonly { readonly topic: string; readonly partition: number; readonly value: string }[];
  outcome: 'pending' | 'committed' | 'aborted';
}

/** A record that a member of the group was handed. */
export interface Seen {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly value: string | null;
}

/** A commit of the group that was acknowledged. Its moments tell which of two was over when the other began. */
export interface Commit {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly askedAt: number;
  readonly acknowledgedAt: number;
}

export class History {
  readonly sent: Sent[] = [];
  readonly transactions: SentTransaction[] = [];
  /** The last acknowledged value of each key of the compacted topic, and those whose outcome is unknown since. */
  readonly keys: Map<string, { acknowledged: string | undefined; readonly maybe: Set<string> }> = new Map();
  readonly seen: Seen[] = [];
  readonly commits: Commit[] = [];
  #moment = 0;

  /** Larger at each call: which of two things was told first. */
  moment(): number {
    return ++this.#moment;
  }
}

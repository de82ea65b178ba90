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

export class History {
  readonly sent: Sent[] = [];
  readonly transactions: SentTransaction[] = [];
  /** The last acknowledged value of each key of the compacted topic, and those whose outcome is unknown since. */
  readonly keys: Map<string, { acknowledged: string | undefined; readonly maybe: Set<string> }> = new Map();
  /** Acknowledged commits of the reading group, by partition, in order. */
  readonly commits: Map<number, number[]> = new Map();
}

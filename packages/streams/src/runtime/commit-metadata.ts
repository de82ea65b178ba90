/**
 * What goes with each committed offset. It commits and rolls back with the offset, so it describes the state at exactly that
 * input position, and it follows the partition to its next owner.
 */
export interface CommitMetadata {
  /** Hash of the plan whose state this is. Another plan must not go on from here. */
  readonly planHash: string;
  /** Stream time of the task, −1 before its first record: it must not fall back at a restart, or a late record would count as timely. */
  readonly streamTimeMs: number;
  /** When it was committed, by the committer's wall clock. */
  readonly committedAtMs: number;
  /** Grows whenever the partition changes hands: sinks refuse a smaller one. */
  readonly epoch: number;
  /**
   * At least once: end of each changelog, by store, that belongs to this position. What lies beyond came from a commit that
   * did not get to its offsets, and is not applied. Exactly once: none, an aborted transaction is not read at all.
   */
  readonly changelogEnds: Readonly<Record<string, number>> | undefined;
}

const version = 'm1';

/**
 * One line of text, since other tools show it: `m1 <plan> <stream time> <committed at> <epoch> [store=end …]`. Kafka allows 4,096 bytes
 * (`offset.metadata.max.bytes`).
 */
export function encodeCommitMetadata(metadata: CommitMetadata): string {
  const ends = Object.entries(metadata.changelogEnds ?? {}).map(
    ([store, end]) => ` ${encodeURIComponent(store)}=${end}`,
  );
  return `${version} ${metadata.planHash} ${metadata.streamTimeMs} ${metadata.committedAtMs} ${metadata.epoch}${ends.join('')}`;
}

/** undefined: not ours, as when an operator has set the group's offsets by hand. */
export function decodeCommitMetadata(text: string | undefined): CommitMetadata | undefined {
  const [tag, planHash, streamTime, committedAt, epochText, ...ends] = text?.split(' ') ?? [];
  if (tag !== version || planHash === undefined) return undefined;
  const streamTimeMs = Number(streamTime);
  const committedAtMs = Number(committedAt);
  const epoch = Number(epochText);
  if (Number.isNaN(streamTimeMs + committedAtMs + epoch)) return undefined;
  const entries = ends.map((end) => [decodeURIComponent(end.split('=')[0]!), Number(end.split('=')[1])] as const);
  const changelogEnds = entries.length === 0 ? undefined : Object.fromEntries(entries);
  return { planHash, streamTimeMs, committedAtMs, epoch, changelogEnds };
}

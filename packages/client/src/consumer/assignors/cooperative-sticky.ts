import type { Assignor, AssignorMember, TopicPartitionId } from '../../bytes/types.ts';

/**
 * Java's CooperativeStickyAssignor on the wire: members keep what they own as far as balance allows, and a partition that
 * changes hands is given to nobody in this round; its owner lets go of it and rejoins, and then it is given (KIP-429).
 *
 * Balance: of two members that could both have a partition, neither has two more than the other.
 */
export const cooperativeSticky: Assignor = {
  name: 'cooperative-sticky',
  isCooperative: true,
  assign(members, partitionsOf) {
    const shares = members
      .map((member) => new Share(member, partitionsOf))
      .sort((a, b) => (a.member.memberId < b.member.memberId ? -1 : 1));
    const claimants = claimantsOf(shares);
    const free = keepOwned(shares, claimants, partitionsOf);
    for (const partition of free) give(partition, shares);
    balance(shares);
    return new Map(shares.map((share) => [share.member.memberId, share.withoutClaimed(claimants)]));
  },
};

class Share {
  readonly member: AssignorMember;
  readonly topics: ReadonlySet<string>;
  readonly partitions: Map<string, TopicPartitionId> = new Map();

  constructor(member: AssignorMember, partitionsOf: ReadonlyMap<string, number>) {
    this.member = member;
    this.topics = new Set(member.topics.filter((topic) => partitionsOf.has(topic)));
  }

  /** What may be handed over now: its own, and what nobody else says to hold. */
  withoutClaimed(claimants: ReadonlyMap<string, readonly Share[]>): readonly TopicPartitionId[] {
    const mine: TopicPartitionId[] = [];
    for (const [key, partition] of this.partitions) {
      if (claimants.get(key)?.every((claimant) => claimant === this) ?? true) mine.push(partition);
    }
    return mine.sort(byPlace);
  }
}

function claimantsOf(shares: readonly Share[]): Map<string, Share[]> {
  const claimants = new Map<string, Share[]>();
  for (const share of shares) {
    for (const partition of share.member.ownedPartitions) {
      const key = keyOf(partition);
      const others = claimants.get(key);
      if (others === undefined) claimants.set(key, [share]);
      else others.push(share);
    }
  }
  return claimants;
}

/**
 * The rightful owner: of several claimants the one with the latest generation, since a member that missed rebalances still
 * names what was taken from it. With equal generations there is none, and all let go.
 */
function ownerOf(claimants: readonly Share[] | undefined): Share | undefined {
  if (claimants === undefined) return undefined;
  const latest = Math.max(...claimants.map((share) => share.member.generationId));
  const rightful = claimants.filter((share) => share.member.generationId === latest);
  return rightful.length === 1 ? rightful[0] : undefined;
}

/** Leaves with each member what it holds, and gives back what nobody rightly holds. */
function keepOwned(
  shares: readonly Share[],
  claimants: ReadonlyMap<string, readonly Share[]>,
  partitionsOf: ReadonlyMap<string, number>,
): TopicPartitionId[] {
  const free: TopicPartitionId[] = [];
  const subscribed = new Set(shares.flatMap((share) => [...share.topics]));
  for (const topic of [...subscribed].sort()) {
    for (let partition = 0; partition < partitionsOf.get(topic)!; partition++) {
      const place = { topic, partition };
      const owner = ownerOf(claimants.get(keyOf(place)));
      if (owner?.topics.has(topic)) owner.partitions.set(keyOf(place), place);
      else free.push(place);
    }
  }
  return free;
}

/** To the one who has least, of those who may have it. */
function give(partition: TopicPartitionId, shares: readonly Share[]): void {
  let least: Share | undefined;
  for (const share of shares) {
    if (!share.topics.has(partition.topic)) continue;
    if (least === undefined || share.partitions.size < least.partitions.size) least = share;
  }
  least?.partitions.set(keyOf(partition), partition);
}

/** Moves single partitions from those who have most to those who have least, until no move narrows the difference. */
function balance(shares: readonly Share[]): void {
  for (let hasMoved = true; hasMoved;) {
    hasMoved = false;
    const fullest = [...shares].sort((a, b) => b.partitions.size - a.partitions.size);
    for (const from of fullest) {
      for (const [key, partition] of [...from.partitions].reverse()) {
        let least: Share | undefined;
        for (const share of shares) {
          if (!share.topics.has(partition.topic)) continue;
          if (least === undefined || share.partitions.size < least.partitions.size) least = share;
        }
        if (least === undefined || from.partitions.size - least.partitions.size < 2) continue;
        from.partitions.delete(key);
        least.partitions.set(key, partition);
        hasMoved = true;
      }
    }
  }
}

function keyOf({ topic, partition }: TopicPartitionId): string {
  return `${partition}/${topic}`;
}

function byPlace(a: TopicPartitionId, b: TopicPartitionId): number {
  if (a.topic !== b.topic) return a.topic < b.topic ? -1 : 1;
  return a.partition - b.partition;
}

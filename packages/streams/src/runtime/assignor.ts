import type { Assignor, AssignorMember, TopicPartitionId } from '@millrace/client/bytes';
import { MissingTopicError } from './errors.ts';

/** The inputs of one sub-topology. Its task number p reads partition p of each of them. */
export interface SubtopologySources {
  readonly subtopology: number;
  readonly topics: readonly string[];
  /** Sources that are topic patterns: all topics they match belong to the sub-topology. */
  readonly patterns: readonly RegExp[];
}

/** A sub-topology on one partition number: what is assigned, moved and committed as a whole. */
export interface TaskId {
  readonly subtopology: number;
  readonly partition: number;
}

/** Name in the group protocol. Members that know another assignor cannot join the group at all. */
export const assignorName = 'millrace-streams';

interface AssignableTask extends TaskId {
  readonly inputs: readonly TopicPartitionId[];
}

/**
 * Deals tasks to the members of an application's group: co-partitioned inputs stay together, a task stays where it is as long
 * as no member has two more than another, and what must move is withheld for one round, until its owner has let go of it
 * (KIP-429).
 *
 * Each member sends the hash of its plan. One with another plan than the leader's gets nothing: it finds the group's hash with
 * the committed offsets, and fails there (`INCOMPATIBLE_PLAN`). A source that was deleted fails its group's leader, one after the
 * other (`MISSING_TOPIC`): better than an app that silently has nothing to do.
 */
export function streamsAssignor(options: {
  readonly planHash: string;
  readonly sources: readonly SubtopologySources[];
}): Assignor {
  const { planHash, sources } = options;
  return {
    name: assignorName,
    isCooperative: true,
    userData: () => new TextEncoder().encode(JSON.stringify({ version: 1, plan: planHash })),
    assign(members, partitionsOf) {
      const missing = sources.flatMap(({ topics }) => topics.filter((topic) => !partitionsOf.has(topic)));
      if (missing.length > 0) throw new MissingTopicError(missing, 'reads');
      const compatible = members.filter((member) => planOf(member) === planHash);
      const assignment = new Map<string, readonly TopicPartitionId[]>(members.map(({ memberId }) => [memberId, []]));
      for (const [memberId, inputs] of deal(tasksOf(sources, partitionsOf), compatible)) {
        assignment.set(memberId, inputs);
      }
      return assignment;
    },
  };
}

/** Every task there is, given how many partitions the topics have. */
export function tasksOf(
  sources: readonly SubtopologySources[],
  partitionsOf: ReadonlyMap<string, number>,
): readonly AssignableTask[] {
  return sources.flatMap((source) => {
    const topics = topicsOf(source, partitionsOf.keys());
    const count = Math.max(0, ...topics.map((topic) => partitionsOf.get(topic) ?? 0));
    return Array.from({ length: count }, (_, partition) => ({
      subtopology: source.subtopology,
      partition,
      inputs: topics
        .filter((topic) => partition < (partitionsOf.get(topic) ?? 0))
        .map((topic) => ({ topic, partition })),
    }));
  });
}

/** The topics of a sub-topology among those that exist, sorted. */
export function topicsOf(source: SubtopologySources, existing: Iterable<string>): readonly string[] {
  const topics = [...existing].filter(
    (topic) => source.topics.includes(topic) || source.patterns.some((pattern) => matches(pattern, topic)),
  );
  return topics.sort();
}

/**
 * A pattern must match the whole name: `/orders/` is not meant to take `orders-dead-letters` in. Repartition topics and changelogs
 * are no one's source but their app's.
 */
export function matches(pattern: RegExp, topic: string): boolean {
  if (topic.endsWith('-repartition') || topic.endsWith('-changelog')) return false;
  return new RegExp(`^(?:${pattern.source})$`, pattern.flags.replace(/[gy]/g, '')).test(topic);
}

function planOf({ userData }: AssignorMember): string | undefined {
  if (userData === null) return undefined;
  try {
    const data: unknown = JSON.parse(new TextDecoder().decode(userData));
    return typeof data === 'object' && data !== null && 'plan' in data && typeof data.plan === 'string'
      ? data.plan
      : undefined;
  } catch {
    return undefined; // no member of ours: it gets nothing
  }
}

function deal(
  tasks: readonly AssignableTask[],
  members: readonly AssignorMember[],
): ReadonlyMap<string, readonly TopicPartitionId[]> {
  if (members.length === 0) return new Map();
  const owners = currentOwners(members);
  const ownerOf = (task: AssignableTask): string | undefined => owners.get(idOf(task.inputs[0]!))?.memberId;

  const held = new Map(members.map(({ memberId }) => [memberId, 0]));
  for (const task of tasks) {
    const owner = ownerOf(task);
    if (owner !== undefined) held.set(owner, held.get(owner)! + 1);
  }
  // Those who hold most come first: the remainder of the division stays with them.
  const order = [...members].sort(
    (a, b) => held.get(b.memberId)! - held.get(a.memberId)! || (a.memberId < b.memberId ? -1 : 1),
  );
  const share = Math.floor(tasks.length / members.length);
  const remainder = tasks.length % members.length;
  const quota = new Map(order.map(({ memberId }, index) => [memberId, share + (index < remainder ? 1 : 0)]));

  const dealt = new Map<string, AssignableTask[]>(order.map(({ memberId }) => [memberId, []]));
  const homeless: AssignableTask[] = [];
  for (const task of tasks) {
    const mine = dealt.get(ownerOf(task) ?? '');
    if (mine !== undefined && mine.length < quota.get(ownerOf(task)!)!) mine.push(task);
    else homeless.push(task);
  }
  for (const task of homeless) {
    const { memberId } = order.reduce((best, member) =>
      room(dealt, quota, member.memberId) > room(dealt, quota, best.memberId) ? member : best,
    );
    dealt.get(memberId)!.push(task);
  }

  return new Map(
    [...dealt].map(([memberId, mine]) => [
      memberId,
      mine
        .filter((task) => task.inputs.every((input) => (owners.get(idOf(input))?.memberId ?? memberId) === memberId))
        .flatMap((task) => task.inputs),
    ]),
  );
}

function room(
  dealt: ReadonlyMap<string, readonly AssignableTask[]>,
  quota: ReadonlyMap<string, number>,
  memberId: string,
): number {
  return quota.get(memberId)! - dealt.get(memberId)!.length;
}

/** Who owns each partition. Two may claim it, one of them from a generation that is over: the later one is right. */
function currentOwners(members: readonly AssignorMember[]): ReadonlyMap<string, AssignorMember> {
  const owners = new Map<string, AssignorMember>();
  for (const member of members) {
    for (const partition of member.ownedPartitions) {
      const other = owners.get(idOf(partition));
      if (other === undefined || member.generationId > other.generationId) owners.set(idOf(partition), member);
    }
  }
  return owners;
}

function idOf({ topic, partition }: TopicPartitionId): string {
  return `${topic}-${partition}`;
}

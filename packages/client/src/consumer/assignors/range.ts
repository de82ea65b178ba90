import type { Assignor, AssignorMember, TopicPartitionId } from '../../bytes/types.ts';

/**
 * Java's RangeAssignor: each topic by itself, its partitions in order, shared out in runs over its members in order of their
 * instance ids or member ids. So topics with equal partition counts and subscribers are co-partitioned.
 */
export const range: Assignor = {
  name: 'range',
  isCooperative: false,
  assign(members, partitionsOf) {
    const assignment = new Map<string, TopicPartitionId[]>(members.map((member) => [member.memberId, []]));
    const ordered = [...members].sort(byIdentity);
    for (const [topic, partitionCount] of partitionsOf) {
      const subscribers = ordered.filter((member) => member.topics.includes(topic));
      let next = 0;
      for (const [i, { memberId }] of subscribers.entries()) {
        const more = i < partitionCount % subscribers.length ? 1 : 0;
        const count = Math.floor(partitionCount / subscribers.length) + more;
        for (let n = 0; n < count; n++) assignment.get(memberId)!.push({ topic, partition: next++ });
      }
    }
    return assignment;
  },
};

/** Java's MemberInfo: static members first, by instance id; then the others, by member id. */
function byIdentity(a: AssignorMember, b: AssignorMember): number {
  if (a.groupInstanceId !== null && b.groupInstanceId !== null) return compare(a.groupInstanceId, b.groupInstanceId);
  if (a.groupInstanceId !== null) return -1;
  if (b.groupInstanceId !== null) return 1;
  return compare(a.memberId, b.memberId);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

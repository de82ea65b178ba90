import { decodeMessage, encodeMessage, messageVersion, recordSchemas } from '@millrace/protocol';
import type { Assignor, AssignorMember, TopicPartitionId } from '../bytes/types.ts';

const { consumerProtocolSubscription, consumerProtocolAssignment } = recordSchemas;

/** What a member tells the group's leader (protocol type `consumer`). */
export function encodeSubscription(
  assignor: Assignor,
  topics: readonly string[],
  owned: readonly TopicPartitionId[],
  generationId: number,
): Uint8Array {
  return encodeMessage(consumerProtocolSubscription, 3, {
    topics: [...topics].sort(),
    userData: assignor.userData?.(owned) ?? null,
    ownedPartitions: byTopic(owned),
    generationId,
  });
}

/** Members of other clients may speak older versions: what those lack is empty. */
export function decodeSubscription(
  memberId: string,
  groupInstanceId: string | null,
  metadata: Uint8Array,
): AssignorMember {
  const subscription = decodeMessage(consumerProtocolSubscription, versionOf(metadata), metadata);
  return {
    memberId,
    groupInstanceId,
    topics: subscription.topics,
    ownedPartitions: flat(subscription.ownedPartitions),
    generationId: subscription.generationId,
    userData: subscription.userData,
  };
}

/** Version 0 is what every client reads; the later ones only restate it. */
export function encodeAssignment(partitions: readonly TopicPartitionId[]): Uint8Array {
  return encodeMessage(consumerProtocolAssignment, 0, { assignedPartitions: byTopic(partitions) });
}

/** No bytes: the leader gave this member nothing. */
export function decodeAssignment(assignment: Uint8Array): TopicPartitionId[] {
  if (assignment.length === 0) return [];
  return flat(decodeMessage(consumerProtocolAssignment, versionOf(assignment), assignment).assignedPartitions);
}

/** The layouts only grow at the end, so a version that is newer than ours reads as our newest. */
function versionOf(bytes: Uint8Array): number {
  return Math.min(messageVersion(bytes), 3);
}

function byTopic(partitions: readonly TopicPartitionId[]): { topic: string; partitions: number[] }[] {
  const topics = new Map<string, number[]>();
  for (const { topic, partition } of partitions) {
    const ofTopic = topics.get(topic);
    if (ofTopic === undefined) topics.set(topic, [partition]);
    else ofTopic.push(partition);
  }
  return [...topics].map(([topic, ofTopic]) => ({ topic, partitions: ofTopic }));
}

function flat(topics: readonly { topic: string; partitions: number[] }[]): TopicPartitionId[] {
  return topics.flatMap(({ topic, partitions }) => partitions.map((partition) => ({ topic, partition })));
}

import { RequestRefusedError, type ErrorName } from '../errors.ts';
import type { Group } from './group.ts';
import type { CommitRequest, FetchedOffset } from './offset-requests.ts';
import { OffsetMap, type CommittedOffset } from './offsets.ts';

/** Kafka's order: a member is validated before its generation; a rebalance in its last phase refuses what else is right. */
export function validateCommit(group: Group, request: CommitRequest): ErrorName | null {
  const { generationId, memberId, groupInstanceId } = request;
  if (generationId < 0 && group.state === 'Empty') return null;
  if (generationId < 0 && memberId === '' && groupInstanceId === null) return 'UNKNOWN_MEMBER_ID';
  const error = group.validateMember(memberId, groupInstanceId);
  if (error !== null) return error;
  if (generationId !== group.generationId) return 'ILLEGAL_GENERATION';
  return group.state === 'CompletingRebalance' ? 'REBALANCE_IN_PROGRESS' : null;
}

/** Producers before version 3 say nothing of a member; who says so is held to it (KIP-447). */
export function validateTransactionalCommit(group: Group, request: CommitRequest): ErrorName | null {
  const { generationId, memberId, groupInstanceId } = request;
  if (generationId < 0 && group.state === 'Empty') return null;
  if (generationId < 0 && memberId === '' && groupInstanceId === null) return null;
  const error = group.validateMember(memberId, groupInstanceId);
  if (error !== null) return error;
  return generationId === group.generationId ? null : 'ILLEGAL_GENERATION';
}

/** From when the retention of an offset counts; null: the group is at work, nothing expires. */
export function retentionBegan(group: Group, value: CommittedOffset): number | null {
  if (group.protocolType === null) return value.commitTimestampMs;
  if (group.state === 'Empty') return group.stateTimestampMs ?? value.commitTimestampMs;
  const knowsTopics = group.usesConsumerProtocol && group.subscribedTopics !== null;
  return group.state === 'Stable' && knowsTopics ? value.commitTimestampMs : null;
}

export function fetchOne(group: Group, topic: string, partition: number, requiresStable: boolean): FetchedOffset {
  if (requiresStable && group.hasPendingOffset(topic, partition)) {
    return { ...notCommitted(topic, partition), error: 'UNSTABLE_OFFSET_COMMIT' };
  }
  const committed = group.offsets.get(topic, partition);
  if (committed === undefined) return notCommitted(topic, partition);
  const { offset, leaderEpoch, metadata } = committed;
  return { topic, partition, error: null, offset, leaderEpoch, metadata };
}

export function notCommitted(topic: string, partition: number): FetchedOffset {
  return { topic, partition, error: null, offset: -1, leaderEpoch: -1, metadata: '' };
}

/** Committed and pending ones, each partition once. */
export function allOffsetsOf(group: Group): { readonly topic: string; readonly partition: number }[] {
  const found = new OffsetMap();
  for (const offsets of [group.offsets, ...group.pendingOffsets.values()]) {
    for (const [topic, partition, value] of offsets) found.set(topic, partition, value);
  }
  return [...found].map(([topic, partition]) => ({ topic, partition }));
}

export function refused(code: ErrorName, groupId: string): RequestRefusedError {
  return new RequestRefusedError(
    code,
    `${explanations[code] ?? 'The group cannot take the request.'} Group: '${groupId}'.`,
    {
      context: { groupId },
    },
  );
}

const explanations: Partial<Record<ErrorName, string>> = {
  GROUP_ID_NOT_FOUND: 'There is no such group: commit something, or join it.',
  ILLEGAL_GENERATION: 'The generation is not the present one: join the group again.',
  UNKNOWN_MEMBER_ID: 'The group has no such member: join it again.',
  FENCED_INSTANCE_ID: 'Another member has taken over this instance id: stop one of the two.',
  REBALANCE_IN_PROGRESS: 'The group is rebalancing: sync, then commit again.',
  NON_EMPTY_GROUP: 'The group has members: stop them first.',
  INVALID_GROUP_ID: 'A group id must not be empty.',
};

import type { Logger } from '@millrace/platform';
import { apis } from '@millrace/protocol';
import type { GroupCoordinator } from '../core/groups/group-coordinator.ts';
import { byTopic } from './by-topic.ts';
import { codeOf, errorCodeOf } from './error-codes.ts';
import { handlerOf, type Handler } from './handler.ts';

/** From 9 on a group that does not exist is told from a generation that is over. */
const firstVersionWithGroupNotFound = 9;

/** OffsetCommit. An error of the whole request stands at each partition: the response has no other place for it. */
export function offsetCommit(groups: GroupCoordinator, logger: Logger): Handler {
  return handlerOf(apis.offsetCommit, [2, 9], async (request, { apiVersion }) => {
    const offsets = request.topics.flatMap(({ name, partitions }) =>
      partitions.map((partition) => ({
        topic: name,
        partition: partition.partitionIndex,
        offset: partition.committedOffset,
        leaderEpoch: partition.committedLeaderEpoch,
        metadata: partition.committedMetadata,
      })),
    );
    try {
      const results = await groups.commitOffsets({
        groupId: request.groupId,
        generationId: request.generationIdOrMemberEpoch,
        memberId: request.memberId,
        groupInstanceId: request.groupInstanceId,
        retentionMs: request.retentionTimeMs < 0 ? null : request.retentionTimeMs,
        tellsGroupNotFound: apiVersion >= firstVersionWithGroupNotFound,
        offsets,
      });
      return {
        topics: byTopic(results, ({ partition, error }) => ({ partitionIndex: partition, errorCode: codeOf(error) })),
      };
    } catch (error) {
      const errorCode = errorCodeOf(error, logger);
      return { topics: byTopic(offsets, ({ partition }) => ({ partitionIndex: partition, errorCode })) };
    }
  });
}

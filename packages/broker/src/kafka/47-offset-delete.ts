import type { Logger } from '@millrace/platform';
import { apis } from '@millrace/protocol';
import type { GroupCoordinator } from '../core/groups/group-coordinator.ts';
import { byTopic } from './by-topic.ts';
import { codeOf, errorCodeOf, errorCodes } from './error-codes.ts';
import { handlerOf, type Handler } from './handler.ts';

/** OffsetDelete (KIP-496). */
export function offsetDelete(groups: GroupCoordinator, logger: Logger): Handler {
  return handlerOf(apis.offsetDelete, [0, 0], async (request) => {
    const partitions = request.topics.flatMap(({ name, partitions: asked }) =>
      asked.map(({ partitionIndex }) => ({ topic: name, partition: partitionIndex })),
    );
    try {
      const results = await groups.deleteOffsets(request.groupId, partitions);
      return {
        errorCode: errorCodes.NONE,
        topics: byTopic(results, ({ partition, error }) => ({ partitionIndex: partition, errorCode: codeOf(error) })),
      };
    } catch (error) {
      return { errorCode: errorCodeOf(error, logger) };
    }
  });
}

import { apis } from '@millrace/protocol';
import type { GroupCoordinator } from '../core/groups/group-coordinator.ts';
import type { FetchedOffset } from '../core/groups/offset-requests.ts';
import { byTopic } from './by-topic.ts';
import { codeOf, errorCodes } from './error-codes.ts';
import { handlerOf, type Handler } from './handler.ts';

/** From 8 on a request asks for several groups. */
const firstVersionWithGroups = 8;

interface TopicsAskedFor {
  readonly groupId: string;
  readonly topics: readonly { readonly name: string; readonly partitionIndexes: readonly number[] }[] | null;
}

/** OffsetFetch. A group that does not exist has nothing committed, which is no error. */
export function offsetFetch(groups: GroupCoordinator): Handler {
  const fetchOf = async ({ groupId, topics }: TopicsAskedFor, requiresStable: boolean): Promise<TopicOffsets[]> => {
    const partitions =
      topics === null
        ? null
        : topics.flatMap(({ name, partitionIndexes }) =>
            partitionIndexes.map((partition) => ({ topic: name, partition })),
          );
    return byTopic(await groups.fetchOffsets({ groupId, partitions, requiresStable }), partitionOf);
  };
  return handlerOf(apis.offsetFetch, [1, 9], async (request, { apiVersion }) => {
    const { requireStable } = request;
    if (apiVersion < firstVersionWithGroups) return { topics: await fetchOf(request, requireStable) };
    return {
      groups: await Promise.all(
        request.groups.map(async (group) => ({
          groupId: group.groupId,
          topics: await fetchOf(group, requireStable),
          errorCode: errorCodes.NONE,
        })),
      ),
    };
  });
}

type TopicOffsets = { name: string; partitions: ReturnType<typeof partitionOf>[] };

function partitionOf({ partition, offset, leaderEpoch, metadata, error }: FetchedOffset): {
  partitionIndex: number;
  committedOffset: number;
  committedLeaderEpoch: number;
  metadata: string;
  errorCode: number;
} {
  return {
    partitionIndex: partition,
    committedOffset: offset,
    committedLeaderEpoch: leaderEpoch,
    metadata,
    errorCode: codeOf(error),
  };
}

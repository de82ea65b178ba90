import type { PartitionLog } from '@millrace/log';
import { apis, type RequestOf, type ResponseInput } from '@millrace/protocol';
import { errorCodeOf, errorCodes } from './error-codes.ts';
import { handlerOf, type Handler } from './handler.ts';
import type { KafkaServices } from './kafka-services.ts';
import { checkLeaderEpoch } from './leader-epoch.ts';

type RequestedPartition = RequestOf<typeof apis.listOffsets>['topics'][number]['partitions'][number];
type Response = ResponseInput<typeof apis.listOffsets>;
type PartitionResponse = NonNullable<NonNullable<Response['topics']>[number]['partitions']>[number];

const readCommitted = 1;
/** What is asked for by a negative timestamp, and from which version on. */
const latest = -1;
const earliest = -2;
const maxTimestamp = -3;
const earliestLocal = -4;
const latestTiered = -5;
const firstVersionOf: Readonly<Record<number, number>> = {
  [latest]: 0,
  [earliest]: 0,
  [maxTimestamp]: 7,
  [earliestLocal]: 8,
  [latestTiered]: 9,
};

/** ListOffsets. Nothing is tiered: the earliest local offset is the earliest, and the latest tiered one does not exist. */
export function listOffsets(services: KafkaServices): Handler {
  return handlerOf(apis.listOffsets, [1, 10], async (request, context) => {
    const isolation = request.isolationLevel === readCommitted ? 'read_committed' : 'read_uncommitted';
    const duplicates = duplicatesOf(request.topics);
    const answer = async (topic: string, wanted: RequestedPartition): Promise<PartitionResponse> => {
      const { partitionIndex } = wanted;
      if (duplicates.has(`${topic}-${partitionIndex}`)) return failure(partitionIndex, errorCodes.INVALID_REQUEST);
      const log = services.topics.log(topic, partitionIndex);
      if (log === undefined) return failure(partitionIndex, errorCodes.UNKNOWN_TOPIC_OR_PARTITION);
      const epochError = checkLeaderEpoch(log, wanted.currentLeaderEpoch);
      if (epochError !== errorCodes.NONE) return failure(partitionIndex, epochError);
      const { timestamp } = wanted;
      if (timestamp < 0 && !(context.apiVersion >= (firstVersionOf[timestamp] ?? Number.POSITIVE_INFINITY))) {
        return failure(partitionIndex, errorCodes.UNSUPPORTED_VERSION);
      }
      try {
        const found = await find(log, wanted, isolation);
        // Before version 4 an answer has no room for the epoch.
        return context.apiVersion < 4 ? { ...found, leaderEpoch: -1 } : found;
      } catch (error) {
        return failure(partitionIndex, errorCodeOf(error, services.logger));
      }
    };
    return {
      topics: await Promise.all(
        request.topics.map(async ({ name, partitions }) => ({
          name,
          partitions: await Promise.all(partitions.map((wanted) => answer(name, wanted))),
        })),
      ),
    };
  });
}

async function find(
  log: PartitionLog,
  { partitionIndex, timestamp }: RequestedPartition,
  isolation: 'read_committed' | 'read_uncommitted',
): Promise<PartitionResponse> {
  const found = (offset: number, timestampMs: number, leaderEpoch: number): PartitionResponse => ({
    partitionIndex,
    errorCode: errorCodes.NONE,
    timestamp: timestampMs,
    offset,
    leaderEpoch,
  });
  switch (timestamp) {
    case latest:
      return found(isolation === 'read_committed' ? log.lastStableOffset : log.highWatermark, -1, log.leaderEpoch);
    case earliest:
    case earliestLocal:
      return found(log.logStartOffset, -1, -1);
    case latestTiered:
      return found(-1, -1, -1);
    default: {
      // What is not durable yet, or not stable, has no greatest timestamp either: nobody could fetch it.
      const endOffset = isolation === 'read_committed' ? log.lastStableOffset : log.highWatermark;
      const at =
        timestamp === maxTimestamp
          ? await log.offsetForMaxTimestamp()
          : await log.offsetForTimestamp(timestamp, isolation);
      return at === null || at.offset >= endOffset
        ? found(-1, -1, -1)
        : found(at.offset, at.timestampMs, at.leaderEpoch);
    }
  }
}

function failure(partitionIndex: number, errorCode: number): PartitionResponse {
  return { partitionIndex, errorCode, timestamp: -1, offset: -1 };
}

function duplicatesOf(
  topics: readonly { readonly name: string; readonly partitions: readonly { readonly partitionIndex: number }[] }[],
): ReadonlySet<string> {
  const seen = new Set<string>();
  const duplicates = new Set<string>();
  for (const { name, partitions } of topics) {
    for (const { partitionIndex } of partitions) {
      const key = `${name}-${partitionIndex}`;
      if (seen.has(key)) duplicates.add(key);
      seen.add(key);
    }
  }
  return duplicates;
}

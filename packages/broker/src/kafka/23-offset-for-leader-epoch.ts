import { apis } from '@millrace/protocol';
import { errorCodes } from './error-codes.ts';
import { handlerOf, type Handler } from './handler.ts';
import type { KafkaServices } from './kafka-services.ts';
import { checkLeaderEpoch } from './leader-epoch.ts';

/** OffsetForLeaderEpoch (KIP-320): where an epoch ended, so that a consumer sees whether its position was lost. */
export function offsetForLeaderEpoch(services: KafkaServices): Handler {
  return handlerOf(apis.offsetForLeaderEpoch, [2, 4], (request) => ({
    topics: request.topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map(({ partition, currentLeaderEpoch, leaderEpoch }) => {
        const log = services.topics.log(topic, partition);
        if (log === undefined) return { partition, errorCode: errorCodes.UNKNOWN_TOPIC_OR_PARTITION };
        const errorCode = checkLeaderEpoch(log, currentLeaderEpoch);
        return errorCode === errorCodes.NONE
          ? { partition, errorCode, ...log.endOffsetForEpoch(leaderEpoch) }
          : { partition, errorCode };
      }),
    })),
  }));
}

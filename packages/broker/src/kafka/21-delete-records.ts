import { apis } from '@millrace/protocol';
import { errorCodeOf, errorCodes } from './error-codes.ts';
import { handlerOf, type Handler } from './handler.ts';
import type { KafkaServices } from './kafka-services.ts';

/** DeleteRecords: moves the start of logs. An offset of −1 is the high watermark. */
export function deleteRecords(services: KafkaServices): Handler {
  const { topics, logger } = services;
  const deleteBefore = async (
    topic: string,
    partitionIndex: number,
    offset: number,
  ): Promise<{ partitionIndex: number; lowWatermark: number; errorCode: number }> => {
    const log = topics.log(topic, partitionIndex);
    if (log === undefined) {
      return { partitionIndex, lowWatermark: -1, errorCode: errorCodes.UNKNOWN_TOPIC_OR_PARTITION };
    }
    try {
      const lowWatermark = await log.deleteRecordsBefore(offset);
      return { partitionIndex, lowWatermark, errorCode: errorCodes.NONE };
    } catch (error) {
      return { partitionIndex, lowWatermark: -1, errorCode: errorCodeOf(error, logger) };
    }
  };
  return handlerOf(apis.deleteRecords, [0, 2], async (request) => ({
    topics: await Promise.all(
      request.topics.map(async ({ name, partitions }) => ({
        name,
        partitions: await Promise.all(
          partitions.map(({ partitionIndex, offset }) => deleteBefore(name, partitionIndex, offset)),
        ),
      })),
    ),
  }));
}

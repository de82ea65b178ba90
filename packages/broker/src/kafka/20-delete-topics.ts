import { apis, type ResponseInput } from '@millrace/protocol';
import { RequestRefusedError } from '../core/errors.ts';
import { errorCodeOf, errorCodes, errorMessageOf } from './error-codes.ts';
import { handlerOf, type Handler } from './handler.ts';
import type { KafkaServices } from './kafka-services.ts';

type TopicResponse = NonNullable<ResponseInput<typeof apis.deleteTopics>['responses']>[number];

const noTopicId = '00000000-0000-0000-0000-000000000000';
const firstVersionWithIds = 6;

/** DeleteTopics. Answered when the topics are gone, so that their names can be used at once. */
export function deleteTopics(services: KafkaServices): Handler {
  return handlerOf(apis.deleteTopics, [1, 6], async (request, context) => {
    const wanted =
      context.apiVersion >= firstVersionWithIds
        ? request.topics
        : request.topicNames.map((name) => ({ name, topicId: noTopicId }));
    return { responses: await Promise.all(wanted.map(({ name, topicId }) => deleteOne(services, name, topicId))) };
  });
}

async function deleteOne(services: KafkaServices, name: string | null, topicId: string): Promise<TopicResponse> {
  const { topics, logger } = services;
  const topic = name === null ? topics.topicById(topicId) : topics.topic(name);
  try {
    if (name !== null && topicId !== noTopicId) {
      throw new RequestRefusedError('INVALID_REQUEST', 'Name a topic by its name or by its id, not by both.');
    }
    if (topic === undefined) {
      throw new RequestRefusedError(
        name === null ? 'UNKNOWN_TOPIC_ID' : 'UNKNOWN_TOPIC_OR_PARTITION',
        `There is no topic ${name ?? topicId}.`,
      );
    }
    // Whoever gives a name means the topic that has it when its turn comes.
    const deleted = await topics.delete(topic.name, name === null ? topicId : undefined);
    return { name: deleted.name, topicId: deleted.topicId, errorCode: errorCodes.NONE };
  } catch (error) {
    return {
      name: topic?.name ?? name,
      topicId: topic?.topicId ?? topicId,
      errorCode: errorCodeOf(error, logger),
      errorMessage: errorMessageOf(error),
    };
  }
}

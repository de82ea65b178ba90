import { apis, type RequestOf } from '@millrace/protocol';
import { RequestRefusedError } from '../core/errors.ts';
import { refuseForeignBrokers } from './19-create-topics.ts';
import { errorCodeOf, errorCodes, errorMessageOf } from './error-codes.ts';
import { handlerOf, type Handler } from './handler.ts';
import type { KafkaServices } from './kafka-services.ts';

type RequestedTopic = RequestOf<typeof apis.createPartitions>['topics'][number];

/** CreatePartitions: more of them for topics that exist. */
export function createPartitions(services: KafkaServices): Handler {
  return handlerOf(apis.createPartitions, [0, 3], async (request) => {
    const counts = new Map<string, number>();
    for (const { name } of request.topics) counts.set(name, (counts.get(name) ?? 0) + 1);
    const unique = [...new Map(request.topics.map((topic) => [topic.name, topic])).values()];
    return {
      results: await Promise.all(
        unique.map(async (wanted) => {
          try {
            if (counts.get(wanted.name)! > 1) {
              throw new RequestRefusedError(
                'INVALID_REQUEST',
                `The request names topic ${wanted.name} more than once.`,
              );
            }
            checkAssignments(services, wanted);
            await services.topics.addPartitions(wanted.name, wanted.count, { validateOnly: request.validateOnly });
            return { name: wanted.name, errorCode: errorCodes.NONE, errorMessage: null };
          } catch (error) {
            const errorCode = errorCodeOf(error, services.logger);
            return { name: wanted.name, errorCode, errorMessage: errorMessageOf(error) };
          }
        }),
      ),
    };
  });
}

function checkAssignments(services: KafkaServices, wanted: RequestedTopic): void {
  const { name, count, assignments } = wanted;
  if (assignments === null) return;
  const before = services.topics.topic(name)?.logs.length ?? count;
  if (count > before && assignments.length !== count - before) {
    throw new RequestRefusedError(
      'INVALID_REPLICA_ASSIGNMENT',
      `Topic ${name} would get ${count - before} more partitions, and ${assignments.length} are assigned.`,
    );
  }
  for (const { brokerIds } of assignments) refuseForeignBrokers(services, `A new partition of ${name}`, brokerIds);
}

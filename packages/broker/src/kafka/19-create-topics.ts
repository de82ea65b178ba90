import { apis, type RequestOf, type ResponseInput } from '@millrace/protocol';
import { describeTopicConfigs } from '../core/config-descriptions.ts';
import { RequestRefusedError } from '../core/errors.ts';
import type { NewTopic } from '../core/topics.ts';
import type { TopicConfigs } from '../core/topic-config.ts';
import { sourceCodes } from './32-describe-configs.ts';
import { errorCodeOf, errorCodes, errorMessageOf } from './error-codes.ts';
import { handlerOf, type Handler } from './handler.ts';
import type { KafkaServices } from './kafka-services.ts';

type RequestedTopic = RequestOf<typeof apis.createTopics>['topics'][number];
type TopicResponse = NonNullable<ResponseInput<typeof apis.createTopics>['topics']>[number];

/** CreateTopics. Answered when the topics can be used. */
export function createTopics(services: KafkaServices): Handler {
  return handlerOf(apis.createTopics, [2, 7], async (request) => {
    const counts = new Map<string, number>();
    for (const { name } of request.topics) counts.set(name, (counts.get(name) ?? 0) + 1);
    const unique = [...new Map(request.topics.map((topic) => [topic.name, topic])).values()];
    const create = async (wanted: RequestedTopic): Promise<TopicResponse> => {
      try {
        if (counts.get(wanted.name)! > 1) {
          throw new RequestRefusedError('INVALID_REQUEST', `The request names topic ${wanted.name} more than once.`);
        }
        return await createOne(services, wanted, request.validateOnly);
      } catch (error) {
        return {
          name: wanted.name,
          errorCode: errorCodeOf(error, services.logger),
          errorMessage: errorMessageOf(error),
          configs: null,
        };
      }
    };
    return { topics: await Promise.all(unique.map(create)) };
  });
}

async function createOne(
  services: KafkaServices,
  wanted: RequestedTopic,
  validateOnly: boolean,
): Promise<TopicResponse> {
  const newTopic = newTopicOf(services, wanted);
  if (validateOnly) {
    const { partitionCount, configs } = services.topics.validate(newTopic);
    return { ...created(services, wanted.name, partitionCount, configs) };
  }
  const topic = await services.topics.create(newTopic);
  const configs = services.topics.topic(topic.name)?.configs ?? new Map<string, string>();
  return { ...created(services, topic.name, topic.logs.length, configs), topicId: topic.topicId };
}

function created(services: KafkaServices, name: string, numPartitions: number, own: TopicConfigs): TopicResponse {
  return {
    name,
    errorCode: errorCodes.NONE,
    errorMessage: null,
    numPartitions,
    replicationFactor: 1,
    configs: describeTopicConfigs(own, services.config, services.givenConfigs, null).map((config) => ({
      name: config.name,
      value: config.value,
      readOnly: config.isReadOnly,
      configSource: sourceCodes[config.source],
      isSensitive: false,
    })),
  };
}

function newTopicOf(services: KafkaServices, wanted: RequestedTopic): NewTopic {
  const { name, assignments } = wanted;
  const configs = wanted.configs.map(({ name: configName, value }) => {
    if (value !== null) return [configName, value] as const;
    throw new RequestRefusedError('INVALID_CONFIG', `Config ${configName} of topic ${name} is null: give a value.`);
  });
  if (assignments.length === 0) {
    return { name, partitionCount: wanted.numPartitions, replicationFactor: wanted.replicationFactor, configs };
  }
  if (wanted.numPartitions !== -1 || wanted.replicationFactor !== -1) {
    throw new RequestRefusedError(
      'INVALID_REQUEST',
      `Topic ${name} has an assignment of replicas: leave the numbers of partitions and replicas at -1 then.`,
    );
  }
  const numbers = assignments.map(({ partitionIndex }) => partitionIndex).toSorted((a, b) => a - b);
  if (numbers.some((number, index) => number !== index)) {
    throw new RequestRefusedError(
      'INVALID_REPLICA_ASSIGNMENT',
      `The assignment of topic ${name} must have the partitions 0 to ${numbers.length - 1}, each once.`,
    );
  }
  for (const { partitionIndex, brokerIds } of assignments) {
    refuseForeignBrokers(services, `Partition ${partitionIndex} of topic ${name}`, brokerIds);
  }
  return { name, partitionCount: assignments.length, replicationFactor: 1, configs };
}

/** The one broker there is must be among the replicas; with the clamp, the others are dropped. */
export function refuseForeignBrokers(services: KafkaServices, what: string, brokerIds: readonly number[]): void {
  const { config } = services;
  const nodeId = config['node.id'];
  const isOurs = brokerIds.includes(nodeId) && new Set(brokerIds).size === brokerIds.length;
  if (isOurs && (brokerIds.length === 1 || config['millrace.replication.factor.clamp'])) return;
  throw new RequestRefusedError(
    'INVALID_REPLICA_ASSIGNMENT',
    `${what} is assigned to the brokers [${brokerIds.join(', ')}], but ${nodeId} is the only one.`,
  );
}

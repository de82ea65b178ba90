import { apis, type RequestOf, type ResponseInput } from '@millrace/protocol';
import type { Topic } from '../core/partitions.ts';
import { isInternalTopic, validateTopicName } from '../core/topic-names.ts';
import { clusterOperations, notAsked, topicOperations } from './authorized-operations.ts';
import { errorCodeOf, errorCodes } from './error-codes.ts';
import { handlerOf, type Handler } from './handler.ts';
import type { KafkaServices } from './kafka-services.ts';

type Request = RequestOf<typeof apis.metadata>;
type RequestedTopic = NonNullable<Request['topics']>[number];
type Response = ResponseInput<typeof apis.metadata>;
type TopicResponse = NonNullable<Response['topics']>[number];

const noTopicId = '00000000-0000-0000-0000-000000000000';
const firstVersionWithIdLookUp = 12;

/**
 * Metadata. A topic that is created on the way is there when the answer comes: Kafka's first answer is an error instead, and
 * every client then logs it, waits and asks again.
 */
export function metadata(services: KafkaServices): Handler {
  return handlerOf(apis.metadata, [0, 13], (request, context) => {
    const { topics, config } = services;
    const { advertised } = context.connection;
    const nodeId = config['node.id'];
    const operations = request.includeTopicAuthorizedOperations ? topicOperations : notAsked;
    const respond = (found: readonly TopicResponse[]): Response => ({
      brokers: [{ nodeId, host: advertised.host, port: advertised.port, rack: null }],
      clusterId: topics.clusterId,
      controllerId: nodeId,
      topics: found,
      clusterAuthorizedOperations: request.includeClusterAuthorizedOperations ? clusterOperations : notAsked,
    });

    const isAll = request.topics === null || (context.apiVersion === 0 && request.topics.length === 0);
    if (isAll) return respond([...topics.all()].map((topic) => describe(topic, nodeId, operations)));

    const wanted = withoutDuplicates(request.topics ?? [], context.apiVersion);
    const mayCreate = request.allowAutoTopicCreation && config['auto.create.topics.enable'];
    const found = wanted.map((each) => lookUp(services, each, { mayCreate, nodeId, operations }));
    const known: TopicResponse[] = [];
    for (const each of found) if (!(each instanceof Promise)) known.push(each);
    if (known.length === found.length) return respond(known);
    return Promise.all(found.map((each) => Promise.resolve(each))).then(respond);
  });
}

function lookUp(
  services: KafkaServices,
  wanted: RequestedTopic,
  options: { readonly mayCreate: boolean; readonly nodeId: number; readonly operations: number },
): TopicResponse | Promise<TopicResponse> {
  const { topics, logger } = services;
  const { name, topicId } = wanted;
  if (name === null) {
    const topic = topics.topicById(topicId);
    if (topic !== undefined) return describe(topic, options.nodeId, options.operations);
    return { errorCode: errorCodes.UNKNOWN_TOPIC_ID, name: null, topicId, partitions: [] };
  }
  const topic = topics.topic(name);
  if (topic !== undefined) return describe(topic, options.nodeId, options.operations);
  const failure = (errorCode: number): TopicResponse => ({
    errorCode,
    name,
    isInternal: isInternalTopic(name),
    partitions: [],
  });
  try {
    validateTopicName(name);
  } catch (error) {
    return failure(errorCodeOf(error, logger));
  }
  // Internal topics have configs of their own, and are made by who needs them.
  if (!options.mayCreate || isInternalTopic(name)) return failure(errorCodes.UNKNOWN_TOPIC_OR_PARTITION);
  return topics.createIfMissing(name).then(
    (created) => describe(created, options.nodeId, options.operations),
    (error: unknown) => failure(errorCodeOf(error, logger)),
  );
}

function describe(topic: Topic, nodeId: number, topicAuthorizedOperations: number): TopicResponse {
  const nodes = [nodeId];
  return {
    errorCode: errorCodes.NONE,
    name: topic.name,
    topicId: topic.topicId,
    isInternal: topic.isInternal,
    partitions: topic.logs.map((log, partitionIndex) => ({
      errorCode: errorCodes.NONE,
      partitionIndex,
      leaderId: nodeId,
      leaderEpoch: log.leaderEpoch,
      replicaNodes: nodes,
      isrNodes: nodes,
      offlineReplicas: [],
    })),
    topicAuthorizedOperations,
  };
}

/** Names count before version 12, where an id may stand beside one. */
function withoutDuplicates(topics: readonly RequestedTopic[], version: number): readonly RequestedTopic[] {
  const seen = new Map<string, RequestedTopic>();
  for (const topic of topics) {
    const isById = version >= firstVersionWithIdLookUp && topic.topicId !== noTopicId;
    const each = isById ? { topicId: topic.topicId, name: null } : { topicId: noTopicId, name: topic.name ?? '' };
    seen.set(each.name ?? each.topicId, each);
  }
  return [...seen.values()];
}

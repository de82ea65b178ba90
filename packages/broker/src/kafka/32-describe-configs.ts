import { apis, type RequestOf, type ResponseInput } from '@millrace/protocol';
import type { ConfigType } from '../core/broker-config.ts';
import {
  describeBrokerConfigs,
  describeTopicConfigs,
  type ConfigSource,
  type DescribedConfig,
} from '../core/config-descriptions.ts';
import { RequestRefusedError } from '../core/errors.ts';
import { checkBrokerName, refuseResourceType, resourceTypes } from './config-resources.ts';
import { errorCodeOf, errorCodes, errorMessageOf } from './error-codes.ts';
import { handlerOf, type Handler } from './handler.ts';
import type { KafkaServices } from './kafka-services.ts';

type Request = RequestOf<typeof apis.describeConfigs>;
type Resource = Request['resources'][number];
type Result = NonNullable<ResponseInput<typeof apis.describeConfigs>['results']>[number];

/** KIP-226. */
export const sourceCodes: Readonly<Record<ConfigSource, number>> = { topic: 1, broker: 4, default: 5 };
/** KIP-569. */
const typeCodes: Readonly<Record<ConfigType, number>> = { boolean: 1, string: 2, int: 3, long: 5, double: 6, list: 7 };

/** DescribeConfigs of topics and of the broker. */
export function describeConfigs(services: KafkaServices): Handler {
  return handlerOf(apis.describeConfigs, [1, 4], (request) => ({
    results: request.resources.map((resource) => {
      const { resourceType, resourceName } = resource;
      try {
        const configs = describe(services, resource);
        return {
          errorCode: errorCodes.NONE,
          errorMessage: null,
          resourceType,
          resourceName,
          configs: configs.map((config) => configOf(config, request)),
        };
      } catch (error) {
        const errorCode = errorCodeOf(error, services.logger);
        return { errorCode, errorMessage: errorMessageOf(error), resourceType, resourceName, configs: [] };
      }
    }),
  }));
}

function describe(services: KafkaServices, resource: Resource): readonly DescribedConfig[] {
  const { topics, config, givenConfigs } = services;
  const { resourceName } = resource;
  // An empty list of names was once how "all" was said.
  const names = resource.configurationKeys?.length === 0 ? null : resource.configurationKeys;
  switch (resource.resourceType) {
    case resourceTypes.topic: {
      const topic = topics.topic(resourceName);
      if (topic !== undefined) return describeTopicConfigs(topic.configs, config, givenConfigs, names);
      throw new RequestRefusedError('UNKNOWN_TOPIC_OR_PARTITION', `There is no topic ${resourceName}.`);
    }
    case resourceTypes.broker:
      checkBrokerName(services, resourceName);
      // The empty name asks for what was set for all brokers while they run: nothing can be.
      return resourceName === '' ? [] : describeBrokerConfigs(config, givenConfigs, names);
    default:
      return refuseResourceType(resource.resourceType);
  }
}

function configOf(config: DescribedConfig, request: Request): NonNullable<Result['configs']>[number] {
  return {
    name: config.name,
    value: config.value,
    readOnly: config.isReadOnly,
    configSource: sourceCodes[config.source],
    isSensitive: false,
    synonyms: request.includeSynonyms
      ? config.synonyms.map(({ name, value, source }) => ({ name, value, source: sourceCodes[source] }))
      : [],
    configType: typeCodes[config.type],
    documentation: request.includeDocumentation ? config.documentation : null,
  };
}

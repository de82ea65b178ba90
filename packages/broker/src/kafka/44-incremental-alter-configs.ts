import { apis, type RequestOf } from '@millrace/protocol';
import { describeTopicConfigs } from '../core/config-descriptions.ts';
import { RequestRefusedError } from '../core/errors.ts';
import { topicConfigDefinition, type TopicConfigs } from '../core/topic-config.ts';
import { refuseBrokerChange, refuseResourceType, resourceTypes } from './config-resources.ts';
import { errorCodeOf, errorCodes, errorMessageOf } from './error-codes.ts';
import { handlerOf, type Handler } from './handler.ts';
import type { KafkaServices } from './kafka-services.ts';

type Resource = RequestOf<typeof apis.incrementalAlterConfigs>['resources'][number];
type Change = Resource['configs'][number];

const operations = { set: 0, delete: 1, append: 2, subtract: 3 } as const;

/** IncrementalAlterConfigs (KIP-339): single configs are set, unset, or changed as lists; the others stay. */
export function incrementalAlterConfigs(services: KafkaServices): Handler {
  return handlerOf(apis.incrementalAlterConfigs, [0, 1], async (request) => ({
    responses: await Promise.all(
      request.resources.map(async (resource) => {
        const { resourceType, resourceName } = resource;
        try {
          await alter(services, resource, request.validateOnly);
          return { errorCode: errorCodes.NONE, errorMessage: null, resourceType, resourceName };
        } catch (error) {
          const errorCode = errorCodeOf(error, services.logger);
          return { errorCode, errorMessage: errorMessageOf(error), resourceType, resourceName };
        }
      }),
    ),
  }));
}

async function alter(services: KafkaServices, resource: Resource, validateOnly: boolean): Promise<void> {
  const { resourceType, resourceName, configs } = resource;
  switch (resourceType) {
    case resourceTypes.topic:
      await services.topics.changeConfigs(resourceName, (own) => changed(services, own, configs), { validateOnly });
      return;
    case resourceTypes.broker:
      refuseBrokerChange(
        services,
        resourceName,
        configs.map(({ name }) => name),
      );
      return;
    default:
      refuseResourceType(resourceType);
  }
}

function changed(services: KafkaServices, own: TopicConfigs, changes: readonly Change[]): TopicConfigs {
  const next = new Map(own);
  const seen = new Set<string>();
  for (const { name, configOperation, value } of changes) {
    if (seen.has(name)) {
      throw new RequestRefusedError('INVALID_REQUEST', `The request changes config ${name} more than once.`);
    }
    seen.add(name);
    const { type } = topicConfigDefinition(name);
    if (configOperation === operations.delete) {
      next.delete(name);
      continue;
    }
    if (value === null) {
      throw new RequestRefusedError('INVALID_REQUEST', `Config ${name} is null: give a value, or delete the config.`);
    }
    if (configOperation === operations.set) {
      next.set(name, value);
      continue;
    }
    if (configOperation !== operations.append && configOperation !== operations.subtract) {
      throw new RequestRefusedError('INVALID_REQUEST', `There is no operation ${configOperation} on configs.`);
    }
    if (type !== 'list') {
      throw new RequestRefusedError('INVALID_CONFIG', `Config ${name} is no list: it can only be set or deleted.`);
    }
    const [described] = describeTopicConfigs(own, services.config, services.givenConfigs, [name]);
    const items = (described?.value ?? '').split(',').filter((item) => item !== '');
    const given = value.split(',').map((item) => item.trim());
    const result =
      configOperation === operations.append
        ? [...items, ...given.filter((item) => !items.includes(item))]
        : items.filter((item) => !given.includes(item));
    next.set(name, result.join(','));
  }
  return next;
}

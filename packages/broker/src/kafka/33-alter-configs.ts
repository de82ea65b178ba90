import { apis, type RequestOf } from '@millrace/protocol';
import { RequestRefusedError } from '../core/errors.ts';
import { refuseBrokerChange, refuseResourceType, resourceTypes } from './config-resources.ts';
import { errorCodeOf, errorCodes, errorMessageOf } from './error-codes.ts';
import { handlerOf, type Handler } from './handler.ts';
import type { KafkaServices } from './kafka-services.ts';

type Resource = RequestOf<typeof apis.alterConfigs>['resources'][number];

/** AlterConfigs: what a topic has is replaced by what is given. Kafka has deprecated it for IncrementalAlterConfigs. */
export function alterConfigs(services: KafkaServices): Handler {
  return handlerOf(apis.alterConfigs, [0, 2], async (request) => ({
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
      await services.topics.changeConfigs(
        resourceName,
        () =>
          configs.map(({ name, value }) => {
            if (value !== null) return [name, value] as const;
            throw new RequestRefusedError('INVALID_CONFIG', `Config ${name} is null: give a value, or leave it out.`);
          }),
        { validateOnly },
      );
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

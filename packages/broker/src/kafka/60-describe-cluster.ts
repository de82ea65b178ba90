import { apis } from '@millrace/protocol';
import { clusterOperations, notAsked } from './authorized-operations.ts';
import { errorCodes } from './error-codes.ts';
import { handlerOf, type Handler } from './handler.ts';
import type { KafkaServices } from './kafka-services.ts';

const endpointTypes = { broker: 1, controller: 2 } as const;

/** DescribeCluster (KIP-700). */
export function describeCluster(services: KafkaServices): Handler {
  return handlerOf(apis.describeCluster, [0, 2], (request, context) => {
    const { topics, config } = services;
    const { endpointType } = request;
    if (endpointType !== endpointTypes.broker) {
      const isController = endpointType === endpointTypes.controller;
      return {
        errorCode: isController ? errorCodes.MISMATCHED_ENDPOINT_TYPE : errorCodes.UNSUPPORTED_ENDPOINT_TYPE,
        errorMessage: isController ? 'Controllers were asked for: this is a broker.' : 'Unknown endpoint type.',
        endpointType,
        clusterId: topics.clusterId,
      };
    }
    const nodeId = config['node.id'];
    const { host, port } = context.connection.advertised;
    return {
      errorCode: errorCodes.NONE,
      endpointType,
      clusterId: topics.clusterId,
      controllerId: nodeId,
      brokers: [{ brokerId: nodeId, host, port, rack: null, isFenced: false }],
      clusterAuthorizedOperations: request.includeClusterAuthorizedOperations ? clusterOperations : notAsked,
    };
  });
}

import type { Coordinator, CoreServices } from '../core/core-services.ts';
import { produce } from './00-produce.ts';
import { fetch } from './01-fetch.ts';
import { listOffsets } from './02-list-offsets.ts';
import { metadata } from './03-metadata.ts';
import { apiVersions } from './18-api-versions.ts';
import { createTopics } from './19-create-topics.ts';
import { deleteTopics } from './20-delete-topics.ts';
import { deleteRecords } from './21-delete-records.ts';
import { offsetForLeaderEpoch } from './23-offset-for-leader-epoch.ts';
import { describeConfigs } from './32-describe-configs.ts';
import { alterConfigs } from './33-alter-configs.ts';
import { createPartitions } from './37-create-partitions.ts';
import { incrementalAlterConfigs } from './44-incremental-alter-configs.ts';
import { describeCluster } from './60-describe-cluster.ts';
import { createCoordinatorHandlers } from './coordinator-handlers.ts';
import type { Handler } from './handler.ts';
import type { KafkaServices } from './kafka-services.ts';

/** All that is served, and the coordinators behind it. What is in this list is advertised. */
export function createHandlers(
  core: CoreServices,
  parts: Omit<KafkaServices, 'transactions'>,
): { readonly handlers: readonly Handler[]; readonly coordinators: readonly Coordinator[] } {
  const coordination = createCoordinatorHandlers(core);
  const services: KafkaServices = { ...parts, transactions: coordination.transactions };
  const handlers: readonly Handler[] = [
    produce(services),
    fetch(services),
    listOffsets(services),
    metadata(services),
    apiVersions(() => handlers),
    createTopics(services),
    deleteTopics(services),
    deleteRecords(services),
    offsetForLeaderEpoch(services),
    describeConfigs(services),
    alterConfigs(services),
    createPartitions(services),
    incrementalAlterConfigs(services),
    describeCluster(services),
    ...coordination.handlers,
  ];
  return { handlers, coordinators: coordination.coordinators };
}

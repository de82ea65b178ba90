import { RequestRefusedError } from '../core/errors.ts';
import type { KafkaServices } from './kafka-services.ts';

/** Kinds of things that have configs, by their codes on the wire. */
export const resourceTypes = { topic: 2, broker: 4 } as const;

/** @throws {RequestRefusedError} unless it is this broker, or (an empty name) all brokers */
export function checkBrokerName(services: KafkaServices, name: string): void {
  const nodeId = String(services.config['node.id']);
  if (name === '' || name === nodeId) return;
  throw new RequestRefusedError('INVALID_REQUEST', `There is no broker ${name}: the only one is ${nodeId}.`);
}

/** Broker configs are given when the broker is opened. */
export function refuseBrokerChange(services: KafkaServices, name: string, configs: readonly string[]): void {
  checkBrokerName(services, name);
  if (configs.length === 0) return;
  throw new RequestRefusedError(
    'INVALID_REQUEST',
    `Broker configs are fixed while the broker runs (${configs.join(', ')}): give them to Broker.open and open it again.`,
  );
}

export function refuseResourceType(type: number): never {
  throw new RequestRefusedError(
    'INVALID_REQUEST',
    `Resources of type ${type} have no configs here: topics and brokers do.`,
  );
}

export { Client } from './client.ts';
export type { ClientOptions, Cluster, ClusterOptions, SaslOptions } from './cluster-options.ts';
export type { ProducerOptions, TransactionalProducerOptions } from './producer-options.ts';

export { isMillraceError, type MillraceError } from '@millrace/platform';
export { Broker } from './broker.ts';
export type { BrokerErrorCode, BrokerOptions, Listener } from './broker-options.ts';
export type { BrokerMetrics } from './metrics.ts';

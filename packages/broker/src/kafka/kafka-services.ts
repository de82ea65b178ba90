import type { Logger } from '@millrace/platform';
import type { BrokerConfig } from '../core/broker-config.ts';
import type { TransactionVerifier } from '../core/core-services.ts';
import type { Fetcher } from '../core/fetcher.ts';
import type { Topics } from '../core/topics.ts';

/** What the handlers of topics and records are made of. */
export interface KafkaServices {
  readonly topics: Topics;
  readonly fetcher: Fetcher;
  readonly transactions: TransactionVerifier;
  readonly config: BrokerConfig;
  /** Names of the broker configs that were not left at their default. */
  readonly givenConfigs: ReadonlySet<string>;
  readonly logger: Logger;
}

import type { Clock, Logger, Random } from '@millrace/platform';
import type { BrokerConfig } from './broker-config.ts';
import type { Partitions } from './partitions.ts';
import type { ProducerIds } from './producer-ids.ts';

/** What a coordinator is made of. `Broker.open` has one value for all. */
export interface CoreServices {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** The broker's configs; fixed while it runs. */
  readonly config: BrokerConfig;
  readonly partitions: Partitions;
  readonly producerIds: ProducerIds;
  /** This broker's id: what `FindCoordinator` answers. */
  readonly nodeId: number;
}

/** Proof that a transactional append belongs to a transaction (KIP-890 part 1). The transaction coordinator implements it. */
export interface TransactionVerifier {
  /** Whether the producer's open transaction has added the partition. A map look-up. */
  isPartitionInTransaction(append: {
    readonly transactionalId: string;
    readonly producerId: number;
    readonly producerEpoch: number;
    readonly topic: string;
    readonly partition: number;
  }): boolean;
}

/** What the broker does with a coordinator beside its requests. */
export interface Coordinator {
  /** Reads its internal topic, if there is one, before the broker listens. */
  load(): Promise<void>;
  /** Cancels timers and answers what is parked. Appends nothing. */
  close(): void;
}

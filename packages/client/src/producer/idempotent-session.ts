import { errorCodes, apis } from '@millrace/protocol';
import { KafkaError } from '../kafka-error.ts';
import { Backoff } from '../network/backoff.ts';
import type { ClusterClient } from '../network/cluster-client.ts';
import type { ProducerIdentity } from './producer-batch.ts';
import type { ProducerSession } from './sender.ts';
import { isMillraceError } from '@millrace/platform';

/** An epoch is an int16. */
const maxEpoch = 32_767;

/** A producer without transactions: with idempotence it has an id of the cluster's, got before the first batch goes. */
export class IdempotentSession implements ProducerSession {
  readonly transactionalId = null;
  readonly error = undefined;
  identity: ProducerIdentity | undefined;
  readonly #cluster: ClusterClient;
  readonly #isIdempotent: boolean;
  readonly #wake: () => void;
  readonly #refused: (error: Error) => void;
  #isAsking = false;

  /**
   * @param wake called when batches may go
   * @param refused called when the cluster gives no id, for good
   */
  constructor(cluster: ClusterClient, isIdempotent: boolean, wake: () => void, refused: (error: Error) => void) {
    this.#cluster = cluster;
    this.#isIdempotent = isIdempotent;
    this.#wake = wake;
    this.#refused = refused;
  }

  isReady(): boolean {
    if (!this.#isIdempotent || this.identity !== undefined) return true;
    if (!this.#isAsking) void this.#ask();
    return false;
  }

  admits(): boolean {
    return true;
  }

  /** KIP-360: the producer raises its own epoch, until there are none left. */
  raiseEpoch(): void {
    if (this.identity === undefined) return;
    const { producerId, epoch } = this.identity;
    this.identity = epoch < maxEpoch ? { producerId, epoch: epoch + 1 } : undefined;
    this.#wake();
  }

  async #ask(): Promise<void> {
    this.#isAsking = true;
    const backoff = new Backoff(this.#cluster.platform.random, 50, 1_000);
    try {
      while (this.identity === undefined && !this.#cluster.isClosed) {
        try {
          this.identity = await initProducerId(this.#cluster);
        } catch (error) {
          if (!isMillraceError(error) || !error.retriable) return this.#refused(error as Error);
          await this.#cluster.pause(backoff.nextMs()).catch(() => undefined); // closing ends the loop
        }
      }
    } finally {
      this.#isAsking = false;
      this.#wake();
    }
  }
}

async function initProducerId(cluster: ClusterClient): Promise<ProducerIdentity> {
  const connection = await cluster.anyConnection();
  // Any broker gives ids; the timeout is of transactions, and must still be a valid one.
  const answer = await connection.request(apis.initProducerId, { transactionalId: null, transactionTimeoutMs: 60_000 });
  if (answer.errorCode !== errorCodes.NONE) throw new KafkaError(answer.errorCode, 'InitProducerId');
  return { producerId: answer.producerId, epoch: answer.producerEpoch };
}

import type { HeaderEntry } from '@millrace/protocol';
import type { BytesProducer, BytesTransactionalProducer, GroupMetadata, TopicPartitionOffset } from '../bytes/types.ts';
import { checkPositive } from '../check-options.ts';
import { InvalidOptionError } from '../errors.ts';
import type { ClusterClient } from '../network/cluster-client.ts';
import { withTimeout } from '../network/with-timeout.ts';
import type { ProducerOptions, TransactionalProducerOptions } from '../producer-options.ts';
import { IdempotentSession } from './idempotent-session.ts';
import { isIdempotent, ProducerEngine } from './producer-engine.ts';
import { TransactionManager } from './transaction-manager.ts';

/** The bytes API on an engine; the first failure is kept for the next flush. */
export class EngineBytesProducer implements BytesProducer {
  readonly engine: ProducerEngine;
  #failure: Error | undefined;

  constructor(cluster: ClusterClient, options: ProducerOptions) {
    this.engine = new ProducerEngine(cluster, options, {
      session: (engine) =>
        new IdempotentSession(
          cluster,
          isIdempotent(options),
          () => engine.sender.wake(),
          (error) => engine.accumulator.failUnsent(error),
        ),
      onBatchFailed: (error) => (this.#failure ??= error),
    });
  }

  append(
    topic: string,
    partition: number,
    timestampMs: number,
    key: Uint8Array | null,
    value: Uint8Array | null,
    headers?: readonly HeaderEntry[],
  ): boolean {
    this.engine.append(topic, partition, timestampMs, key, value, headers);
    return !this.engine.accumulator.isFull;
  }

  drained(): Promise<void> {
    return this.engine.accumulator.drained();
  }

  partitionCount(topic: string): Promise<number> {
    return this.engine.partitionCount(topic);
  }

  async flush(): Promise<void> {
    await this.engine.settleAll();
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure;
  }

  get isClosed(): boolean {
    return this.engine.isClosed;
  }

  ackedEndOffset(topic: string, partition: number): number | undefined {
    return this.engine.accumulator.ackedEndOffset(topic, partition);
  }

  async close(): Promise<void> {
    await this.engine.close(this.engine.cluster.requestTimeoutMs);
  }
}

/** Kafka's. */
export const defaultTransactionTimeoutMs = 60_000;

export class EngineBytesTransactionalProducer implements BytesTransactionalProducer {
  readonly engine: ProducerEngine;
  readonly transactions: TransactionManager;
  #closed: Promise<void> | undefined;

  constructor(cluster: ClusterClient, options: TransactionalProducerOptions) {
    const { transactionalId, transactionTimeoutMs = defaultTransactionTimeoutMs } = options;
    checkPositive(options, ['transactionTimeoutMs']);
    if (transactionalId === '') throw new InvalidOptionError('transactionalId', "''", 'give it a name.');
    let transactions: TransactionManager | undefined;
    this.engine = new ProducerEngine(cluster, options, {
      session: (engine) => (transactions = new TransactionManager(engine, transactionalId, transactionTimeoutMs)),
      onBatchFailed: (error) => this.transactions.batchFailed(error),
    });
    this.transactions = transactions!;
  }

  init(): Promise<void> {
    return this.transactions.init();
  }

  begin(): void {
    this.transactions.begin();
  }

  append(
    topic: string,
    partition: number,
    timestampMs: number,
    key: Uint8Array | null,
    value: Uint8Array | null,
    headers?: readonly HeaderEntry[],
  ): boolean {
    this.transactions.checkOpen('append');
    this.engine.append(topic, partition, timestampMs, key, value, headers);
    return !this.engine.accumulator.isFull;
  }

  drained(): Promise<void> {
    return this.engine.accumulator.drained();
  }

  partitionCount(topic: string): Promise<number> {
    return this.engine.partitionCount(topic);
  }

  async flush(): Promise<void> {
    await this.engine.settleAll();
    this.transactions.checkOpen('flush');
  }

  get isClosed(): boolean {
    return this.engine.isClosed;
  }

  ackedEndOffset(topic: string, partition: number): number | undefined {
    return this.engine.accumulator.ackedEndOffset(topic, partition);
  }

  sendOffsets(offsets: readonly TopicPartitionOffset[], group: GroupMetadata): Promise<void> {
    return this.transactions.sendOffsets(offsets, { metadata: () => group, settled: () => Promise.resolve() });
  }

  commit(): Promise<void> {
    return this.transactions.commit();
  }

  abort(): Promise<void> {
    return this.transactions.abort();
  }

  /** Aborts what is open and waits for a commit that is under way, for as long as `timeoutMs`: default the request timeout. */
  close(timeoutMs?: number): Promise<void> {
    this.#closed ??= this.#close(timeoutMs ?? this.engine.cluster.requestTimeoutMs);
    return this.#closed;
  }

  async #close(timeoutMs: number): Promise<void> {
    // A coordinator that is away aborts by its timeout; a fenced producer has nothing to abort; a commit tells its caller.
    await withTimeout(
      this.engine.cluster,
      this.transactions.close().catch(() => undefined),
      timeoutMs,
    );
    await this.engine.close(0);
    this.transactions.dispose();
  }
}

import type { HeaderEntry } from '@millrace/protocol';
import { checkPositive } from '../check-options.ts';
import { ClosedError, InvalidOptionError } from '../errors.ts';
import type { ClusterClient } from '../network/cluster-client.ts';
import { withTimeout } from '../network/with-timeout.ts';
import type { ProducerOptions } from '../producer-options.ts';
import type { BatchListener, ProducerBatch } from './producer-batch.ts';
import { RecordAccumulator } from './record-accumulator.ts';
import { Sender, type ProducerSession } from './sender.ts';

/** What all producers share: batches, and the sender that takes them to the brokers. */
export class ProducerEngine {
  readonly cluster: ClusterClient;
  readonly accumulator: RecordAccumulator;
  readonly sender: Sender;
  #isClosed = false;

  /** @param session made last: it wakes the sender */
  constructor(
    cluster: ClusterClient,
    options: ProducerOptions,
    hooks: {
      readonly session: (engine: ProducerEngine) => ProducerSession;
      readonly onBatchFailed: (error: Error) => void;
    },
  ) {
    checkOptions(options);
    const acks = options.acks === undefined || options.acks === 'all' ? -1 : options.acks;
    const lingerMs = options.lingerMs ?? 0;
    this.cluster = cluster;
    this.accumulator = new RecordAccumulator({
      clock: cluster.platform.clock,
      lingerMs,
      batchSizeBytes: options.batchSizeBytes ?? 1024 * 1024,
      bufferMemoryBytes: options.bufferMemoryBytes ?? 32 * 1024 * 1024,
      deliveryTimeoutMs: options.deliveryTimeoutMs ?? 120_000,
      // Without sequence numbers the broker cannot tell a late batch from one that overtook it.
      maxInFlightOfPartition: isIdempotent(options) || acks === 0 ? 5 : 1,
      onReady: (delayMs) => this.sender.wake(delayMs),
      onBatchFailed: hooks.onBatchFailed,
    });
    const session = hooks.session(this);
    this.sender = new Sender(cluster, this.accumulator, session, {
      acks,
      lingerMs,
      compression: options.compressionType ?? 'none',
    });
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** @throws `CLOSED` */
  append(
    topic: string,
    partition: number,
    timestampMs: number,
    key: Uint8Array | null,
    value: Uint8Array | null,
    headers?: readonly HeaderEntry[],
  ): ProducerBatch {
    if (this.#isClosed) throw new ClosedError('producer');
    return this.accumulator.append(topic, partition, timestampMs, key, value, headers);
  }

  async partitionCount(topic: string): Promise<number> {
    const known = this.cluster.metadata.topics.get(topic);
    if (known === undefined) return (await this.cluster.topic(topic, { mayCreate: true })).partitions.length;
    // What is old still serves, until the cluster has been asked again.
    if (this.cluster.freshTopic(topic) === undefined) this.cluster.refresh([topic]).catch(() => undefined);
    return known.partitions.length;
  }

  /** Sends what is buffered and waits until all of it is settled; failures are told to `onBatchFailed`. */
  async settleAll(): Promise<void> {
    this.accumulator.sealAll();
    this.sender.drain();
    await allSettled(this.accumulator.unsettled());
  }

  /** Flushes for as long as `timeoutMs`, then fails what is left. */
  async close(timeoutMs: number): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await withTimeout(this.cluster, this.settleAll(), timeoutMs);
    this.abandon(new ClosedError('producer'));
  }

  /** Fails all that is not settled, at once. */
  abandon(error: Error): void {
    this.#isClosed = true;
    this.accumulator.failAll(error);
    this.sender.close();
  }
}

/** Resolves when all are settled, whether acknowledged or failed. */
export function allSettled(batches: readonly ProducerBatch[]): Promise<void> {
  let left = batches.length;
  if (left === 0) return Promise.resolve();
  return new Promise((resolve) => {
    const listener: BatchListener = {
      batchSettled() {
        if (--left === 0) resolve();
      },
    };
    for (const batch of batches) batch.listen(listener);
  });
}

export function isIdempotent(options: ProducerOptions): boolean {
  return options.enableIdempotence ?? (options.acks === undefined || options.acks === 'all');
}

function checkOptions(options: ProducerOptions): void {
  if (options.enableIdempotence === true && options.acks !== undefined && options.acks !== 'all') {
    throw new InvalidOptionError('acks', options.acks, "with enableIdempotence it must be 'all'.");
  }
  checkPositive(options, ['batchSizeBytes', 'bufferMemoryBytes', 'deliveryTimeoutMs']);
  if (options.lingerMs !== undefined && !(options.lingerMs >= 0)) {
    throw new InvalidOptionError('lingerMs', options.lingerMs, 'it must be 0 or above.');
  }
}

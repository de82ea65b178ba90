import type { Clock } from '@millrace/platform';
import { RecordBatchWriter, type HeaderEntry } from '@millrace/protocol';
import { DeliveryTimeoutError, UnsafeIntegerError } from '../errors.ts';
import { PartitionQueue } from './partition-queue.ts';
import { ProducerBatch } from './producer-batch.ts';

const maxPooledWriters = 16;
/** The most that a record needs beside key, value and headers: varints of length, timestamp, offset and lengths. */
const recordOverheadBytes = 36;

export interface AccumulatorOptions {
  readonly clock: Clock;
  readonly lingerMs: number;
  readonly batchSizeBytes: number;
  readonly bufferMemoryBytes: number;
  readonly deliveryTimeoutMs: number;
  readonly maxInFlightOfPartition: number;
  /** There is something to send, at once or in `delayMs`. */
  readonly onReady: (delayMs: number) => void;
  readonly onBatchFailed: (error: Error) => void;
}

/** The records that are not acknowledged yet, in batches, and the memory they take. */
export class RecordAccumulator {
  /** Queues with something unsettled, in the order in which they are served. */
  readonly active: Set<PartitionQueue> = new Set();
  readonly #options: AccumulatorOptions;
  readonly #queues = new Map<string, PartitionQueue[]>();
  readonly #writers: RecordBatchWriter[] = [];
  readonly #drainWaiters: (() => void)[] = [];
  #bufferedBytes = 0;
  #cancelExpiry: (() => void) | undefined;

  constructor(options: AccumulatorOptions) {
    this.#options = options;
  }

  get isFull(): boolean {
    return this.#bufferedBytes >= this.#options.bufferMemoryBytes;
  }

  get deliveryTimeoutMs(): number {
    return this.#options.deliveryTimeoutMs;
  }

  /** Resolves when there is room again: half of the buffer, so that a full one is not woken for each batch. */
  drained(): Promise<void> {
    if (!this.isFull) return Promise.resolve();
    return new Promise((resolve) => void this.#drainWaiters.push(resolve));
  }

  /** The batch that the record went into; it is the last one there. All bytes are copied. */
  append(
    topic: string,
    partition: number,
    timestampMs: number,
    key: Uint8Array | null,
    value: Uint8Array | null,
    headers: readonly HeaderEntry[] | undefined,
  ): ProducerBatch {
    // Refused before a batch is opened for it, which would then be empty.
    if (!Number.isSafeInteger(timestampMs)) throw new UnsafeIntegerError('The timestamp of a record', timestampMs);
    const queue = this.#queues.get(topic)?.[partition] ?? this.#newQueue(topic, partition);
    let batch = queue.open;
    if (batch !== undefined) {
      let upperBytes = batch.writer.sizeBytes + recordOverheadBytes;
      if (key !== null) upperBytes += key.length;
      if (value !== null) upperBytes += value.length;
      if (headers !== undefined && headers.length > 0) upperBytes += headerBytes(headers);
      if (upperBytes > this.#options.batchSizeBytes) {
        queue.seal();
        if (this.#options.lingerMs > 0) this.#options.onReady(0);
        batch = undefined;
      }
    }
    batch ??= this.#openBatch(queue);
    const { writer } = batch;
    const bytesBefore = writer.sizeBytes;
    writer.append(timestampMs, key, value, headers);
    const addedBytes = writer.sizeBytes - bytesBefore;
    batch.recordCount++;
    batch.bufferedBytes += addedBytes;
    this.#bufferedBytes += addedBytes;
    return batch;
  }

  /** Whether an open batch has waited long enough, or must not wait. */
  isDue(open: ProducerBatch, nowMs: number): boolean {
    const { lingerMs, batchSizeBytes } = this.#options;
    if (lingerMs === 0 || open.writer.sizeBytes >= batchSizeBytes || this.isFull) return true;
    return nowMs >= open.createdAtMs + lingerMs;
  }

  /** Until the next open batch falls due; undefined: none will. One that is due already waits for something else than time. */
  untilDueMs(nowMs: number): number | undefined {
    let nextMs: number | undefined;
    for (const { open } of this.active) {
      if (open === undefined) continue;
      // The same sum as above: of another, rounding may say that it is due, and nobody would come back for it.
      const dueAtMs = open.createdAtMs + this.#options.lingerMs;
      if (nowMs < dueAtMs) nextMs = Math.min(nextMs ?? dueAtMs, dueAtMs);
    }
    return nextMs === undefined ? undefined : nextMs - nowMs;
  }

  sealAll(): void {
    for (const queue of this.active) queue.seal();
  }

  /** All batches that are not settled. */
  unsettled(): ProducerBatch[] {
    return [...this.active].flatMap((queue) => queue.unsettled());
  }

  queueOf(batch: ProducerBatch): PartitionQueue {
    return this.#queues.get(batch.topic)![batch.partition]!;
  }

  isOpen(batch: ProducerBatch): boolean {
    return this.queueOf(batch).open === batch;
  }

  ackedEndOffset(topic: string, partition: number): number | undefined {
    return this.#queues.get(topic)?.[partition]?.ackedEndOffset;
  }

  topics(): Iterable<string> {
    return this.#queues.keys();
  }

  acknowledge(batch: ProducerBatch, baseOffset: number): void {
    const queue = this.queueOf(batch);
    queue.acknowledged(batch, baseOffset);
    this.#settle(queue, batch, undefined, baseOffset);
  }

  /** @param isOutcomeUnknown whether the broker may have it all the same */
  fail(batch: ProducerBatch, error: Error, isOutcomeUnknown: boolean): void {
    const queue = this.queueOf(batch);
    queue.drop(batch, isOutcomeUnknown);
    this.#settle(queue, batch, error, -1);
    this.#options.onBatchFailed(error);
  }

  /** Fails what is not in flight. */
  failUnsent(error: Error, queues: Iterable<PartitionQueue> = this.active): void {
    for (const queue of queues) {
      for (const batch of queue.unsettled()) {
        if (!queue.inFlight.includes(batch)) this.fail(batch, error, batch.isOutcomeUnknown);
      }
    }
  }

  failAll(error: Error): void {
    for (const batch of this.unsettled()) this.fail(batch, error, true);
    for (const resolve of this.#drainWaiters.splice(0)) resolve();
  }

  newWriter(): RecordBatchWriter {
    return this.#writers.pop() ?? new RecordBatchWriter();
  }

  releaseWriter(writer: RecordBatchWriter): void {
    writer.reset();
    if (this.#writers.length < maxPooledWriters) this.#writers.push(writer);
  }

  #settle(queue: PartitionQueue, batch: ProducerBatch, error: Error | undefined, baseOffset: number): void {
    this.#bufferedBytes -= batch.bufferedBytes;
    if (!queue.hasUnsettled) this.active.delete(queue);
    if (this.active.size === 0) {
      this.#cancelExpiry?.();
      this.#cancelExpiry = undefined;
    }
    if (this.#drainWaiters.length > 0 && this.#bufferedBytes <= this.#options.bufferMemoryBytes / 2) {
      for (const resolve of this.#drainWaiters.splice(0)) resolve();
    }
    batch.settle(error, baseOffset);
  }

  #newQueue(topic: string, partition: number): PartitionQueue {
    let queues = this.#queues.get(topic);
    if (queues === undefined) this.#queues.set(topic, (queues = []));
    return (queues[partition] ??= new PartitionQueue(topic, partition, this.#options.maxInFlightOfPartition));
  }

  #openBatch(queue: PartitionQueue): ProducerBatch {
    const { clock, lingerMs, deliveryTimeoutMs } = this.#options;
    queue.open = new ProducerBatch(queue.topic, queue.partition, clock.monotonic(), this.newWriter());
    this.active.add(queue);
    this.#expireAfter(deliveryTimeoutMs);
    this.#options.onReady(lingerMs);
    return queue.open;
  }

  /** One timer for all: it is set for the oldest batch. */
  #expireAfter(delayMs: number): void {
    this.#cancelExpiry ??= this.#options.clock.after(delayMs, () => {
      this.#cancelExpiry = undefined;
      const nextMs = this.#expire();
      if (nextMs !== undefined) this.#expireAfter(nextMs);
    });
  }

  /** Milliseconds until the next one falls due; undefined: there is none. */
  #expire(): number | undefined {
    const { clock, deliveryTimeoutMs } = this.#options;
    const nowMs = clock.monotonic();
    let oldestMs: number | undefined;
    for (const batch of this.unsettled()) {
      if (batch.isSettled) continue;
      if (nowMs - batch.createdAtMs < deliveryTimeoutMs) {
        oldestMs = Math.min(oldestMs ?? batch.createdAtMs, batch.createdAtMs);
        continue;
      }
      const wasSent = batch.isOutcomeUnknown || this.queueOf(batch).inFlight.includes(batch);
      const { topic, partition, lastError } = batch;
      this.fail(batch, new DeliveryTimeoutError(topic, partition, deliveryTimeoutMs, lastError), wasSent);
    }
    return oldestMs === undefined ? undefined : oldestMs + deliveryTimeoutMs - nowMs;
  }
}

function headerBytes(headers: readonly HeaderEntry[]): number {
  let bytes = 0;
  for (const [name, value] of headers) bytes += 10 + 3 * name.length + (value?.length ?? 0);
  return bytes;
}

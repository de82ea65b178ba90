import { partitionOf, type BytesProducer } from '@millrace/client/bytes';
import type { HeaderEntry } from '@millrace/serde';
import { isMillraceError } from '@millrace/platform';
import { MissingTopicError } from './errors.ts';
import type { RecordCollector, Refusal } from '../task/ports.ts';

/** A record for a topic whose partition count is being asked for. */
interface Waiting {
  readonly timestampMs: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly HeaderEntry[];
  /** undefined: without the topic the session cannot go on. */
  readonly refuse: Refusal | undefined;
}

/** Codes with which no record is taken for a topic, by whoever asks again. */
const unwritable: ReadonlySet<string> = new Set([
  'UNKNOWN_TOPIC_OR_PARTITION',
  'INVALID_TOPIC_EXCEPTION',
  'TOPIC_AUTHORIZATION_FAILED',
]);

/**
 * Where tasks put their records: the producer's batches. Synchronous, since an operator is: a topic that a function has just
 * named is asked for in the background, and its records wait for the answer, in order.
 */
export class RecordOutput implements RecordCollector {
  readonly #producer: BytesProducer;
  readonly #partitionCounts = new Map<string, number>();
  readonly #waiting = new Map<string, Waiting[]>();
  readonly #lookups = new Set<Promise<void>>();
  #failure: unknown;
  #isFull = false;
  #recordCount = 0;
  #stickyPartition = 0;

  constructor(producer: BytesProducer, partitionCounts: ReadonlyMap<string, number>) {
    this.#producer = producer;
    for (const [topic, count] of partitionCounts) this.#partitionCounts.set(topic, count);
  }

  /** The producer's buffer is full: `settled` before more records are processed. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** Records sent since the last `takeRecordCount`: whether a transaction has begun. */
  takeRecordCount(): number {
    const count = this.#recordCount;
    this.#recordCount = 0;
    // Records without a key stay on one partition for a commit interval, which makes for few and large batches (KIP-480).
    this.#stickyPartition++;
    return count;
  }

  get hasRecords(): boolean {
    return this.#recordCount > 0;
  }

  partitionCount(topic: string): number {
    const count = this.#partitionCounts.get(topic);
    if (count === undefined) throw new MissingTopicError([topic], 'writes');
    return count;
  }

  send(
    topic: string,
    partition: number,
    timestampMs: number,
    key: Uint8Array | null,
    value: Uint8Array | null,
    headers: readonly HeaderEntry[],
    onUnknown?: () => Refusal,
  ): void {
    this.#recordCount++;
    if (partition < 0) {
      const count = this.#partitionCounts.get(topic);
      if (count === undefined) return this.#wait(topic, { timestampMs, key, value, headers, refuse: onUnknown?.() });
      partition = key === null ? this.#stickyPartition % count : partitionOf(key, count);
    }
    if (!this.#producer.append(topic, partition, timestampMs, key, value, headers)) this.#isFull = true;
  }

  /** Resolves when the producer takes records again and none waits for its topic. @throws what a topic could not be asked for with */
  async settled(): Promise<void> {
    while (this.#lookups.size > 0) await Promise.all(this.#lookups);
    if (this.#failure !== undefined) throw this.#failure;
    if (!this.#isFull) return;
    await this.#producer.drained();
    this.#isFull = false;
  }

  #wait(topic: string, record: Waiting): void {
    const others = this.#waiting.get(topic);
    if (others !== undefined) return void others.push(record);
    this.#waiting.set(topic, [record]);
    const lookup = this.#lookUp(topic).finally(() => this.#lookups.delete(lookup));
    this.#lookups.add(lookup);
  }

  async #lookUp(topic: string): Promise<void> {
    let refusal: unknown;
    try {
      this.#partitionCounts.set(topic, await this.#producer.partitionCount(topic));
    } catch (error) {
      refusal = error;
    }
    const records = this.#waiting.get(topic)!;
    this.#waiting.delete(topic);
    this.#recordCount -= records.length; // they were counted when they came
    try {
      for (const { timestampMs, key, value, headers, refuse } of records) {
        if (refusal === undefined) this.send(topic, -1, timestampMs, key, value, headers);
        else if (refuse !== undefined && isMillraceError(refusal) && unwritable.has(refusal.code)) refuse(refusal);
        else throw refusal;
      }
    } catch (error) {
      this.#failure ??= error;
    }
  }
}

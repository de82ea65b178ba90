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
  readonly partitionBytes: Uint8Array | undefined;
}

/** A topic that is there. */
interface Target {
  partitionCount: number;
  /** Since the last `takeRecordCount`. */
  isWritten: boolean;
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
  readonly #targets = new Map<string, Target>();
  /** Names of those that are written. */
  readonly #written: string[] = [];
  readonly #waiting = new Map<string, Waiting[]>();
  readonly #lookups = new Set<Promise<void>>();
  #failure: unknown;
  #isFull = false;
  #recordCount = 0;
  #stickyPartition = 0;

  constructor(producer: BytesProducer, partitionCounts: ReadonlyMap<string, number>) {
    this.#producer = producer;
    for (const [topic, partitionCount] of partitionCounts)
      this.#targets.set(topic, { partitionCount, isWritten: false });
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
    for (const topic of this.#written.splice(0)) void this.#askAgain(topic);
    return count;
  }

  /** A topic may be given more partitions. The producer's answer is as old as its metadata may be, so it costs no request. */
  async #askAgain(topic: string): Promise<void> {
    const target = this.#targets.get(topic)!;
    target.isWritten = false;
    const count = await this.#producer.partitionCount(topic).catch(() => 0); // it is being deleted: the next record says so
    if (count > 0) target.partitionCount = count;
  }

  get hasRecords(): boolean {
    return this.#recordCount > 0;
  }

  partitionCount(topic: string): number {
    const target = this.#targets.get(topic);
    if (target === undefined) throw new MissingTopicError([topic], 'writes');
    return this.#countOf(topic, target);
  }

  send(
    topic: string,
    partition: number,
    timestampMs: number,
    key: Uint8Array | null,
    value: Uint8Array | null,
    headers: readonly HeaderEntry[],
    onUnknown?: () => Refusal,
    partitionBytes?: Uint8Array,
  ): void {
    this.#recordCount++;
    if (partition < 0) {
      const target = this.#targets.get(topic);
      if (target === undefined) {
        return this.#wait(topic, { timestampMs, key, value, headers, refuse: onUnknown?.(), partitionBytes });
      }
      const count = this.#countOf(topic, target);
      partition = key === null ? this.#stickyPartition % count : partitionOf(partitionBytes ?? key, count);
    }
    if (!this.#producer.append(topic, partition, timestampMs, key, value, headers)) this.#isFull = true;
  }

  #countOf(topic: string, target: Target): number {
    if (!target.isWritten) {
      target.isWritten = true;
      this.#written.push(topic);
    }
    return target.partitionCount;
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
      this.#targets.set(topic, { partitionCount: await this.#producer.partitionCount(topic), isWritten: false });
    } catch (error) {
      refusal = error;
    }
    const records = this.#waiting.get(topic)!;
    this.#waiting.delete(topic);
    this.#recordCount -= records.length; // they were counted when they came
    try {
      for (const { timestampMs, key, value, headers, refuse, partitionBytes } of records) {
        if (refusal === undefined) this.send(topic, -1, timestampMs, key, value, headers, undefined, partitionBytes);
        else if (refuse !== undefined && isMillraceError(refusal) && unwritable.has(refusal.code)) refuse(refusal);
        else throw refusal;
      }
    } catch (error) {
      this.#failure ??= error;
    }
  }
}

import { partitionForKey } from '@millrace/client';
import type { HeaderEntry } from '@millrace/serde';
import type { InputRecord } from '../task/ports.ts';

/** A record of a simulated topic. */
export interface LogRecord extends InputRecord {
  readonly partition: number;
}

/** A topic in memory: what was committed to it, in order. */
export class SimulatedTopic {
  readonly name: string;
  readonly partitionCount: number;
  /** All partitions, in the order in which they were written. */
  readonly records: LogRecord[] = [];
  readonly partitions: readonly LogRecord[][];
  #nextWithoutKey = 0;

  constructor(name: string, partitionCount: number) {
    this.name = name;
    this.partitionCount = partitionCount;
    this.partitions = Array.from({ length: partitionCount }, () => []);
  }

  append(record: Omit<LogRecord, 'offset'>): void {
    const partition = this.partitions[record.partition];
    if (partition === undefined) {
      throw new RangeError(`${this.name} has ${this.partitionCount} partitions; there is no ${record.partition}.`);
    }
    const appended = { ...record, offset: partition.length };
    partition.push(appended);
    this.records.push(appended);
  }

  /** Where a record goes that names no partition. */
  partitionOf(key: Uint8Array | null): number {
    return key === null ? this.#nextWithoutKey++ % this.partitionCount : partitionForKey(key, this.partitionCount);
  }
}

/** A record on its way to a topic, in a transaction. */
export interface PendingRecord {
  readonly topic: string;
  readonly partition: number;
  readonly timestampMs: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly HeaderEntry[];
  readonly partitionBytes: Uint8Array | undefined;
}

/** The topics of a test, made when they are first named. They outlive a crash. */
export class SimulatedCluster {
  readonly #partitionCountOf: (topic: string) => number;
  readonly #topics = new Map<string, SimulatedTopic>();

  constructor(partitionCountOf: (topic: string) => number) {
    this.#partitionCountOf = partitionCountOf;
  }

  topic(name: string): SimulatedTopic {
    let topic = this.#topics.get(name);
    if (topic === undefined) {
      topic = new SimulatedTopic(name, this.#partitionCountOf(name));
      this.#topics.set(name, topic);
    }
    return topic;
  }

  get topics(): Iterable<SimulatedTopic> {
    return this.#topics.values();
  }

  append({ topic: name, partition, partitionBytes, ...record }: PendingRecord): void {
    const topic = this.topic(name);
    topic.append({ ...record, partition: partition < 0 ? topic.partitionOf(partitionBytes ?? record.key) : partition });
  }
}

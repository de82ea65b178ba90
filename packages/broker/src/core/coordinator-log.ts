import type { PartitionLog } from '@millrace/log';
import type { Clock } from '@millrace/platform';
import { attributesOf, RecordBatchWriter, type RecordReader } from '@millrace/protocol';
import { RequestRefusedError } from './errors.ts';
import type { Partitions } from './partitions.ts';
import { readRecords } from './read-records.ts';

/** A key with its last value; null deletes it. */
export interface CoordinatorRecord {
  readonly key: Uint8Array;
  readonly value: Uint8Array | null;
}

/** Records on their way to the disk. */
export interface AppendedRecords {
  /** Offset of the first; the others follow it. */
  readonly baseOffset: number;
  /** Resolves when they are durable: what an answer waits for. */
  readonly done: Promise<void>;
}

/** What was written, read again at start. */
export type ReplayedRecord = {
  readonly partition: number;
  readonly offset: number;
} & (
  | {
      readonly kind: 'record';
      readonly key: Uint8Array;
      readonly value: Uint8Array | null;
      /** Of a transaction's records; −1: of none. */
      readonly producerId: number;
    }
  | { readonly kind: 'marker'; readonly producerId: number; readonly isCommit: boolean }
);

/** A producer on whose behalf records are written: they count once its transaction commits. */
export interface TransactionalProducer {
  readonly producerId: number;
  readonly producerEpoch: number;
}

/**
 * Where a coordinator keeps its state: an internal, compacted topic. Its memory is what the log says; whatever it answers waits
 * until the log is durable that far.
 */
export interface CoordinatorLog {
  /** False until something was to be written: the topic is made then. */
  readonly isOpen: boolean;
  /** Makes the topic if it is missing. */
  open(): Promise<void>;
  /** Which partition a group or a transactional id lives on. The log is open. */
  partitionOf(id: string): number;
  /** The epoch that guards a partition against older coordinators. */
  epochOf(partition: number): number;
  /**
   * Appends one batch; what it says is true from here on.
   * @throws {BatchTooLargeError}, {RecordListTooLargeError}: nothing was written
   */
  append(partition: number, records: readonly CoordinatorRecord[], producer?: TransactionalProducer): AppendedRecords;
  /** Everything written, partition by partition, in order. A log that is not open has nothing. */
  replay(visit: (record: ReplayedRecord) => void): Promise<void>;
}

/** Whether an append was refused because its records do not fit one batch. */
export function isTooLargeForBatch(error: unknown): boolean {
  const { code } = error as { readonly code?: unknown };
  return code === 'MESSAGE_TOO_LARGE' || code === 'RECORD_LIST_TOO_LARGE';
}

/** Kafka's partition of an id: Java's `String.hashCode`, made positive, modulo the number of partitions. */
export function partitionOfId(id: string, partitionCount: number): number {
  let hash = 0;
  for (let index = 0; index < id.length; index++) hash = (Math.imul(hash, 31) + id.charCodeAt(index)) | 0;
  return (hash === -0x8000_0000 ? 0 : Math.abs(hash)) % partitionCount;
}

/** The coordinator log as an internal topic of the broker. */
export class InternalTopicLog implements CoordinatorLog {
  readonly #partitions: Partitions;
  readonly #clock: Clock;
  readonly #name: string;
  readonly #partitionCount: number;
  readonly #configs: Readonly<Record<string, string>>;
  readonly #writer = new RecordBatchWriter();

  constructor(options: {
    readonly partitions: Partitions;
    readonly clock: Clock;
    readonly topic: string;
    /** When the topic is made; one that exists keeps its number. */
    readonly partitionCount: number;
    readonly configs: Readonly<Record<string, string>>;
  }) {
    this.#partitions = options.partitions;
    this.#clock = options.clock;
    this.#name = options.topic;
    this.#partitionCount = options.partitionCount;
    this.#configs = options.configs;
  }

  get isOpen(): boolean {
    return this.#partitions.topic(this.#name) !== undefined;
  }

  async open(): Promise<void> {
    await this.#partitions.ensureInternalTopic(this.#name, {
      partitionCount: this.#partitionCount,
      configs: this.#configs,
    });
  }

  partitionOf(id: string): number {
    const topic = this.#partitions.topic(this.#name);
    return partitionOfId(id, topic?.logs.length ?? this.#partitionCount);
  }

  epochOf(partition: number): number {
    return this.#log(partition).leaderEpoch;
  }

  append(partition: number, records: readonly CoordinatorRecord[], producer?: TransactionalProducer): AppendedRecords {
    const nowMs = this.#clock.now();
    const writer = this.#writer;
    writer.reset();
    for (const { key, value } of records) writer.append(nowMs, key, value);
    const batch = writer.close(producer === undefined ? {} : { ...producer, isTransactional: true });
    const { baseOffset, commit } = this.#log(partition).append(batch, 'coordinator');
    return { baseOffset, done: commit.done };
  }

  async replay(visit: (record: ReplayedRecord) => void): Promise<void> {
    for (const log of this.#partitions.topic(this.#name)?.logs ?? []) {
      await readRecords(log, (reader) => {
        const replayed = replayedRecord(log.partition, reader);
        if (replayed !== undefined) visit(replayed);
      });
    }
  }

  #log(partition: number): PartitionLog {
    const log = this.#partitions.log(this.#name, partition);
    if (log !== undefined) return log;
    throw new RequestRefusedError(
      'COORDINATOR_NOT_AVAILABLE',
      `${this.#name}-${partition}, where the coordinator keeps its state, does not exist. Find the coordinator again.`,
      { context: { topic: this.#name, partition } },
    );
  }
}

function replayedRecord(partition: number, reader: RecordReader): ReplayedRecord | undefined {
  const { header, offset, key, value } = reader;
  if (key === null) return undefined;
  if (attributesOf.isControl(header.attributes)) {
    const type = controlType(key);
    if (type !== controlTypes.abort && type !== controlTypes.commit) return undefined;
    return {
      kind: 'marker',
      partition,
      offset,
      producerId: header.producerId,
      isCommit: type === controlTypes.commit,
    };
  }
  const producerId = attributesOf.isTransactional(header.attributes) ? header.producerId : -1;
  return { kind: 'record', partition, offset, key, value, producerId };
}

const controlTypes = { abort: 0, commit: 1 } as const;

/** A control record's key is its version and its type, 16 bits each. */
function controlType(key: Uint8Array): number {
  return key.length < 4 ? -1 : (key[2]! << 8) | key[3]!;
}

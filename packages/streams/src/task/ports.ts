import type { HeaderEntry, RecordHeaders } from '@millrace/serde';
import type { Clock } from '@millrace/platform';
import type { SinkNode } from '../plan/plan.ts';
import type { SinkRecord } from '../sink.ts';

/** A record as the task reads it. One reused object will do: nothing of it is kept. The bytes are only read during the call. */
export interface InputRecord {
  readonly offset: number;
  readonly timestampMs: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly HeaderEntry[];
}

/** Where a task's records go: output topics, repartition topics, changelogs, dead letters. */
export interface RecordCollector {
  /** Of an output topic: for partitioners, and for what is sent by key. */
  partitionCount(topic: string): number;
  /**
   * The bytes are the collector's from here on. `partition` −1: by murmur2 of `partitionBytes` (default: the key), without a key as
   * the producer likes.
   * @param onUnknown called if the topic must be asked for first; what it gives back is called if there is none, instead of failing
   */
  send(
    topic: string,
    partition: number,
    timestampMs: number,
    key: Uint8Array | null,
    value: Uint8Array | null,
    headers: readonly HeaderEntry[],
    onUnknown?: () => Refusal,
    partitionBytes?: Uint8Array,
  ): void;
}

/** A record was not sent, since its topic cannot be written. May throw: then the task fails with that. */
export type Refusal = (error: unknown) => void;

/** A record that a policy retried, skipped or sent to a dead-letter topic. */
export interface RecordFailure {
  readonly node: string;
  readonly error: unknown;
  readonly outcome: 'retried' | 'skipped' | 'deadLettered';
  readonly source: {
    readonly topic: string;
    readonly partition: number;
    readonly offset: number;
    readonly timestampMs: number;
  };
}

/** A record as it passes an observed node. The object and its headers are the observer's. */
export interface ObservedRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestampMs: number;
  readonly key: unknown;
  readonly value: unknown;
  readonly headers: RecordHeaders;
}

/** A change of a store as it goes on: at once, or at the commit. undefined: not there. */
export interface ObservedChange {
  readonly key: unknown;
  readonly oldValue: unknown;
  readonly newValue: unknown;
  readonly timestampMs: number;
}

/** A global table, as tasks look things up in it. */
export interface GlobalStore {
  get(key: unknown): unknown;
}

/** What a task needs of the world around it. */
export interface TaskEnvironment {
  readonly applicationId: string;
  readonly collector: RecordCollector;
  /** A result for a sink. `record` is the sink's to keep. `source`: the record that it is from. */
  readonly sink: (
    node: SinkNode,
    record: SinkRecord<unknown, unknown>,
    source: { readonly topic: string; readonly partition: number },
  ) => void;
  readonly globalStores: ReadonlyMap<string, GlobalStore>;
  /** The wall clock: for timers, time limits and retries. */
  readonly clock: Clock;
  /** An answer of `mapAsync` has come, or a retry is due: call `resume`, in a turn of its own. */
  readonly onProgress: () => void;
  readonly onFailure?: ((failure: RecordFailure) => void) | undefined;
  /** Called for nodes and stores that are observed, see `Task.observe`. */
  readonly onRecord?: ((nodeName: string, record: ObservedRecord) => void) | undefined;
  readonly onChange?: ((storeName: string, change: ObservedChange) => void) | undefined;
}

import type { Serde, Topic, TopicPattern } from '@millrace/serde';
import { DuplicateNameError, InvalidPlanError, type ErrorPolicy } from '../errors.ts';
import { buildPlan } from '../plan/build-plan.ts';
import { topologyOf, type Topology } from '../plan/topology.ts';
import type {
  KeyValueStore,
  KeyValueStoreOptions,
  ProcessorStore,
  StoreSettings,
  WindowStore,
  WindowStoreOptions,
} from '../stores.ts';
import type { KeyValueView, WindowView } from '../views.ts';
import { checkMsOrUndefined, checkName, Draft, orJson } from './draft.ts';
import type { KStream } from './kstream.ts';
import type { GlobalKTable, StoredKTable } from './ktable.ts';
import { StreamHandle } from './stream-handle.ts';
import { GlobalTableHandle, TableHandle } from './table-handle.ts';

/** What `new StreamsBuilder` takes besides the id. */
export interface BuilderOptions {
  /** What nodes do that do not say. Default `'fail'`. */
  readonly onError?: ErrorPolicy | undefined;
}

/** How a topic is read. */
export interface SourceOptions<K, V> {
  readonly name?: string | undefined;
  /** Where a partition with no committed offset begins. Default `'earliest'`. */
  readonly autoOffsetReset?: 'earliest' | 'latest' | undefined;
  /** Event time. Default: the record's timestamp. */
  readonly timestampMs?: ((value: V, key: K, recordMs: number) => number) | undefined;
  /** A record that its serde refuses, or a null where the serde is not `nullable`. Default: the builder's `onError`. */
  readonly onInvalid?: ErrorPolicy | undefined;
}

/**
 * Where a plan begins.
 *
 *     const builder = new StreamsBuilder('word-count');
 *     builder.stream(lines)…
 *     export const topology = builder.build();
 */
export class StreamsBuilder {
  readonly #draft: Draft;

  /** The id prefixes the names of internal topics and is the consumer group. `[a-zA-Z0-9._-]`, at most 100 characters. */
  constructor(applicationId: string, options: BuilderOptions = {}) {
    checkName('application', applicationId);
    this.#draft = new Draft(applicationId, options.onError ?? 'fail');
  }

  /** The records of a topic, or of all topics that a pattern matches. */
  stream<K, V>(topic: Topic<K, V> | TopicPattern<K, V>, options: SourceOptions<K, V> = {}): KStream<K, V> {
    return new StreamHandle(this.#draft, this.#source(topic, options), topic.key);
  }

  /** The topic is the table's changelog, so it should be compacted. Null deletes. */
  table<K, V>(
    topic: Topic<K, V>,
    options: StoreSettings & SourceOptions<K, V>,
  ): StoredKTable<NonNullable<K>, NonNullable<V>> {
    const source = this.#source(topic, { ...options, name: undefined });
    const settings = { name: options.name, emit: options.emit, ttlMs: options.ttlMs, value: topic.value as Serde<any> };
    return TableHandle.stored(this.#draft, 'tableSource', source, topic.key, settings, topic.name);
  }

  /** The topic as a table that is whole on every instance; it is read from its first record, and not part of any task. */
  globalTable<K, V>(
    topic: Topic<K, V>,
    options: Pick<StoreSettings, 'name'> & Pick<SourceOptions<K, V>, 'onInvalid'>,
  ): GlobalKTable<NonNullable<K>, NonNullable<V>> {
    const { name, onInvalid = this.#draft.onError } = options;
    checkName('store', name);
    if (this.#draft.globalTables.has(name)) throw new DuplicateNameError('stores', name);
    const { key, value } = topic as Topic<unknown, unknown>;
    this.#draft.globalTables.set(name, { store: name, topic: topic.name, key, value, onInvalid });
    return new GlobalTableHandle(this.#draft, topic.key, name);
  }

  /** A store for `process`. Processors that share one run in the same task. */
  keyValueStore<K, V>(options: KeyValueStoreOptions<K, V>): ProcessorStore<K, KeyValueView<K, V>, KeyValueStore<K, V>> {
    const { name, key, ttlMs } = options;
    checkMsOrUndefined('ttlMs', ttlMs, 1);
    this.#addStore(name, key, options.value, 'keyValue', { ttlMs, windowMs: 0, retentionMs: 0 });
    return Object.freeze({ storeName: name, key });
  }

  /** A store for `process` with a value per key and window; a window goes `retentionMs` after its end, in stream time. */
  windowStore<K, V>(options: WindowStoreOptions<K, V>): ProcessorStore<K, WindowView<K, V>, WindowStore<K, V>> {
    const { name, key, sizeMs, retentionMs } = options;
    checkMsOrUndefined('sizeMs', sizeMs, 1);
    checkMsOrUndefined('retentionMs', retentionMs, 0);
    this.#addStore(name, key, options.value, 'window', { ttlMs: undefined, windowMs: sizeMs, retentionMs });
    return Object.freeze({ storeName: name, key });
  }

  /**
   * Checks the whole plan and freezes it.
   * @throws {InvalidPlanError} `INVALID_PLAN`
   * @throws {NotCopartitionedError} `NOT_COPARTITIONED`
   * @throws {NondeterministicSinkError} `NONDETERMINISTIC_SINK`
   */
  build(): Topology {
    return topologyOf(buildPlan(this.#draft));
  }

  #addStore(
    name: string,
    key: Serde<any>,
    value: Serde<any> | undefined,
    kind: 'keyValue' | 'window',
    times: { readonly ttlMs: number | undefined; readonly windowMs: number; readonly retentionMs: number },
  ): void {
    const changelog = { kind: 'changelog', name } as const;
    this.#draft.addStore({ name, kind, key, value: orJson(value), changelog, emit: 'update', ...times });
  }

  /** One node a topic: its records come once, whoever reads them. */
  #source<K, V>(topic: Topic<K, V> | TopicPattern<K, V>, options: SourceOptions<K, V>): number {
    const fields = {
      key: topic.key as Serde<any>,
      value: topic.value as Serde<any>,
      autoOffsetReset: options.autoOffsetReset ?? 'earliest',
      timestampMs: options.timestampMs,
      onInvalid: options.onInvalid ?? this.#draft.onError,
      acceptsNullValues: false,
    } as const;
    if ('pattern' in topic) {
      const { pattern } = topic;
      return this.#draft.add('source', [], { name: options.name }, { topic: { kind: 'pattern', pattern }, ...fields });
    }
    if (topic.numPartitions !== undefined) this.#draft.partitionCounts.set(topic.name, topic.numPartitions);
    const earlier = this.#draft.findSource(topic.name);
    if (earlier === undefined) {
      checkName('topic', topic.name, 249);
      const ref = { kind: 'external', name: topic.name } as const;
      return this.#draft.add('source', [], { name: options.name }, { topic: ref, ...fields });
    }
    const differs = (['key', 'value', 'autoOffsetReset', 'timestampMs'] as const).find(
      (field) => earlier[field] !== fields[field],
    );
    if (differs !== undefined) {
      throw new InvalidPlanError(
        `The topic '${topic.name}' is read twice with different ${differs}. Its records come once: declare the topic once, ` +
          'and give the options where it is first read.',
        { topic: topic.name, option: differs },
      );
    }
    return earlier.id;
  }
}

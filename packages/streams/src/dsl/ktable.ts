/** `KTable`: for each key its latest value. A change replaces, a deletion removes. */
import type { Serde, TopicSink, ValueSerde, Windowed } from '@millrace/serde';
import type { NodeOptions } from '../errors.ts';
import type { KGroupedTable } from './grouping.ts';
import type { KStream } from './kstream.ts';
import type { Result } from './literals.ts';
import type { ReadOnlyKeyValueStore, ReadOnlyWindowStore, Stored, StoreOptions } from '../stores.ts';
import type { KeyValueView, WindowView } from '../views.ts';

type Joiner<V, W, K, R> = (left: V, right: W, key: K) => Result<R>;

/** What a table's `mapValues` and joins make takes no room: `materialize` it to query it. */
export interface KTable<in out K, out V> {
  /** How its keys are encoded. */
  readonly key: Serde<K>;
  readonly kind: 'table';

  filter<W extends V>(predicate: (value: V, key: K) => value is W, options?: NodeOptions): KTable<K, W>;
  filter(predicate: (value: V, key: K) => boolean, options?: NodeOptions): KTable<K, V>;
  mapValues<W>(mapper: (value: V, key: K) => Result<W>, options?: NodeOptions): KTable<K, W>;

  /** Rows with the same key, as long as both are there. Both tables have the same number of partitions. */
  join<W, R>(other: KTable<K, W>, joiner: Joiner<V, W, K, R>, options?: NodeOptions): KTable<K, R>;
  leftJoin<W, R>(other: KTable<K, W>, joiner: Joiner<V, W | undefined, K, R>, options?: NodeOptions): KTable<K, R>;
  outerJoin<W, R>(
    other: KTable<K, W>,
    joiner: Joiner<V | undefined, W | undefined, K, R>,
    options?: NodeOptions,
  ): KTable<K, R>;

  /** Re-keys a table: a row that changes leaves its old group and enters its new one. Rows mapped to null are left out. */
  groupBy<K2, W>(
    mapper: (value: V, key: K) => { readonly key: NoInfer<K2>; readonly value: Result<W> } | null,
    options: TableGroupOptions<K2, W>,
  ): KGroupedTable<K2, W>;

  /** Keeps the rows in a store of its own, so that they can be queried. */
  materialize<T = V>(options: StoreOptions<T, V>): StoredKTable<K, T>;
  apply<R>(operator: (table: KTable<K, V>) => R): R;

  /** Every change. null: the key was deleted. */
  toStream(options?: NodeOptions): KStream<K, V | null>;
  /** Inserts and updates, without the deletions. */
  updates(options?: NodeOptions): KStream<K, V>;
  /** Every change, deletions as tombstones: the topic is this table. */
  to(topic: TopicSink<K, V>, options?: NodeOptions): void;
}

/** A table with a store of its own: it can be queried, in the app and in tests. */
export interface StoredKTable<in out K, out V>
  extends KTable<K, V>, Stored<KeyValueView<K, V>, ReadOnlyKeyValueStore<K, V>> {}

/** Keys are windows. */
export interface WindowedKTable<in out K, out V>
  extends KTable<Windowed<K>, V>, Stored<WindowView<K, V>, ReadOnlyWindowStore<K, V>> {
  /** Each window once, when its end and grace are past. Kafka Streams' `suppress(untilWindowCloses())`, without the buffer. */
  final(options?: NodeOptions): KStream<Windowed<K>, V>;
}

/** Whole on every instance, so it joins any stream, by any of its fields, with no repartitioning. */
export interface GlobalKTable<in out K, out V> extends Stored<KeyValueView<K, V>, ReadOnlyKeyValueStore<K, V>> {
  readonly key: Serde<K>;
  readonly kind: 'globalTable';
}

/** The new key's name (of its repartition topic) and serde; `value:` where JSON would lose something. */
export type TableGroupOptions<K, V> = { readonly name: string; readonly key: Serde<K> } & ValueSerde<V>;

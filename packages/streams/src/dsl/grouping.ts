/** Grouped streams and tables. Windows exist only here: `groupBy…().windowedBy()`. */
import type { JsonOf, Serde, Serializer } from '@millrace/serde';
import type { Aggregates, InvertibleAggregates, RowOf } from './aggregators.ts';
import type { KStream } from './kstream.ts';
import type { StoredKTable, WindowedKTable } from './ktable.ts';
import type { Literals } from './literals.ts';
import type { Retention, StoreOptions, StoreSettings } from '../stores.ts';
import type { TimeWindows } from './windows.ts';

/** Gives the next aggregate, and leaves the one it was given as it is. */
type Add<A, V, K> = (aggregate: A, value: V, key: K) => NoInfer<A> | Literals;

/** For ready-made aggregates. `value` is the serde of the stream's values, asked for where the row keeps what JSON would lose. */
export type RowOptions<A, T, V> = StoreSettings &
  ([RowOf<A>] extends [JsonOf<RowOf<A>>]
    ? { readonly value?: (Serde<T> & Serializer<V>) | undefined }
    : { readonly value: Serde<T> & Serializer<V> });

/** Takes a value out of an aggregate again. */
export interface Subtract<A, V, K> {
  readonly subtract: (aggregate: A, value: V, key: K) => A | Literals;
}

/** One rule for all of these: a record whose value is null is dropped and counted. */
export interface KGroupedStream<in out K, out V> {
  readonly kind: 'groupedStream';
  count(options: StoreOptions<number>): StoredKTable<K, number>;
  reduce<T = V>(reducer: Add<NoInfer<T>, V, K>, options: StoreOptions<T, V>): StoredKTable<K, T>;
  aggregate<A>(initial: () => A, add: Add<A, V, K>, options: StoreOptions<A>): StoredKTable<K, A>;
  aggregate<A extends Aggregates<V>, T = V>(aggregates: A, options: RowOptions<A, T, V>): StoredKTable<K, RowOf<A>>;
  windowedBy(windows: TimeWindows): TimeWindowedKStream<K, V>;
}

/** A grouped stream, to be folded window by window. */
export interface TimeWindowedKStream<in out K, out V> {
  readonly kind: 'timeWindowedStream';
  count(options: StoreOptions<number> & Retention): WindowedKTable<K, number>;
  reduce<T = V>(reducer: Add<NoInfer<T>, V, K>, options: StoreOptions<T, V> & Retention): WindowedKTable<K, T>;
  aggregate<A>(initial: () => A, add: Add<A, V, K>, options: StoreOptions<A> & Retention): WindowedKTable<K, A>;
  aggregate<A extends Aggregates<V>, T = V>(
    aggregates: A,
    options: RowOptions<A, T, V> & Retention,
  ): WindowedKTable<K, RowOf<A>>;
  /** The records that came too late for every window of theirs. Without it they are counted, and gone. */
  late(consumer: (late: KStream<K, V>) => void): TimeWindowedKStream<K, V>;
}

/** When a row changes its old value is subtracted and its new one added: so only what can subtract is here. */
export interface KGroupedTable<in out K, out V> {
  readonly kind: 'groupedTable';
  count(options: StoreOptions<number>): StoredKTable<K, number>;
  reduce<T = V>(
    add: Add<NoInfer<T>, V, K>,
    options: StoreOptions<T, V> & Subtract<NoInfer<T>, V, K>,
  ): StoredKTable<K, T>;
  aggregate<A>(
    initial: () => A,
    add: Add<A, V, K>,
    options: StoreOptions<A> & Subtract<NoInfer<A>, V, K>,
  ): StoredKTable<K, A>;
  aggregate<A extends InvertibleAggregates<V>>(aggregates: A, options: StoreSettings): StoredKTable<K, RowOf<A>>;
}

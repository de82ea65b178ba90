/** `KStream`: an unbounded sequence of records, each one a fact. */
import type { HeadersInit, JsonOf, RecordHeaders, Serde, Serializer, TopicSink, ValueSerde } from '@millrace/serde';
import type { OperatorFunction } from 'rxjs';
import type { NodeOptions } from '../errors.ts';
import type { KGroupedStream } from './grouping.ts';
import type { GlobalKTable, KTable, StoredKTable } from './ktable.ts';
import type { Result } from './literals.ts';
import type { Processor, ProcessorStores } from './processor.ts';
import type { Sink } from '../sink.ts';
import type { StoreOptions } from '../stores.ts';
import type { JoinWindow } from './windows.ts';

/** The record behind the value at hand. One object a task, reused: read it during the call only. */
export interface RecordContext {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestampMs: number;
  readonly headers: RecordHeaders;
}

/** What `map` and `flatMap` make. Time and headers default to those of the record at hand. */
export interface KeyedValue<K, V> {
  readonly key: K;
  readonly value: V;
  readonly timestampMs?: number | undefined;
  readonly headers?: HeadersInit | undefined;
}

/**
 * A new key needs a name and a serde. The name is the repartition topic's (`<applicationId>-<name>-repartition`), which is
 * made only if something downstream needs equal keys together (a group, a join, a store).
 */
export type RekeyOptions<K, T, V = T> = NodeOptions & { readonly name: string; readonly key: Serde<K> } & ValueSerde<
    T,
    V
  >;

/** A topic `<applicationId>-<name>-repartition` is written and read. `numPartitions`: default as many as the source has. `partitioner`: default by the hash of the key. */
export type RepartitionOptions<T, V = T> = {
  readonly name: string;
  readonly numPartitions?: number | undefined;
  readonly partitioner?: Partitioner<V> | undefined;
} & ValueSerde<T, V>;
/** Says which partition a record goes to: a whole number from 0 below `numPartitions`. */
export type Partitioner<V> = (
  value: V,
  context: { readonly keyBytes: Uint8Array | null; readonly numPartitions: number },
) => number;

/** Each side waits for the other in a buffer: `left` and `right` are their serdes, `name` names them. */
export type StreamJoinOptions<T, V, W> = NodeOptions & { readonly name: string } & JoinWindow &
  ([T] extends [JsonOf<T>]
    ? { readonly left?: (Serde<T> & Serializer<V>) | undefined }
    : { readonly left: Serde<T> & Serializer<V> }) &
  ([W] extends [JsonOf<W>] ? { readonly right?: Serde<W> | undefined } : { readonly right: Serde<W> });

/** How a row of a global table is found. */
export interface OnOptions<V, K, G> extends NodeOptions {
  /** The key to look up in the table; null or undefined finds nothing. */
  readonly on: (value: V, key: K) => G | null | undefined;
}

/** The bounds of calls to the outside. */
export interface MapAsyncOptions extends NodeOptions {
  /** Calls in flight, per task. When they are used up the task stops pulling: that is the backpressure. */
  readonly concurrency: number;
  /** Per attempt; then `context.signal` aborts, and the attempt has failed. */
  readonly timeoutMs: number;
  /** In which order results go on. `'key'` (default): as the records of each key came. `'partition'`: as all came. */
  readonly order?: 'key' | 'partition' | 'none' | undefined;
}

/** Unlike `RecordContext` it is the call's own, and may be kept across an await. */
export interface AsyncContext extends RecordContext {
  readonly signal: AbortSignal;
  /** 0 at the first try. */
  readonly attempt: number;
}

/** Functions have a `call`, options have none: so the last operator is not taken for options. */
export interface PipeOptions extends NodeOptions {
  readonly call?: never;
}

/** How records are written. `partitioner`: default by the hash of the key. */
export interface ToOptions<V> extends NodeOptions {
  readonly partitioner?: Partitioner<V> | undefined;
}

type Op<A, B> = OperatorFunction<A, B>;
type Key<K> = NonNullable<K>;
type Fn<V, K, R> = (value: V, key: K, context: RecordContext) => R;
type Joiner<V, W, K, R> = (left: V, right: W, key: K) => Result<R>;

/** Guards by name. `rest` is taken. */
export type Branches<V, K> = Readonly<Record<string, Fn<V, K, boolean>>> & { readonly rest?: never };
type Guarded<F> = F extends ((value: any, ...rest: any[]) => value is infer G) ? G : never;
type Narrowed<V, F> = F extends ((value: any, ...rest: any[]) => value is infer G) ? G : V;
/** A stream a name, and `rest`: what no branch took, with the types of the guards taken out. */
export type Branched<K, V, B> = { readonly [P in keyof B]: KStream<K, Narrowed<V, B[P]>> } & {
  readonly rest: KStream<K, Exclude<V, { [P in keyof B]: Guarded<B[P]> }[keyof B]>>;
};

/**
 * Functions take `(value, key, context)`: the value first, as most need no more. A method runs nothing; it adds a node to the
 * plan. `V` is covariant: a stream of paid orders is a stream of orders. `K` is invariant, as encodings are.
 */
export interface KStream<in out K, out V> {
  /** How its keys are encoded. */
  readonly key: Serde<K>;
  readonly kind: 'stream';

  // ── A record at a time. The key stays, so nothing is repartitioned ──

  filter<W extends V>(
    predicate: (value: V, key: K, context: RecordContext) => value is W,
    options?: NodeOptions,
  ): KStream<K, W>;
  filter(predicate: Fn<V, K, boolean>, options?: NodeOptions): KStream<K, V>;
  mapValues<W>(mapper: Fn<V, K, Result<W>>, options?: NodeOptions): KStream<K, W>;
  flatMapValues<W>(mapper: Fn<V, K, Iterable<Result<W>>>, options?: NodeOptions): KStream<K, W>;
  /** Looks, changes nothing. */
  peek(action: Fn<V, K, void>, options?: NodeOptions): KStream<K, V>;
  withTimestamp(timestampMs: Fn<V, K, number>, options?: NodeOptions): KStream<K, V>;
  /** Adds to the headers. */
  withHeaders(headers: Fn<V, K, HeadersInit>, options?: NodeOptions): KStream<K, V>;

  /**
   * RxJS 7 operators over the values, as on an Observable. Subscribed once a task; key, time and headers go around them, so
   * each result has those of the record that was being pushed when it came out.
   * @throws `LATE_EMISSION`: an operator emitted after the push (`debounceTime`, `delay`, a promise); use a window, a
   * processor with timers, `mapAsync`. `SEGMENT_COMPLETED`: one completed (`take`, `first`)
   */
  pipe<A, B, C, D, E, F, G, H, I>(
    a: Op<V, A>,
    b: Op<A, B>,
    c: Op<B, C>,
    d: Op<C, D>,
    e: Op<D, E>,
    f: Op<E, F>,
    g: Op<F, G>,
    h: Op<G, H>,
    i: Op<H, I>,
    options?: PipeOptions,
  ): KStream<K, I>;
  pipe<A, B, C, D, E, F, G, H>(
    a: Op<V, A>,
    b: Op<A, B>,
    c: Op<B, C>,
    d: Op<C, D>,
    e: Op<D, E>,
    f: Op<E, F>,
    g: Op<F, G>,
    h: Op<G, H>,
    options?: PipeOptions,
  ): KStream<K, H>;
  pipe<A, B, C, D, E, F, G>(
    a: Op<V, A>,
    b: Op<A, B>,
    c: Op<B, C>,
    d: Op<C, D>,
    e: Op<D, E>,
    f: Op<E, F>,
    g: Op<F, G>,
    options?: PipeOptions,
  ): KStream<K, G>;
  pipe<A, B, C, D, E, F>(
    a: Op<V, A>,
    b: Op<A, B>,
    c: Op<B, C>,
    d: Op<C, D>,
    e: Op<D, E>,
    f: Op<E, F>,
    options?: PipeOptions,
  ): KStream<K, F>;
  pipe<A, B, C, D, E>(
    a: Op<V, A>,
    b: Op<A, B>,
    c: Op<B, C>,
    d: Op<C, D>,
    e: Op<D, E>,
    options?: PipeOptions,
  ): KStream<K, E>;
  pipe<A, B, C, D>(a: Op<V, A>, b: Op<A, B>, c: Op<B, C>, d: Op<C, D>, options?: PipeOptions): KStream<K, D>;
  pipe<A, B, C>(a: Op<V, A>, b: Op<A, B>, c: Op<B, C>, options?: PipeOptions): KStream<K, C>;
  pipe<A, B>(a: Op<V, A>, b: Op<A, B>, options?: PipeOptions): KStream<K, B>;
  pipe<A>(a: Op<V, A>, options?: PipeOptions): KStream<K, A>;

  /**
   * A call to the outside for each record: bounded, in order, retried by `onError`, drained before each commit. The result is
   * exactly once; the call may be made again after a crash.
   */
  mapAsync<W>(
    call: (value: V, key: K, context: AsyncContext) => PromiseLike<Result<W>>,
    options: MapAsyncOptions,
  ): KStream<K, W>;

  /** A user's own operator: `stream.apply(sessionize({ gapMs }))`. */
  apply<R>(operator: (stream: KStream<K, V>) => R): R;

  // ── A new key ──

  selectKey<K2, T = V>(mapper: Fn<V, K, NoInfer<K2>>, options: RekeyOptions<K2, T, V>): KStream<K2, T>;
  map<K2, W>(mapper: Fn<V, K, KeyedValue<NoInfer<K2>, Result<W>>>, options: RekeyOptions<K2, W>): KStream<K2, W>;
  flatMap<K2, W>(
    mapper: Fn<V, K, Iterable<KeyedValue<NoInfer<K2>, Result<W>>>>,
    options: RekeyOptions<K2, W>,
  ): KStream<K2, W>;
  /** Goes through a topic here: to spread work, to choose partitions, to fix results before a sink. */
  repartition<T = V>(options: RepartitionOptions<T, V>): KStream<K, T>;

  // ── Several streams ──

  /** Each record goes to the first branch that takes it, else to `rest`. Type guards narrow, also those the compiler infers. */
  branch<B extends Branches<V, K>>(branches: B, options?: NodeOptions): Branched<K, V, B>;
  /** Both, in the order of their times. */
  merge<W>(other: KStream<K, W>, options?: NodeOptions): KStream<K, V | W>;

  // ── State. A record with a null key is dropped and counted ──

  groupByKey(): KGroupedStream<Key<K>, V>;
  groupBy<K2, T = V>(mapper: Fn<V, K, NoInfer<K2>>, options: RekeyOptions<K2, T, V>): KGroupedStream<Key<K2>, T>;
  /** The last value of each key; null deletes it. */
  toTable<T = NonNullable<V>>(options: StoreOptions<T, NonNullable<V>>): StoredKTable<Key<K>, T>;
  /** A function of your own per record, with stores and timers. */
  process<W = never, const S extends ProcessorStores = {}>(processor: Processor<V, Key<K>, W, S>): KStream<Key<K>, W>;

  // ── Joins. The other side has the same key type, or `on` says which of its keys is meant ──

  join<W, R, T = V>(
    other: KStream<Key<K>, W>,
    joiner: Joiner<NoInfer<T>, W, Key<K>, R>,
    options: StreamJoinOptions<T, V, W>,
  ): KStream<Key<K>, R>;
  /** The table as it is now. */
  join<W, R>(table: KTable<Key<K>, W>, joiner: Joiner<V, W, Key<K>, R>, options?: NodeOptions): KStream<Key<K>, R>;
  join<G, W, R>(table: GlobalKTable<G, W>, joiner: Joiner<V, W, K, R>, options: OnOptions<V, K, G>): KStream<K, R>;

  leftJoin<W, R, T = V>(
    other: KStream<Key<K>, W>,
    joiner: Joiner<NoInfer<T>, W | undefined, K, R>,
    options: StreamJoinOptions<T, V, W>,
  ): KStream<K, R>;
  leftJoin<W, R>(
    table: KTable<Key<K>, W>,
    joiner: Joiner<V, W | undefined, K, R>,
    options?: NodeOptions,
  ): KStream<K, R>;
  leftJoin<G, W, R>(
    table: GlobalKTable<G, W>,
    joiner: Joiner<V, W | undefined, K, R>,
    options: OnOptions<V, K, G>,
  ): KStream<K, R>;

  outerJoin<W, R, T = V>(
    other: KStream<K, W>,
    joiner: Joiner<NoInfer<T> | undefined, W | undefined, K, R>,
    options: StreamJoinOptions<T, V, W>,
  ): KStream<K, R>;

  // ── Ends ──

  /** Null is written as a tombstone. A function chooses a topic for each record. */
  to(topic: TopicSink<K, NonNullable<V>> | Fn<V, K, TopicSink<K, NonNullable<V>>>, options?: ToOptions<V>): void;
  sink(sink: Sink<K, V>, options?: NodeOptions): void;
}

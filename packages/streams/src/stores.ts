/** State: how a store is declared, used inside a task, read from outside. */
import type { Serde, ValueSerde, Windowed } from '@millrace/serde';

// ── Declaring one ────────────────────────────────────────────────────────────────────────────────────────────────────

/** What every named store takes. */
export interface StoreSettings {
  /** Names the store and its changelog topic (`<applicationId>-<name>-changelog`). Under another name the state starts empty. */
  readonly name: string;
  /**
   * When changes go on. `'commit'` (default): the last one of each key, at each commit. `'update'`: every one. (Windows once
   * and for all, when they close: the table's `final()`.)
   */
  readonly emit?: 'commit' | 'update' | undefined;
  /** An entry not written for so long, in stream time, is deleted, and a tombstone goes on. Default: kept for ever. */
  readonly ttlMs?: number | undefined;
}

/** A store of `T`. `value` is asked for only where JSON would lose something. */
export type StoreOptions<T, V = T> = StoreSettings & ValueSerde<T, V>;

/** How long windows are kept. */
export interface Retention {
  /** How long windows stay readable after they have closed. Default: until they close. */
  readonly retentionMs?: number | undefined;
}

declare const types: unique symbol;
/** A named store of the plan: `View` reads it from outside, `Store` is what a task and the test driver see. */
export interface Stored<View, Store> {
  readonly storeName: string;
  /** Only in types. */
  readonly [types]?: { readonly view: View; readonly store: Store };
}

/** A store for `process`, made by `builder.keyValueStore` or `builder.windowStore`. */
export interface ProcessorStore<K, View, Store> extends Stored<View, Store> {
  readonly key: Serde<K>;
}
/** What `builder.keyValueStore` takes. */
export type KeyValueStoreOptions<K, V> = Omit<StoreSettings, 'emit'> & { readonly key: Serde<K> } & ValueSerde<V>;
/** What `builder.windowStore` takes. */
export type WindowStoreOptions<K, V> = {
  readonly name: string;
  readonly key: Serde<K>;
  readonly sizeMs: number;
  readonly retentionMs: number;
} & ValueSerde<V>;

/** Where stores are kept is said when the app starts, not in the plan. Backends implement `@millrace/streams/state`. */
export interface StoreBackend {
  readonly kind: string;
}

// ── Inside a task: synchronous ───────────────────────────────────────────────────────────────────────────────────────

/** What a task and the test driver read of a key-value store. */
export interface ReadOnlyKeyValueStore<K, V> {
  get(key: K): V | undefined;
  /** In the order of the encoded keys, bounds included. */
  range(from: K, to: K): Iterable<readonly [K, V]>;
  all(): Iterable<readonly [K, V]>;
}
/** A processor's key-value store. */
export interface KeyValueStore<K, V> extends ReadOnlyKeyValueStore<K, V> {
  put(key: K, value: V): void;
  delete(key: K): void;
}
/** What a task and the test driver read of a window store. */
export interface ReadOnlyWindowStore<K, V> {
  get(key: K, startMs: number): V | undefined;
  /** Windows of a key that start in this span, bounds included, oldest first. */
  fetch(key: K, span: TimeSpan): Iterable<readonly [Windowed<K>, V]>;
  fetchAll(span: TimeSpan): Iterable<readonly [Windowed<K>, V]>;
}
/** A processor's window store. */
export interface WindowStore<K, V> extends ReadOnlyWindowStore<K, V> {
  put(key: K, value: V, startMs: number): void;
}
/** Both ends included. */
export interface TimeSpan {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Custom processors: stores, timers, any number of results. */
import type { NodeOptions } from '../errors.ts';
import type { RecordContext } from './kstream.ts';
import type { Result } from './literals.ts';
import type { ProcessorStore } from '../stores.ts';

/** The stores of a processor, under the names it calls them by. */
export type ProcessorStores = Readonly<Record<string, ProcessorStore<any, unknown, unknown>>>;
/** Those stores as its functions see them. */
export type StoresOf<S extends ProcessorStores> = {
  readonly [P in keyof S]: S[P] extends ProcessorStore<any, unknown, infer Store> ? Store : never;
};
/** For some of them, the keys that a record reads. */
export type KeysOf<S extends ProcessorStores> = {
  readonly [P in keyof S]?: S[P] extends ProcessorStore<infer K, unknown, unknown> ? Iterable<K> : never;
};

/**
 * Results are what the functions return or yield. They keep the key, so nothing need be repartitioned, and take the record's
 * or the timer's time.
 */
export interface Processor<V, K, W, S extends ProcessorStores> extends NodeOptions {
  /** Names the node and the store of its timers. */
  readonly name: string;
  readonly stores?: S | undefined;
  /**
   * Store keys that a record reads, other than its own key. A store far away (Redis) fetches those of a whole batch at once;
   * there, a key not declared is an error (`KEY_NOT_DECLARED`), and so are `range` and `all`.
   */
  readonly keys?: ((value: V, key: K) => KeysOf<S>) | undefined;
  onRecord(value: V, key: K, context: ProcessorContext<S>): Iterable<Result<W>> | void;
  onTimer?(timer: Timer, key: K, context: ProcessorContext<S>): Iterable<Result<W>> | void;
}

/** What a processor sees besides the record: its stores, its timers, the time. */
export interface ProcessorContext<S extends ProcessorStores> extends RecordContext {
  readonly stores: StoresOf<S>;
  readonly timers: Timers;
  /** The greatest event time that this task has seen. */
  readonly streamTimeMs: number;
}

/** A timer that has fired. `atMs`: when it was due, which may be before now. */
export interface Timer {
  readonly name: string;
  readonly atMs: number;
  readonly clock: 'stream' | 'wall';
}

/** Timers of the current key. Kept in the changelog: they outlive a crash, and fire once. */
export interface Timers {
  /** Sets the timer, or moves it. `'stream'` (default) fires when stream time gets there, `'wall'` by the clock. */
  set(name: string, options: { readonly atMs: number; readonly clock?: 'stream' | 'wall' | undefined }): void;
  cancel(name: string): void;
}

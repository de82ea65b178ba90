/** Stores as they are read from outside: asynchronous, across instances. */
import type { Windowed } from '@millrace/serde';
import type { Observable } from 'rxjs';
import type { TimeSpan } from './stores.ts';

/** An answer, and how old it may be: so many records of its input had the owner not yet read. */
export interface Answer<T> {
  readonly value: T;
  readonly lagRecords: number;
  /** `host:port` of the instance that answered; undefined: this one. */
  readonly from: string | undefined;
}

/** How a view is read. */
export interface ReadOptions {
  /** Read your writes: wait until the store reflects this position of its input (of a producer's ack, of a command's reply). */
  readonly after?: { readonly topic: string; readonly partition: number; readonly offset: number } | undefined;
  /** Default 5000. @throws `VIEW_TIMEOUT` */
  readonly timeoutMs?: number | undefined;
}

/** A change of a row. */
export interface Change<K, V> {
  readonly key: K;
  /** undefined: the key is new. */
  readonly oldValue: V | undefined;
  /** undefined: the key was deleted. */
  readonly newValue: V | undefined;
  readonly timestampMs: number;
}

/** Rows as they come from each instance, and how old they may be. */
export interface Scan<T> extends AsyncIterable<T> {
  readonly lagRecords: Promise<number>;
}

/** A table, read from outside. @throws `NO_OWNER` while a key's partition is between owners (retriable) */
export interface KeyValueView<K, V> {
  get(key: K, options?: ReadOptions): Promise<Answer<V | undefined>>;
  range(from: K, to: K): Scan<readonly [K, V]>;
  all(): Scan<readonly [K, V]>;
  /** Changes in this instance's share, after their commit. Hot; a slow subscriber gets the last change of each key. */
  readonly changes$: Observable<Change<K, V>>;
}
/** A windowed table, read from outside. */
export interface WindowView<K, V> {
  get(key: K, startMs: number, options?: ReadOptions): Promise<Answer<V | undefined>>;
  fetch(key: K, span: TimeSpan): Scan<readonly [Windowed<K>, V]>;
  fetchAll(span: TimeSpan): Scan<readonly [Windowed<K>, V]>;
  readonly changes$: Observable<Change<Windowed<K>, V>>;
}

import type { Windowed } from '@millrace/serde';
import type { CachedStore } from '../state/cached-store.ts';
import type { Entry } from '../state/entry.ts';
import type { Look } from '../state/facades.ts';
import type { ObservedChange } from '../task/ports.ts';
import type { CurrentRecord } from '../task/record-context.ts';
import type { Receiver } from './receiver.ts';

/** How a table is looked up by those that join it. */
export interface TableGetter {
  /** As of now. */
  get(key: unknown): unknown;
  /**
   * As those downstream know it: without the changes that still wait for the commit. A join of two tables works on this, so that
   * the old value it takes back is the one it has given.
   */
  getPassedOn(key: unknown): unknown;
  /** Time of the row; −1: there is none. */
  timestampOf(key: unknown): number;
}

/** The store of a table: takes changes, and passes them on at once or at the commit. */
export class StoredTable implements TableGetter {
  readonly store: CachedStore;
  /** 0: keys are the store's. Else windows of that size: keys go on with their window. */
  readonly #windowMs: number;
  readonly #look: Look | undefined;
  readonly #record: CurrentRecord;
  readonly #next: Receiver;
  readonly #pending: Entry[] = [];
  readonly #passesOnAtOnce: boolean;
  onChange: ((change: ObservedChange) => void) | undefined = undefined;

  constructor(
    store: CachedStore,
    record: CurrentRecord,
    next: Receiver,
    options: { readonly look?: Look | undefined; readonly windowMs?: number | undefined } = {},
  ) {
    this.store = store;
    this.#record = record;
    this.#next = next;
    this.#look = options.look;
    this.#windowMs = options.windowMs ?? 0;
    this.#passesOnAtOnce = store.plan.emit === 'update';
    store.onExpired = (entry) => this.#expire(entry);
  }

  get(key: unknown): unknown {
    const entry = this.#peek(key);
    return entry === undefined || this.store.isExpired(entry) ? undefined : this.view(entry.value);
  }

  getPassedOn(key: unknown): unknown {
    const entry = this.#peek(key);
    const pending = entry ?? this.#pendingDeletion(key);
    if (pending?.isPending === true) return pending.passedOn;
    return this.view(entry?.value);
  }

  timestampOf(key: unknown): number {
    return this.#peek(key)?.timestampMs ?? -1;
  }

  /** Deletes nothing: what has reached its age goes on in its turn, not in the midst of the change that looks it up. */
  #peek(key: unknown): Entry | undefined {
    if (this.#windowMs === 0) return this.store.peek(0, key);
    const { key: inner, window } = key as Windowed<unknown>;
    return this.store.peek(window.startMs, inner);
  }

  #pendingDeletion(key: unknown): Entry | undefined {
    if (this.#windowMs === 0) return this.store.pendingEntry(0, key);
    const { key: inner, window } = key as Windowed<unknown>;
    return this.store.pendingEntry(window.startMs, inner);
  }

  /** What readers see of a value. */
  view(value: unknown): unknown {
    return value === undefined || this.#look === undefined ? value : this.#look(value);
  }

  /** Called before an entry's value is changed, in place or by `put`; gives what readers have seen of it. */
  before(entry: Entry): unknown {
    if (entry.isPending) return undefined;
    return this.view(entry.value);
  }

  /** @param before what `before` gave */
  put(entry: Entry, value: unknown, timestampMs: number, before: unknown): void {
    this.store.write(entry, value, timestampMs);
    const record = this.#record;
    if (this.#passesOnAtOnce) {
      const saved = record.timestampMs;
      record.timestampMs = timestampMs;
      this.#passOn(entry, this.view(value), before);
      record.timestampMs = saved;
      entry.offset = record.offset;
      return;
    }
    if (!entry.isPending) {
      entry.isPending = true;
      entry.passedOn = before;
      this.#pending.push(entry);
    }
    entry.topic = record.topic;
    entry.partition = record.partition;
    entry.offset = record.offset;
    entry.headers = record.headerEntries;
  }

  /**
   * At the commit: passes on the last change of each key, in the order in which they were first changed.
   * @param goesOn asked before each; false: the rest waits for the next call
   */
  passOnPending(goesOn: () => boolean): void {
    const record = this.#record;
    let i = 0;
    for (; i < this.#pending.length && goesOn(); i++) {
      const entry = this.#pending[i]!;
      const { passedOn } = entry;
      entry.isPending = false;
      entry.passedOn = undefined;
      record.topic = entry.topic;
      record.partition = entry.partition;
      record.offset = entry.offset;
      record.timestampMs = entry.timestampMs;
      record.sourceTimestampMs = entry.timestampMs;
      record.headerEntries = entry.headers;
      record.sourceHeaders = entry.headers;
      record.keyBytes = null;
      record.valueBytes = null;
      this.#passOn(entry, this.view(entry.value), passedOn);
    }
    this.#pending.splice(0, i);
  }

  #passOn(entry: Entry, newValue: unknown, oldValue: unknown): void {
    if (newValue === undefined && oldValue === undefined) return; // came and went between two commits
    const key = this.#windowMs === 0 ? entry.key : windowedKey(entry, this.#windowMs);
    this.onChange?.({ key, oldValue, newValue, timestampMs: entry.timestampMs });
    this.#next.receive(key, newValue, oldValue);
  }

  #expire(entry: Entry): void {
    this.put(entry, undefined, Math.max(entry.timestampMs, this.store.streamTimeMs), this.before(entry));
  }
}

/** The key of an entry as it goes on. */
export function windowedKey(entry: Entry, windowMs: number): Windowed<unknown> {
  return { key: entry.key, window: { startMs: entry.startMs, endMs: entry.startMs + windowMs } };
}

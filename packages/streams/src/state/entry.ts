import type { HeaderEntry } from '@millrace/serde';

/** A place of a store in memory: its value as an object, and as bytes as long as nobody has asked for it. */
export class Entry {
  readonly startMs: number;
  readonly key: unknown;
  /** undefined: nothing there. While `valueBytes` is set: not decoded yet. */
  value: unknown = undefined;
  valueBytes: Uint8Array | null = null;
  keyBytes: Uint8Array | null;
  timestampMs = -1;
  /** Waits to be written to the changelog. */
  isDirty = false;
  /** The changelog holds a value of it. */
  isLogged = false;
  /** Its change waits to be passed on at the commit; `passedOn` is what those downstream know. */
  isPending = false;
  passedOn: unknown = undefined;
  /** Commits that the backend has not applied yet. */
  inFlight = 0;
  /** Batch in which it was last used. */
  usedIn = 0;
  /** The last prefetch that asked for it: until the batch is processed it stays. */
  wantedIn: number = -Infinity;
  /** It has a place in the heap of ages. */
  isAging = false;
  /** The record that was last written from: results that wait for the commit are that record's. */
  topic = '';
  partition = 0;
  offset = -1;
  headers: readonly HeaderEntry[] = noHeaders;

  constructor(startMs: number, key: unknown, keyBytes: Uint8Array | null) {
    this.startMs = startMs;
    this.key = key;
    this.keyBytes = keyBytes;
  }
}

export const noHeaders: readonly HeaderEntry[] = [];

import type { PlanStore } from '../plan/plan.ts';
import type { BackendStore, StoreWrite } from './store-backend.ts';

/**
 * A store of a task as the runtime handles it: filled before the task runs, flushed at each commit. (Operators see the typed
 * stores that implement it.)
 *
 * Without a backend it lives in memory, all of it, and is filled from its changelog by `restore`. With one, what is in memory is
 * a cache of decoded objects, and a replay goes to the backend.
 */
export interface StateStore {
  readonly plan: PlanStore;
  /** Entries in memory. */
  readonly entryCount: number;
  /** Records that `flush` has appended to the changelog since the store was made. */
  readonly appendedCount: number;
  /** About what an entry takes in memory: a decoded object is some times its bytes, and has its place in a map. */
  readonly meanEntryBytes: number;
  /** Event time of the store's operator: −1 before its first record. Late records are late by this. */
  readonly streamTimeMs: number;

  /** Uses a backend that has been claimed and is up to date. `streamTimeMs` is what its claim said. */
  attach(backend: BackendStore, streamTimeMs: number): void;
  /** Takes a changelog record in, control records too. The bytes are copied. For a backend: only its stream time. */
  restore(key: Uint8Array, value: Uint8Array | null, timestampMs: number): void;
  /** Called once after the last `restore`, before the task runs: finds timers and ages again. */
  open(): Promise<void>;

  /** The records that `flush` has written since the last call, for the backend. Empty without one. */
  takeCommit(): TakenCommit;
  /** The backend has applied what a `takeCommit` gave: its entries may leave the cache. */
  release(commit: TakenCommit): void;
  /**
   * Drops clean entries, the longest unused first, where there are more than `entryCount`. Does nothing without a backend. Of what
   * waits for a match, an age or a time all stays in memory.
   */
  evict(entryCount: number): void;
}

/** Changes of a commit. */
export interface TakenCommit {
  /** Last value of each key, in the order in which `flush` appended them to the changelog. */
  readonly writes: readonly StoreWrite[];
  /** Records appended to the changelog: `writes`, and perhaps a control record behind them. */
  readonly recordCount: number;
  /** For a table whose changelog is its source: offset of each write there. Else undefined: by place before the acked end. */
  readonly offsets: readonly number[] | undefined;
  readonly expireBeforeMs: number;
  readonly streamTimeMs: number;
}

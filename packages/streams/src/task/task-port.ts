import type { InputRecord } from './ports.ts';
import type { StateStore } from '../state/state-store.ts';

/**
 * A sub-topology on one partition number, as the runtime drives it. All but `drain` and `prefetch` is synchronous. The order of a
 * commit: `drain` and `passOn` until nothing is left to drain, then `flush`, then sinks, producer, offsets, the stores' backends.
 *
 * Whatever throws ends the task: close it, and open a new one from the last commit.
 */
export interface StreamTask {
  readonly subtopology: number;
  readonly partition: number;
  /** In the order of the plan. */
  readonly stores: readonly StateStore[];
  /** Greatest event time seen. −1: none yet. Committed with the offsets, and given back to `start`. */
  readonly streamTimeMs: number;
  readonly metrics: TaskMetrics;

  /** Called once, when all stores are filled and open. */
  start(streamTimeMs: number): void;

  // ── Records ──

  /**
   * False: calls to the outside are at their bound, or a retry waits. Then `process` is not called until `resume` has been.
   */
  readonly canProcess: boolean;
  /** @param source place in the sub-topology's `sources`; a pattern's topics share it, hence `topic` */
  process(source: number, topic: string, record: InputRecord): void;
  /** Takes answers that have come, and does retries that are due. */
  resume(): void;

  /** Stores with a far backend: every record of a batch is announced, then `prefetch` fetches all they need in one go. */
  readonly needsPrefetch: boolean;
  announce(source: number, topic: string, record: InputRecord): void;
  /** `'stale'`: claim and replay that store before going on. What was announced is forgotten either way. */
  prefetch(): Promise<{ readonly verdict: 'current' } | { readonly verdict: 'stale'; readonly store: StateStore }>;

  // ── Time ──

  /** As a record of that time would: windows close, timers fire. */
  advanceStreamTime(timeMs: number): void;
  /** Fires wall-clock timers that are due. With a far backend: `announceWallClock` and `prefetch` first. */
  advanceWallClock(nowMs: number): void;
  announceWallClock(nowMs: number): void;
  /** When the next wall-clock timer is due; undefined: there is none. */
  readonly nextWallTimerMs: number | undefined;
  /** The least `idleCloseMs` of its windows; undefined: they close by stream time alone. */
  readonly idleCloseMs: number | undefined;
  /** All inputs are read to their ends and have been silent for so long: closes the windows that said so. With a far backend: `announceIdle` and `prefetch` first. */
  closeIdle(idleMs: number): void;
  announceIdle(idleMs: number): void;

  // ── Commit ──

  /** Whether calls are in flight or retries wait: then a commit has to `drain` first. */
  readonly isDrained: boolean;
  /** Resolves when none is left, having resumed as answers came. Rejects with the failure that ends the task. */
  drain(): Promise<void>;
  /** Lets what waits for the commit go on. Calls and retries may come of it: `drain`, and call it again. */
  passOn(): void;
  /** Appends every dirty entry to its changelog. Only when drained, and when `passOn` has left nothing to drain. */
  flush(): void;
  /** Whether anything was processed since the last flush. */
  readonly isDirty: boolean;

  /** From now on reports what passes a node, or changes of a store, to the environment. Idempotent. */
  observe(nodeOrStoreName: string): void;
  /** Aborts calls in flight, unsubscribes segments. Nothing is written. Idempotent. */
  close(): void;
}

/** Counts since the task was made. */
export interface TaskMetrics {
  readonly processedRecords: number;
  /** Too late for every window of theirs. */
  readonly lateRecords: number;
  /** Null keys where state needs one, null values where nothing can be made of them. */
  readonly droppedRecords: number;
  readonly skippedRecords: number;
  readonly deadLetters: number;
  readonly retries: number;
}

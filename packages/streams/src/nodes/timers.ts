import { Heap } from '../heap.ts';
import type { Timer, Timers } from '../dsl/processor.ts';
import type { CachedStore } from '../state/cached-store.ts';
import type { CurrentRecord } from '../task/record-context.ts';

/** A timer in the heap. Another time or none in the store means that it was moved or cancelled. */
interface Scheduled {
  readonly atMs: number;
  readonly key: unknown;
  readonly keyId: string;
  readonly name: string;
}

/** Timers of a processor, by key: a list per key in the store, and by time in two heaps. */
export class TimerQueue {
  readonly #store: CachedStore;
  readonly #record: CurrentRecord;
  readonly #heaps = { stream: scheduleHeap(), wall: scheduleHeap() };

  constructor(store: CachedStore, record: CurrentRecord) {
    this.#store = store;
    this.#record = record;
  }

  /** The store is filled: its timers are set again. */
  start(): void {
    for (const entry of this.#store.loadedEntriesOf(0)) {
      for (const timer of entry.value as readonly Timer[]) this.#schedule(entry.key, timer);
    }
  }

  /** What a processor gets for the key at hand. */
  forKey(currentKey: () => unknown): Timers {
    return {
      set: (name, { atMs, clock = 'stream' }) => this.#set(currentKey(), { name, atMs, clock }),
      cancel: (name) => this.#remove(currentKey(), name),
    };
  }

  /** When the next one is due, by that clock. */
  nextMs(clock: Timer['clock']): number | undefined {
    const heap = this.#heaps[clock];
    for (let next = heap.peek(); next !== undefined; next = heap.peek()) {
      if (this.#isSet(next, clock)) return next.atMs;
      heap.pop();
    }
    return undefined;
  }

  /** Keys whose timers are due at that time, without reading the store. */
  *keysDue(clock: Timer['clock'], timeMs: number): Iterable<unknown> {
    for (const { atMs, key } of this.#heaps[clock].items) if (atMs <= timeMs) yield key;
  }

  /**
   * Takes out those that are due, one by one; by time, then key, then name. One that was cancelled or moved when its turn comes is
   * passed over; those that are set meanwhile wait for the next call.
   */
  *takeDue(clock: Timer['clock'], timeMs: number): Iterable<{ readonly key: unknown; readonly timer: Timer }> {
    const heap = this.#heaps[clock];
    const due: Scheduled[] = [];
    for (let next = heap.peek(); next !== undefined && next.atMs <= timeMs; next = heap.peek()) {
      heap.pop();
      due.push(next);
    }
    for (const next of due) {
      if (!this.#isSet(next, clock)) continue;
      const { key, name, atMs } = next;
      this.#remove(key, name);
      yield { key, timer: { name, atMs, clock } };
    }
  }

  #set(key: unknown, timer: Timer): void {
    if (!Number.isSafeInteger(timer.atMs)) {
      throw new RangeError(
        `The timer '${timer.name}' is set to ${String(timer.atMs)}: give whole milliseconds since 1970.`,
      );
    }
    const entry = this.#store.entryFor(0, key);
    const others = ((entry.value ?? []) as readonly Timer[]).filter(({ name }) => name !== timer.name);
    this.#store.write(entry, [...others, timer], this.#record.timestampMs);
    this.#schedule(key, timer);
  }

  #remove(key: unknown, name: string): void {
    const entry = this.#store.find(0, key);
    if (entry === undefined) return;
    const others = (entry.value as readonly Timer[]).filter((timer) => timer.name !== name);
    this.#store.write(entry, others.length === 0 ? undefined : others, this.#record.timestampMs);
  }

  #schedule(key: unknown, { name, atMs, clock }: Timer): void {
    const keyId = Buffer.from(this.#store.encodeKey(key)).toString('latin1');
    this.#heaps[clock].push({ atMs, key, keyId, name });
  }

  #isSet({ key, name, atMs }: Scheduled, clock: Timer['clock']): boolean {
    const timers = this.#store.get(0, key) as readonly Timer[] | undefined;
    return timers?.some((timer) => timer.name === name && timer.atMs === atMs && timer.clock === clock) ?? false;
  }
}

function scheduleHeap(): Heap<Scheduled> {
  return new Heap((a, b) => {
    if (a.atMs !== b.atMs) return a.atMs < b.atMs;
    return a.keyId === b.keyId ? a.name < b.name : a.keyId < b.keyId;
  });
}

import { Heap } from '../heap.ts';
import type { NodeOf } from '../plan/plan.ts';
import type { CachedStore } from '../state/cached-store.ts';
import type { BufferedRecord } from '../state/join-buffer-serde.ts';
import type { CurrentRecord } from '../task/record-context.ts';
import type { Failures, TaskCounts } from './failures.ts';
import type { Receiver } from './receiver.ts';
import { isNothing, notPromise } from './stateless.ts';

interface Side {
  readonly isLeft: boolean;
  readonly store: CachedStore;
  /** From a record's time to the other side's that match it. */
  readonly beforeMs: number;
  readonly afterMs: number;
  /** Its records go on without a match, when none can come any more. */
  readonly goesOnAlone: boolean;
}

interface Unmatched {
  readonly side: Side;
  readonly key: unknown;
  readonly record: BufferedRecord;
  /** When stream time is past this, no match can come. */
  readonly lastMs: number;
  readonly order: number;
}

/**
 * Two streams within a time of each other. A record is buffered until stream time, common to both sides, has passed every match
 * it can have; one that comes later than that is late: it meets what is still buffered, and is not buffered itself.
 *
 * Results of one record come in this order: records of either side that have now no match left to come (by time, the right side
 * first, then as they came), then its matches by time.
 */
export class StreamJoinNode {
  readonly left: Receiver;
  readonly right: Receiver;
  readonly #plan: NodeOf<'streamStreamJoin'>;
  readonly #sides: { readonly left: Side; readonly right: Side };
  readonly #record: CurrentRecord;
  readonly #failures: Failures;
  readonly #counts: TaskCounts;
  readonly #next: Receiver;
  readonly #unmatched: Heap<Unmatched> = new Heap(
    (a, b) => a.lastMs < b.lastMs || (a.lastMs === b.lastMs && a.order < b.order),
  );
  #order = 0;
  #streamTimeMs = -1;

  constructor(
    plan: NodeOf<'streamStreamJoin'>,
    stores: { readonly left: CachedStore; readonly right: CachedStore },
    record: CurrentRecord,
    failures: Failures,
    counts: TaskCounts,
    next: Receiver,
  ) {
    const { join, beforeMs, afterMs } = plan;
    this.#plan = plan;
    this.#record = record;
    this.#failures = failures;
    this.#counts = counts;
    this.#next = next;
    const left: Side = { isLeft: true, store: stores.left, beforeMs, afterMs, goesOnAlone: join !== 'inner' };
    const right: Side = {
      isLeft: false,
      store: stores.right,
      beforeMs: afterMs,
      afterMs: beforeMs,
      goesOnAlone: join === 'outer',
    };
    this.#sides = { left, right };
    this.left = { receive: (key, value) => this.#receive(left, right, key, value) };
    this.right = { receive: (key, value) => this.#receive(right, left, key, value) };
  }

  /** The buffers are filled: what waits for a match in them waits again. */
  start(): void {
    const { left, right } = this.#sides;
    this.#advance(Math.max(left.store.streamTimeMs, right.store.streamTimeMs));
    for (const side of [left, right]) {
      if (!side.goesOnAlone) continue;
      for (const startMs of side.store.starts) {
        for (const entry of side.store.loadedEntriesOf(startMs)) {
          for (const record of entry.value as readonly BufferedRecord[]) {
            // What had no match left by then has gone on.
            const lastMs = record.timestampMs + side.afterMs + this.#plan.graceMs;
            if (!record.isMatched && lastMs >= this.#streamTimeMs) this.#wait(side, entry.key, record);
          }
        }
      }
    }
  }

  /** As a record of that time would. */
  advance(timeMs: number): void {
    this.#advance(timeMs);
    this.#passOnUnmatched();
  }

  /** Lists that a record of this side and time reads and writes. */
  announce(isLeft: boolean, keyBytes: Uint8Array, timestampMs: number): void {
    const { left, right } = this.#sides;
    const [own, other] = isLeft ? [left, right] : [right, left];
    own.store.want(segmentOf(own.store, timestampMs), keyBytes);
    for (const startMs of segmentsFor(own, other, timestampMs)) other.store.want(startMs, keyBytes);
  }

  #receive(own: Side, other: Side, key: unknown, value: unknown): void {
    const { timestampMs } = this.#record;
    const hasKey = !isNothing(key);
    if (isNothing(value) || (!hasKey && !own.goesOnAlone)) {
      this.#counts.droppedRecords++;
      return;
    }
    if (!hasKey) return this.#passOn(own, key, value, undefined, timestampMs); // it can have no match
    this.#advance(timestampMs);
    this.#passOnUnmatched();
    const lastMs = timestampMs + own.afterMs + this.#plan.graceMs;
    const isLate = lastMs < this.#streamTimeMs;
    if (isLate) this.#counts.lateRecords++;

    const own_: BufferedRecord = { timestampMs, value, isMatched: false };
    for (const startMs of segmentsFor(own, other, timestampMs)) {
      const entry = other.store.find(startMs, key);
      if (entry === undefined) continue;
      let hasChanged = false;
      for (const match of entry.value as BufferedRecord[]) {
        if (match.timestampMs < timestampMs - own.beforeMs || match.timestampMs > timestampMs + own.afterMs) continue;
        own_.isMatched = true;
        hasChanged ||= other.goesOnAlone && !match.isMatched;
        match.isMatched = true;
        this.#passOn(own, key, value, match.value, Math.max(timestampMs, match.timestampMs));
      }
      if (hasChanged) other.store.write(entry, entry.value, entry.timestampMs);
    }
    if (!isLate) this.#buffer(own, key, own_);
    if (own_.isMatched || !own.goesOnAlone) return;
    if (isLate) this.#passOn(own, key, value, undefined, timestampMs);
    else this.#wait(own, key, own_);
  }

  /** By time; of equal times as they came. */
  #buffer(side: Side, key: unknown, record: BufferedRecord): void {
    const entry = side.store.entryFor(segmentOf(side.store, record.timestampMs), key);
    const records = (entry.value ?? []) as BufferedRecord[];
    let at = records.length;
    while (at > 0 && records[at - 1]!.timestampMs > record.timestampMs) at--;
    records.splice(at, 0, record);
    side.store.write(entry, records, Math.max(entry.timestampMs, record.timestampMs));
  }

  #wait(side: Side, key: unknown, record: BufferedRecord): void {
    const lastMs = record.timestampMs + side.afterMs + this.#plan.graceMs;
    this.#unmatched.push({ side, key, record, lastMs, order: this.#order++ });
  }

  #passOnUnmatched(): void {
    const first = this.#unmatched.peek();
    if (first === undefined || first.lastMs >= this.#streamTimeMs) return;
    const due: Unmatched[] = [];
    for (let next = this.#unmatched.peek(); next !== undefined && next.lastMs < this.#streamTimeMs;) {
      if (!next.record.isMatched) due.push(next);
      this.#unmatched.pop();
      next = this.#unmatched.peek();
    }
    due.sort(
      (a, b) =>
        a.record.timestampMs - b.record.timestampMs ||
        Number(a.side.isLeft) - Number(b.side.isLeft) ||
        a.order - b.order,
    );
    for (const { side, key, record } of due) this.#passOn(side, key, record.value, undefined, record.timestampMs);
  }

  #passOn(own: Side, key: unknown, value: unknown, match: unknown, timestampMs: number): void {
    let joined: unknown;
    try {
      joined = own.isLeft ? this.#plan.joiner(value, match, key) : this.#plan.joiner(match, value, key);
      notPromise(this.#failures.node, joined);
    } catch (error) {
      return this.#failures.giveUp(error); // its record is buffered by now, so a further try would double it
    }
    const record = this.#record;
    const before = record.timestampMs;
    record.timestampMs = timestampMs;
    this.#next.receive(key, joined, undefined);
    record.timestampMs = before;
  }

  #advance(timeMs: number): void {
    if (timeMs <= this.#streamTimeMs) return;
    this.#streamTimeMs = timeMs;
    this.#sides.left.store.advance(timeMs);
    this.#sides.right.store.advance(timeMs);
  }
}

function segmentOf(store: CachedStore, timestampMs: number): number {
  return Math.floor(timestampMs / store.plan.windowMs) * store.plan.windowMs;
}

/** Segments of the other side in which a record of this one can have matches, ascending; only those that exist. */
function segmentsFor(own: Side, other: Side, timestampMs: number): readonly number[] {
  const from = segmentOf(other.store, Math.max(0, timestampMs - own.beforeMs));
  return other.store.starts.filter((startMs) => startMs >= from && startMs <= timestampMs + own.afterMs);
}

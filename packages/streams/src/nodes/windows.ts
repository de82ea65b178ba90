import type { NodeOf } from '../plan/plan.ts';
import type { Entry } from '../state/entry.ts';
import type { CurrentRecord } from '../task/record-context.ts';
import type { Failures, TaskCounts } from './failures.ts';
import type { Receiver } from './receiver.ts';
import { isNothing, notPromise } from './stateless.ts';
import { windowedKey, type StoredTable } from './stored-table.ts';
import { addTo } from './tables.ts';

/**
 * Folds the records of a group by window. A window takes records until stream time has passed its end by the grace; then it is
 * closed, and goes to `final`, once. Stream time is this node's own: the greatest time of the records that came here.
 */
export class WindowAggregateNode implements Receiver {
  readonly #plan: NodeOf<'windowAggregate'>;
  readonly #table: StoredTable;
  readonly #record: CurrentRecord;
  readonly #failures: Failures;
  readonly #counts: TaskCounts;
  readonly #late: Receiver;
  /** null: nobody asks for final results. */
  readonly #final: Receiver | null;
  /** Of the windows of the record at hand. */
  readonly #entries: Entry[] = [];
  readonly #before: unknown[] = [];
  readonly #states: unknown[] = [];
  /** Windows that end at or before this are closed and passed on. */
  #closedToMs = -1;

  constructor(
    plan: NodeOf<'windowAggregate'>,
    table: StoredTable,
    record: CurrentRecord,
    failures: Failures,
    counts: TaskCounts,
    outputs: { readonly late: Receiver; readonly final: Receiver | null },
  ) {
    this.#plan = plan;
    this.#table = table;
    this.#record = record;
    this.#failures = failures;
    this.#counts = counts;
    this.#late = outputs.late;
    this.#final = outputs.final;
  }

  /** The store is filled: what its stream time has closed was passed on by then. */
  start(): void {
    this.#closedToMs = this.#table.store.streamTimeMs - this.#plan.graceMs;
  }

  receive(key: unknown, value: unknown): void {
    if (isNothing(key) || isNothing(value)) {
      this.#counts.droppedRecords++;
      return;
    }
    const { sizeMs, advanceMs, graceMs, aggregation } = this.#plan;
    const { timestampMs } = this.#record;
    const { store } = this.#table;
    store.advance(timestampMs);
    const closedToMs = store.streamTimeMs - graceMs;
    const entries = this.#entries;
    const before = this.#before;
    const states = this.#states;
    let count = 0;
    const first = Math.floor(Math.max(0, timestampMs - sizeMs + advanceMs) / advanceMs) * advanceMs;
    try {
      for (let startMs = first; startMs <= timestampMs; startMs += advanceMs) {
        if (startMs + sizeMs <= closedToMs) continue; // late for this one
        const entry = store.entryFor(startMs, key);
        entries[count] = entry;
        before[count] = this.#table.before(entry);
        states[count] = addTo(aggregation, entry.value, value, key, timestampMs);
        notPromise(this.#failures.node, states[count]);
        count++;
      }
    } catch (error) {
      return this.#failures.handle(error, key, value, undefined); // no window has it
    }
    for (let i = 0; i < count; i++) {
      const entry = entries[i]!;
      this.#table.put(entry, states[i] ?? undefined, Math.max(entry.timestampMs, timestampMs), before[i]);
    }
    if (count === 0) {
      this.#counts.lateRecords++;
      this.#late.receive(key, value, undefined);
    }
    if (closedToMs > this.#closedToMs) this.#close(closedToMs);
  }

  /** As a record of that time would. */
  advance(timeMs: number): void {
    const { store } = this.#table;
    store.advance(timeMs);
    const closedToMs = store.streamTimeMs - this.#plan.graceMs;
    if (closedToMs > this.#closedToMs) this.#close(closedToMs);
  }

  /** Closes all windows there are. Not ones that begin later: records for them are in time. */
  closeIdle(): void {
    const last = this.#table.store.starts.at(-1);
    if (last !== undefined) this.advance(last + this.#plan.sizeMs + this.#plan.graceMs);
  }

  /** Windows that a record of that time closes, for stores that have to fetch them. */
  startsClosedBy(timeMs: number): readonly number[] {
    if (this.#final === null) return [];
    const closedToMs = timeMs - this.#plan.graceMs;
    return this.#table.store.starts.filter(
      (start) => start + this.#plan.sizeMs > this.#closedToMs && start + this.#plan.sizeMs <= closedToMs,
    );
  }

  #close(closedToMs: number): void {
    const from = this.#closedToMs;
    this.#closedToMs = closedToMs;
    if (this.#final === null) return;
    const { sizeMs } = this.#plan;
    const record = this.#record;
    const { timestampMs } = record;
    const { starts } = this.#table.store;
    for (let i = 0; i < starts.length && starts[i]! + sizeMs <= closedToMs; i++) {
      if (starts[i]! + sizeMs <= from) continue;
      for (const entry of this.#table.store.entriesOf(starts[i]!)) {
        record.timestampMs = entry.timestampMs;
        this.#final.receive(windowedKey(entry, sizeMs), this.#table.view(entry.value), undefined);
      }
    }
    record.timestampMs = timestampMs;
  }
}

import type { Aggregation } from '../plan/aggregation.ts';
import type { CurrentRecord } from '../task/record-context.ts';
import type { RowChange } from '../state/row-change-serde.ts';
import type { Failures, RetriedInput, TaskCounts } from './failures.ts';
import type { Receiver } from './receiver.ts';
import { isNothing, notPromise } from './stateless.ts';
import type { StoredTable, TableGetter } from './stored-table.ts';

/** The last value of each key of a stream or of a table: `table`, `toTable`, `materialize`. */
export class KeepLastNode implements Receiver {
  readonly #table: StoredTable;
  readonly #record: CurrentRecord;
  readonly #counts: TaskCounts;

  constructor(table: StoredTable, record: CurrentRecord, counts: TaskCounts) {
    this.#table = table;
    this.#record = record;
    this.#counts = counts;
  }

  receive(key: unknown, value: unknown): void {
    if (isNothing(key)) {
      this.#counts.droppedRecords++;
      return;
    }
    const { store } = this.#table;
    store.advance(this.#record.timestampMs);
    const entry = store.entryFor(0, key);
    const before = this.#table.before(entry);
    // By offset: the last to come wins, also over one with a later time, as in Kafka Streams.
    this.#table.put(entry, value ?? undefined, this.#record.timestampMs, before);
  }
}

/** Folds the records of a group. */
export class AggregateNode implements Receiver {
  readonly #aggregation: Aggregation;
  readonly #table: StoredTable;
  readonly #record: CurrentRecord;
  readonly #failures: Failures;
  readonly #counts: TaskCounts;

  constructor(
    aggregation: Aggregation,
    table: StoredTable,
    record: CurrentRecord,
    failures: Failures,
    counts: TaskCounts,
  ) {
    this.#aggregation = aggregation;
    this.#table = table;
    this.#record = record;
    this.#failures = failures;
    this.#counts = counts;
  }

  receive(key: unknown, value: unknown): void {
    if (isNothing(key) || isNothing(value)) {
      this.#counts.droppedRecords++;
      return;
    }
    const { timestampMs } = this.#record;
    this.#table.store.advance(timestampMs);
    const entry = this.#table.store.entryFor(0, key);
    const before = this.#table.before(entry);
    let state: unknown;
    try {
      state = addTo(this.#aggregation, entry.value, value, key, timestampMs);
      notPromise(this.#failures.node, state);
    } catch (error) {
      return this.#failures.handle(error, key, value, undefined);
    }
    this.#table.put(entry, state ?? undefined, Math.max(entry.timestampMs, timestampMs), before);
  }
}

/** The next state of a key. */
export function addTo(
  { init, add }: Aggregation,
  state: unknown,
  value: unknown,
  key: unknown,
  timestampMs: number,
): unknown {
  if (state === undefined) {
    if (init === undefined) return value;
    return add(init(), value, key, timestampMs);
  }
  return add(state, value, key, timestampMs);
}

/** Folds the rows of a group: a row that changes is taken out with its old value and put in with its new one. */
export class TableAggregateNode implements Receiver {
  readonly #aggregation: Aggregation;
  readonly #table: StoredTable;
  readonly #record: CurrentRecord;
  readonly #failures: Failures;
  readonly #counts: TaskCounts;

  constructor(
    aggregation: Aggregation,
    table: StoredTable,
    record: CurrentRecord,
    failures: Failures,
    counts: TaskCounts,
  ) {
    this.#aggregation = aggregation;
    this.#table = table;
    this.#record = record;
    this.#failures = failures;
    this.#counts = counts;
  }

  receive(key: unknown, value: unknown): void {
    if (isNothing(key)) {
      this.#counts.droppedRecords++;
      return;
    }
    const { oldValue, newValue } = value as RowChange;
    const { timestampMs } = this.#record;
    this.#table.store.advance(timestampMs);
    const entry = this.#table.store.entryFor(0, key);
    const before = this.#table.before(entry);
    let state = entry.value;
    try {
      if (oldValue !== undefined && state !== undefined) state = this.#aggregation.subtract!(state, oldValue, key);
      if (newValue !== undefined) state = addTo(this.#aggregation, state, newValue, key, timestampMs);
      notPromise(this.#failures.node, state);
    } catch (error) {
      return this.#failures.handle(error, key, value, undefined);
    }
    this.#table.put(entry, state ?? undefined, Math.max(entry.timestampMs, timestampMs), before);
  }
}

type Joiner = (left: any, right: any, key: any) => unknown;

/**
 * A table without a store: computed from another whenever it is asked for. As is the one of `mapValues`; the two differ in what a
 * value becomes, and in that only a filter has changes to keep to itself (Kafka Streams' rule).
 */
export class TableFilterNode implements Receiver, TableGetter {
  readonly #predicate: (value: any, key: any) => boolean;
  readonly #input: TableGetter;
  readonly #failures: Failures;
  readonly #next: Receiver;

  constructor(predicate: (value: any, key: any) => boolean, input: TableGetter, failures: Failures, next: Receiver) {
    this.#predicate = predicate;
    this.#input = input;
    this.#failures = failures;
    this.#next = next;
  }

  get(key: unknown): unknown {
    return this.#passes(key, this.#input.get(key));
  }
  getPassedOn(key: unknown): unknown {
    return this.#passes(key, this.#input.getPassedOn(key));
  }
  timestampOf(key: unknown): number {
    return this.#input.timestampOf(key);
  }

  receive(key: unknown, value: unknown, oldValue: unknown): void {
    let passed: unknown;
    let oldPassed: unknown;
    try {
      passed = this.#passes(key, value);
      oldPassed = this.#passes(key, oldValue);
    } catch (error) {
      return this.#failures.handle(error, key, value, oldValue);
    }
    if (passed !== undefined || oldPassed !== undefined) this.#next.receive(key, passed, oldPassed);
  }

  #passes(key: unknown, value: unknown): unknown {
    return value !== undefined && this.#predicate(value, key) ? value : undefined;
  }
}

export class TableMapValuesNode implements Receiver, TableGetter {
  readonly #mapper: (value: any, key: any) => unknown;
  readonly #input: TableGetter;
  readonly #failures: Failures;
  readonly #next: Receiver;

  constructor(mapper: (value: any, key: any) => unknown, input: TableGetter, failures: Failures, next: Receiver) {
    this.#mapper = mapper;
    this.#input = input;
    this.#failures = failures;
    this.#next = next;
  }

  get(key: unknown): unknown {
    return this.#map(key, this.#input.get(key));
  }
  getPassedOn(key: unknown): unknown {
    return this.#map(key, this.#input.getPassedOn(key));
  }
  timestampOf(key: unknown): number {
    return this.#input.timestampOf(key);
  }

  receive(key: unknown, value: unknown, oldValue: unknown): void {
    let mapped: unknown;
    let oldMapped: unknown;
    try {
      mapped = this.#map(key, value);
      oldMapped = this.#map(key, oldValue);
    } catch (error) {
      return this.#failures.handle(error, key, value, oldValue);
    }
    this.#next.receive(key, mapped, oldMapped);
  }

  #map(key: unknown, value: unknown): unknown {
    if (value === undefined) return undefined;
    const mapped = this.#mapper(value, key);
    notPromise(this.#failures.node, mapped);
    return mapped ?? undefined;
  }
}

/** Rows of two tables with one key. `left` and `right` are what the two inputs pass changes to. */
export class TableTableJoinNode implements TableGetter {
  readonly left: RetriedInput;
  readonly right: RetriedInput;
  readonly #joiner: Joiner;
  readonly #kind: 'inner' | 'left' | 'outer';
  readonly #leftTable: TableGetter;
  readonly #rightTable: TableGetter;

  constructor(
    joiner: Joiner,
    kind: 'inner' | 'left' | 'outer',
    tables: { readonly left: TableGetter; readonly right: TableGetter },
    record: CurrentRecord,
    failures: Failures,
    next: Receiver,
  ) {
    this.#joiner = joiner;
    this.#kind = kind;
    this.#leftTable = tables.left;
    this.#rightTable = tables.right;
    const join: Joiner = (left, right, key) => this.#join(left, right, key);
    this.left = new JoinSide(tables.right, join, record, failures, next);
    this.right = new JoinSide(tables.left, (row, other, key) => join(other, row, key), record, failures, next);
  }

  get(key: unknown): unknown {
    return this.#join(this.#leftTable.get(key), this.#rightTable.get(key), key);
  }
  getPassedOn(key: unknown): unknown {
    return this.#join(this.#leftTable.getPassedOn(key), this.#rightTable.getPassedOn(key), key);
  }
  timestampOf(key: unknown): number {
    return Math.max(this.#leftTable.timestampOf(key), this.#rightTable.timestampOf(key));
  }

  #join(left: unknown, right: unknown, key: unknown): unknown {
    const hasRow =
      this.#kind === 'inner'
        ? left !== undefined && right !== undefined
        : this.#kind === 'left'
          ? left !== undefined
          : left !== undefined || right !== undefined;
    return hasRow ? (this.#joiner(left, right, key) ?? undefined) : undefined;
  }
}

/** A row that waits for its next try, with the one it meets: by then the other table may have changed. */
class Meeting {
  readonly row: unknown;
  readonly other: unknown;
  readonly otherTimeMs: number;

  constructor(row: unknown, other: unknown, otherTimeMs: number) {
    this.row = row;
    this.other = other;
    this.otherTimeMs = otherTimeMs;
  }
}

class JoinSide implements RetriedInput {
  readonly #other: TableGetter;
  readonly #join: (row: unknown, other: unknown, key: unknown) => unknown;
  readonly #record: CurrentRecord;
  readonly #failures: Failures;
  readonly #next: Receiver;

  constructor(
    other: TableGetter,
    join: (row: unknown, other: unknown, key: unknown) => unknown,
    record: CurrentRecord,
    failures: Failures,
    next: Receiver,
  ) {
    this.#other = other;
    this.#join = join;
    this.#record = record;
    this.#failures = failures;
    this.#next = next;
  }

  /** @param value a row, or a `Meeting` of one */
  receive(key: unknown, value: unknown, oldValue: unknown): void {
    const meeting = value instanceof Meeting ? value : undefined;
    let joined: unknown;
    let oldJoined: unknown;
    try {
      const other = meeting === undefined ? this.#other.getPassedOn(key) : meeting.other;
      joined = this.#join(meeting === undefined ? value : meeting.row, other, key);
      oldJoined = this.#join(oldValue, other, key);
      notPromise(this.#failures.node, joined);
    } catch (error) {
      return this.#failures.handle(error, key, value, oldValue);
    }
    if (joined === undefined && oldJoined === undefined) return;
    const record = this.#record;
    const { timestampMs } = record;
    record.timestampMs = Math.max(timestampMs, meeting?.otherTimeMs ?? this.#other.timestampOf(key));
    this.#next.receive(key, joined, oldJoined);
    record.timestampMs = timestampMs;
  }

  hold(key: unknown, value: unknown): unknown {
    if (value instanceof Meeting) return value;
    try {
      return new Meeting(value, this.#other.getPassedOn(key), this.#other.timestampOf(key));
    } catch {
      return value; // a function behind the other table has failed: it is asked again with the next try
    }
  }
}

/** Every change of a table as a record. */
export class ToStreamNode implements Receiver {
  readonly #keepsDeletions: boolean;
  readonly #next: Receiver;

  constructor(keepsDeletions: boolean, next: Receiver) {
    this.#keepsDeletions = keepsDeletions;
    this.#next = next;
  }

  receive(key: unknown, value: unknown): void {
    if (value !== undefined) this.#next.receive(key, value, undefined);
    else if (this.#keepsDeletions) this.#next.receive(key, null, undefined);
  }
}

/** Writes where a row leaves and where it enters; in one record, if that is one group. */
export class TableGroupByNode implements Receiver {
  readonly #mapper: (value: any, key: any) => { readonly key: unknown; readonly value: unknown } | null;
  readonly #isSameKey: (a: unknown, b: unknown) => boolean;
  readonly #failures: Failures;
  readonly #next: Receiver;

  constructor(
    mapper: (value: any, key: any) => { readonly key: unknown; readonly value: unknown } | null,
    isSameKey: (a: unknown, b: unknown) => boolean,
    failures: Failures,
    next: Receiver,
  ) {
    this.#mapper = mapper;
    this.#isSameKey = isSameKey;
    this.#failures = failures;
    this.#next = next;
  }

  receive(key: unknown, value: unknown, oldValue: unknown): void {
    let entered: { readonly key: unknown; readonly value: unknown } | null;
    let left: { readonly key: unknown; readonly value: unknown } | null;
    let isOneGroup: boolean;
    try {
      entered = this.#placeOf(key, value);
      left = this.#placeOf(key, oldValue);
      isOneGroup = entered !== null && left !== null && this.#isSameKey(entered.key, left.key);
    } catch (error) {
      return this.#failures.handle(error, key, value, oldValue);
    }
    if (isOneGroup) {
      this.#next.receive(left!.key, { oldValue: left!.value, newValue: entered!.value }, undefined);
      return;
    }
    if (left !== null) this.#next.receive(left.key, { oldValue: left.value, newValue: undefined }, undefined);
    if (entered !== null) this.#next.receive(entered.key, { oldValue: undefined, newValue: entered.value }, undefined);
  }

  #placeOf(key: unknown, value: unknown): { readonly key: unknown; readonly value: unknown } | null {
    if (value === undefined) return null;
    const place = this.#mapper(value, key);
    notPromise(this.#failures.node, place);
    return isNothing(place) || isNothing(place.key) || isNothing(place.value) ? null : place;
  }
}

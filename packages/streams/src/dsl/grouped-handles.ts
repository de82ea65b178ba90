import { windowed, type Serde } from '@millrace/serde';
import { InvalidPlanError } from '../errors.ts';
import type { Aggregation } from '../plan/aggregation.ts';
import type { Retention, StoreSettings } from '../stores.ts';
import type { Aggregates } from './aggregators.ts';
import { checkMsOrUndefined, orJson, type Draft } from './draft.ts';
import type { KGroupedStream, KGroupedTable, TimeWindowedKStream } from './grouping.ts';
import { setPlace } from './handles.ts';
import type { KStream } from './kstream.ts';
import type { StoredKTable, WindowedKTable } from './ktable.ts';
import { rowAggregation, rowSerde } from './row-aggregation.ts';
import { StreamHandle } from './stream-handle.ts';
import { StoredTableHandle, WindowedTableHandle } from './table-handle.ts';
import type { TimeWindows } from './windows.ts';

type Settings = StoreSettings & Retention & { readonly value?: Serde<any> | undefined };
type Add = (aggregate: any, value: any, key: any) => any;

const count: Aggregation = {
  kind: 'count',
  init: () => 0,
  add: (n: number) => n + 1,
  subtract: (n: number) => n - 1,
  result: undefined,
};

function reduction(reducer: Add, subtract?: Add): Aggregation {
  return { kind: 'reduce', init: undefined, add: reducer, subtract, result: undefined };
}

function folding(init: () => unknown, add: Add, subtract?: Add): Aggregation {
  return { kind: 'aggregate', init, add, subtract, result: undefined };
}

/** The two ways to call `aggregate`: functions, or ready-made aggregates by name. */
function aggregationOf(args: readonly unknown[]): {
  aggregation: Aggregation;
  options: Settings;
  value: Serde<any>;
} {
  if (typeof args[0] === 'function') {
    const options = args[2] as Settings & { readonly subtract?: Add };
    const aggregation = folding(args[0] as () => unknown, args[1] as Add, options.subtract);
    return { aggregation, options, value: orJson(options.value) };
  }
  const aggregates = args[0] as Aggregates<any>;
  const options = args[1] as Settings;
  return { aggregation: rowAggregation(aggregates), options, value: rowSerde(aggregates, options.value) };
}

/** A `KGroupedStream`. */
export class GroupedStreamHandle implements KGroupedStream<any, any> {
  readonly kind = 'groupedStream';
  readonly #draft: Draft;
  readonly #node: number;
  readonly #key: Serde<any>;

  constructor(draft: Draft, node: number, key: Serde<any>) {
    this.#draft = draft;
    this.#node = node;
    this.#key = key;
    setPlace(this, { draft, node });
  }

  count(options: Settings): StoredKTable<any, any> {
    return this.#aggregate(count, options, orJson(options.value));
  }
  reduce(reducer: Add, options: any): StoredKTable<any, any> {
    return this.#aggregate(reduction(reducer), options as Settings, orJson((options as Settings).value));
  }
  aggregate(...args: readonly unknown[]): StoredKTable<any, any> {
    const { aggregation, options, value } = aggregationOf(args);
    return this.#aggregate(aggregation, options, value);
  }
  windowedBy(windows: TimeWindows): TimeWindowedKStream<any, any> {
    return new WindowedStreamHandle(this.#draft, this.#node, this.#key, windows, []);
  }

  #aggregate(aggregation: Aggregation, options: Settings, value: Serde<any>): StoredKTable<any, any> {
    this.#draft.needsCopartition(this.#node);
    return aggregateInto(this.#draft, 'aggregate', this.#node, this.#key, aggregation, options, value);
  }
}

function aggregateInto(
  draft: Draft,
  kind: 'aggregate' | 'tableAggregate',
  input: number,
  key: Serde<any>,
  aggregation: Aggregation,
  options: Settings,
  value: Serde<any>,
): StoredKTable<any, any> {
  const { name, emit = 'commit', ttlMs } = options;
  checkMsOrUndefined('ttlMs', ttlMs, 1);
  draft.addStore({
    name,
    kind: 'keyValue',
    key,
    value,
    changelog: { kind: 'changelog', name },
    emit,
    ttlMs,
    windowMs: 0,
    retentionMs: 0,
  });
  const node = draft.add(kind, [input], options, { aggregation }, [name]);
  return new StoredTableHandle(draft, node, key, name);
}

/** A `TimeWindowedKStream`. */
class WindowedStreamHandle implements TimeWindowedKStream<any, any> {
  readonly kind = 'timeWindowedStream';
  readonly #draft: Draft;
  readonly #node: number;
  readonly #key: Serde<any>;
  readonly #windows: TimeWindows;
  readonly #late: readonly ((late: KStream<any, any>) => void)[];

  constructor(
    draft: Draft,
    node: number,
    key: Serde<any>,
    windows: TimeWindows,
    late: readonly ((late: KStream<any, any>) => void)[],
  ) {
    this.#draft = draft;
    this.#node = node;
    this.#key = key;
    this.#windows = windows;
    this.#late = late;
    setPlace(this, { draft, node });
  }

  count(options: Settings): WindowedKTable<any, any> {
    return this.#aggregate(count, options, orJson(options.value));
  }
  reduce(reducer: Add, options: any): WindowedKTable<any, any> {
    return this.#aggregate(reduction(reducer), options as Settings, orJson((options as Settings).value));
  }
  aggregate(...args: readonly unknown[]): WindowedKTable<any, any> {
    const { aggregation, options, value } = aggregationOf(args);
    return this.#aggregate(aggregation, options, value);
  }
  late(consumer: (late: KStream<any, any>) => void): TimeWindowedKStream<any, any> {
    return new WindowedStreamHandle(this.#draft, this.#node, this.#key, this.#windows, [...this.#late, consumer]);
  }

  #aggregate(aggregation: Aggregation, options: Settings, value: Serde<any>): WindowedKTable<any, any> {
    const { name, emit = 'commit', ttlMs, retentionMs = 0 } = options;
    const { sizeMs, advanceMs, graceMs, idleCloseMs } = this.#windows;
    checkMsOrUndefined('retentionMs', retentionMs, 0);
    if (ttlMs !== undefined) {
      throw new InvalidPlanError(`The windows of '${name}' go by their age: give retentionMs instead of ttlMs.`, {
        name,
      });
    }
    this.#draft.needsCopartition(this.#node);
    this.#draft.addStore({
      name,
      kind: 'window',
      key: this.#key,
      value,
      changelog: { kind: 'changelog', name },
      emit,
      ttlMs: undefined,
      windowMs: sizeMs,
      retentionMs: graceMs + retentionMs,
    });
    const fields = { aggregation, sizeMs, advanceMs, graceMs, idleCloseMs };
    const node = this.#draft.add('windowAggregate', [this.#node], options, fields, [name]);
    for (const consumer of this.#late) {
      consumer(new StreamHandle(this.#draft, this.#draft.add('late', [node], undefined, {}), this.#key));
    }
    return new WindowedTableHandle(this.#draft, node, windowed(this.#key, { sizeMs }), name);
  }
}

/** A `KGroupedTable`: rows on their way to their groups. */
export class GroupedTableHandle implements KGroupedTable<any, any> {
  readonly kind = 'groupedTable';
  readonly #draft: Draft;
  readonly #node: number;
  readonly #key: Serde<any>;
  readonly #value: Serde<any>;
  #source: number | undefined;

  constructor(draft: Draft, node: number, key: Serde<any>, value: Serde<any>) {
    this.#draft = draft;
    this.#node = node;
    this.#key = key;
    this.#value = value;
    setPlace(this, { draft, node });
  }

  count(options: Settings): StoredKTable<any, any> {
    return this.#aggregate(count, options, orJson(options.value));
  }
  reduce(add: Add, options: any): StoredKTable<any, any> {
    const { subtract, value } = options as Settings & { readonly subtract: Add };
    return this.#aggregate(reduction(add, subtract), options as Settings, orJson(value));
  }
  aggregate(...args: readonly unknown[]): StoredKTable<any, any> {
    const { aggregation, options, value } = aggregationOf(args);
    return this.#aggregate(aggregation, options, value);
  }

  #aggregate(aggregation: Aggregation, options: Settings, value: Serde<any>): StoredKTable<any, any> {
    this.#source ??= this.#draft.addRowChanges(this.#node, this.#key, this.#value);
    return aggregateInto(this.#draft, 'tableAggregate', this.#source, this.#key, aggregation, options, value);
  }
}

/**
 * Ready-made aggregates, as values: one `aggregate` call computes any number of them in one store.
 *
 *     .aggregate({ orders: agg.count(), revenue: agg.sum((o) => o.totalCents) }, { name: 'per-user' })
 */

import { InvalidPlanError } from '../errors.ts';

/** An aggregate: `init` makes the state of a key, `add` takes a value in, `result` is the field of the row. */
export interface Aggregator<in V, out R> {
  readonly kind: string;
  readonly init: () => unknown;
  /** The next state; the old one stays as it was, unless `changesState`. */
  readonly add: (state: unknown, value: V, timestampMs: number) => unknown;
  /** `add` changes the state in place, as copying it would cost too much. Default false. */
  readonly changesState?: boolean | undefined;
  /** A value of its own: later calls of `add` do not change it. */
  readonly result: (state: unknown) => R;
  /**
   * How the state is stored, where it is not the result itself: as something that JSON carries. `keep` and `unkeep` turn values
   * of the stream into such and back.
   */
  readonly stored?:
    | {
        readonly save: (state: unknown, keep: (value: unknown) => unknown) => unknown;
        readonly load: (saved: unknown, unkeep: (kept: unknown) => unknown) => unknown;
      }
    | undefined;
}

/** Can also take a value out again, so it works on tables. */
export interface Invertible<in V, out R> extends Aggregator<V, R> {
  readonly subtract: (state: unknown, value: V) => unknown;
}

/** Aggregates by the name of their field. */
export type Aggregates<V> = Readonly<Record<string, Aggregator<V, unknown>>>;
/** The same, for tables. */
export type InvertibleAggregates<V> = Readonly<Record<string, Invertible<V, unknown>>>;
/** The row they make: `{ orders: number; revenue: number }`. */
export type RowOf<A> = { -readonly [P in keyof A]: A[P] extends Aggregator<never, infer R> ? R : never } & {};

interface Mean {
  readonly sum: number;
  readonly n: number;
}
interface Ranked<V> {
  readonly by: number;
  readonly value: V;
}

/** A number that is its own result. */
function numeric<V>(kind: string, init: number, add: (state: number, value: V) => number): Aggregator<V, number> {
  return {
    kind,
    init: () => init,
    add: (state, value) => add(state as number, value),
    result: (state) => state as number,
  };
}

/** One value, chosen by a number; the first one wins a tie. */
function chosen<V>(
  kind: string,
  by: (value: V, timestampMs: number) => number,
  isBetter: (candidate: number, best: number) => boolean,
): Aggregator<V, V> {
  return {
    kind,
    init: () => null,
    add(state, value, timestampMs) {
      const candidate = by(value, timestampMs);
      const best = state as Ranked<V> | null;
      return best === null || isBetter(candidate, best.by) ? { by: candidate, value } : state;
    },
    result: (state) => (state as Ranked<V>).value,
    stored: {
      save: (state, keep) => {
        const best = state as Ranked<V>;
        return [best.by, keep(best.value)];
      },
      load: (saved, unkeep) => {
        const [by_, kept] = saved as [number, unknown];
        return { by: by_, value: unkeep(kept) };
      },
    },
  };
}

const list = {
  save: (state: unknown, keep: (value: unknown) => unknown): unknown => (state as unknown[]).map(keep),
  load: (saved: unknown, unkeep: (kept: unknown) => unknown): unknown => (saved as unknown[]).map(unkeep),
};

/** The ready-made aggregates. A namespace, because RxJS exports `count`, `min` and `max` too. */
export const agg: {
  /** How many records. */
  count(): Invertible<unknown, number>;
  sum<V>(of: (value: V) => number): Invertible<V, number>;
  /** Of a row that has nothing left in it: NaN. */
  mean<V>(of: (value: V) => number): Invertible<V, number>;
  min<V>(of: (value: V) => number): Aggregator<V, number>;
  max<V>(of: (value: V) => number): Aggregator<V, number>;
  /** The record with the least `by`; the first one wins a tie. */
  minBy<V>(by: (value: V) => number): Aggregator<V, V>;
  /** The record with the greatest `by`; the first one wins a tie. */
  maxBy<V>(by: (value: V) => number): Aggregator<V, V>;
  /** The `n` greatest by `by`, greatest first; of equal ones the first to come. @throws {InvalidPlanError} `n` below 1 */
  topN<V>(n: number, by: (value: V) => number): Aggregator<V, readonly V[]>;
  /** Exact: keeps the set. */
  countDistinct<V>(of: (value: V) => string | number): Aggregator<V, number>;
  /** The last `limit` values to come, oldest first. @throws {InvalidPlanError} a limit below 1 */
  collect<V>(options: { readonly limit: number }): Aggregator<V, readonly V[]>;
  /** The first value by time. */
  first<V>(): Aggregator<V, V>;
  /** The last value by time; of equal times, the last to come. */
  last<V>(): Aggregator<V, V>;
} = {
  count: () => ({
    ...numeric<unknown>('count', 0, (n) => n + 1),
    subtract: (state) => (state as number) - 1,
  }),
  sum: (of) => ({
    ...numeric('sum', 0, (sum, value) => sum + of(value)),
    subtract: (state, value) => (state as number) - of(value),
  }),
  mean: (of) => ({
    kind: 'mean',
    init: (): Mean => ({ sum: 0, n: 0 }),
    add(state, value) {
      const { sum, n } = state as Mean;
      return { sum: sum + of(value), n: n + 1 };
    },
    subtract(state, value) {
      const { sum, n } = state as Mean;
      return { sum: sum - of(value), n: n - 1 };
    },
    result: (state) => (state as Mean).sum / (state as Mean).n,
    stored: {
      save: (state) => [(state as Mean).sum, (state as Mean).n],
      load: (saved) => ({ sum: (saved as number[])[0], n: (saved as number[])[1] }),
    },
  }),
  // The first value replaces ±Infinity, which JSON does not have: a row exists only once a value has come.
  min: (of) => numeric('min', Infinity, (least, value) => Math.min(least, of(value))),
  max: (of) => numeric('max', -Infinity, (greatest, value) => Math.max(greatest, of(value))),
  minBy: (by) => chosen('minBy', by, (candidate, best) => candidate < best),
  maxBy: (by) => chosen('maxBy', by, (candidate, best) => candidate > best),
  first: () =>
    chosen(
      'first',
      (_value, timestampMs) => timestampMs,
      (candidate, best) => candidate < best,
    ),
  last: () =>
    chosen(
      'last',
      (_value, timestampMs) => timestampMs,
      (candidate, best) => candidate >= best,
    ),
  topN<V>(n: number, by: (value: V) => number): Aggregator<V, readonly V[]> {
    checkCount('agg.topN', n);
    return {
      kind: `topN(${n})`,
      init: (): Ranked<V>[] => [],
      add(state, value) {
        const rank = by(value);
        const top = [...(state as Ranked<V>[])];
        if (top.length === n && !(rank > (top[n - 1]?.by ?? Infinity))) return state;
        let at = top.length;
        while (at > 0 && top[at - 1]!.by < rank) at--;
        top.splice(at, 0, { by: rank, value });
        if (top.length > n) top.length = n;
        return top;
      },
      result: (state) => (state as Ranked<V>[]).map(({ value }) => value),
      stored: {
        save: (state, keep) => (state as Ranked<V>[]).map(({ by: rank, value }) => [rank, keep(value)]),
        load: (saved, unkeep) =>
          (saved as [number, unknown][]).map(([rank, kept]) => ({ by: rank, value: unkeep(kept) })),
      },
    };
  },
  countDistinct: (of) => ({
    kind: 'countDistinct',
    changesState: true,
    init: () => new Set<string | number>(),
    add: (state, value) => (state as Set<string | number>).add(of(value)),
    result: (state) => (state as Set<string | number>).size,
    stored: { save: (state) => [...(state as Set<string | number>)], load: (saved) => new Set(saved as string[]) },
  }),
  collect<V>({ limit }: { readonly limit: number }): Aggregator<V, readonly V[]> {
    checkCount('agg.collect', limit);
    return {
      kind: `collect(${limit})`,
      init: (): V[] => [],
      add(state, value) {
        const values = state as readonly V[];
        return [...(values.length < limit ? values : values.slice(values.length - limit + 1)), value];
      },
      result: (state) => state as readonly V[],
      stored: list,
    };
  },
};

function checkCount(what: string, count: number): void {
  if (Number.isSafeInteger(count) && count >= 1) return;
  throw new InvalidPlanError(`${what} of ${count} values keeps nothing: give a whole number, at least 1.`, { count });
}

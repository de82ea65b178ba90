/**
 * How an aggregate is computed, whatever the user wrote (`count`, `reduce`, functions, ready-made aggregates): `init` makes the
 * state of a key, `add` takes a value in and gives the next state, `result` is what readers see of it.
 */
export interface Aggregation {
  /** Told apart in pictures and hashes: `count`, `reduce`, `aggregate`, `{n:count,…}`. */
  readonly kind: string;
  /** undefined: the first value is the state (`reduce`). */
  readonly init: (() => unknown) | undefined;
  readonly add: (state: any, value: any, key: any, timestampMs: number) => unknown;
  readonly subtract: ((state: any, value: any, key: any) => unknown) | undefined;
  /** undefined: the state itself. */
  readonly result: ((state: any) => unknown) | undefined;
}

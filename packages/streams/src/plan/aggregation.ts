/**
 * How an aggregate is computed, whatever the user wrote (`count`, `reduce`, functions, ready-made aggregates): `init` makes the
 * state of a key, `add` takes a value in and gives the next state, `result` is what readers see of it.
 *
 * The state is what the store keeps. Where it is what readers see, `result` is undefined.
 */
export interface Aggregation {
  /** Told apart in pictures and hashes: `count`, `reduce`, `aggregate`. */
  readonly kind: string;
  /** undefined: the first value is the state (`reduce`). */
  readonly init: (() => unknown) | undefined;
  readonly add: (state: any, value: any, key: any) => unknown;
  readonly subtract: ((state: any, value: any, key: any) => unknown) | undefined;
  readonly merge: ((a: any, b: any) => unknown) | undefined;
  readonly result: ((state: any) => unknown) | undefined;
}

import { recordHeaders, type Serde, type SerdeContext } from '@millrace/serde';
import { InvalidPlanError } from '../errors.ts';
import type { Aggregation } from '../plan/aggregation.ts';
import type { Aggregator, Invertible } from './aggregators.ts';

type AnyAggregator = Aggregator<any, unknown>;

/** Field beside the row's own, with what those aggregates need whose result is not their state. */
const hidden = '$state';

/** Ready-made aggregates as one aggregation: the state is an array, one place an aggregate; readers see a row of results. */
export function rowAggregation(aggregates: Readonly<Record<string, AnyAggregator>>): Aggregation {
  const names = Object.keys(aggregates);
  const all = Object.values(aggregates);
  if (names.includes(hidden)) {
    throw new InvalidPlanError(`An aggregate cannot be named '${hidden}': a row keeps its state there.`, {
      name: hidden,
    });
  }
  // Those that change in place come last: when a function throws, the others are as they were.
  const order = all
    .map((_, index) => index)
    .toSorted((a, b) => Number(all[a]!.changesState ?? false) - Number(all[b]!.changesState ?? false));
  const isInvertible = all.every((one): one is Invertible<any, unknown> => 'subtract' in one);
  return {
    kind: `{${names.map((name, index) => `${name}:${all[index]!.kind}`).join(',')}}`,
    init: () => all.map((one) => one.init()),
    add(states: readonly unknown[], value, _key, timestampMs) {
      const next = [...states];
      for (const i of order) next[i] = all[i]!.add(states[i], value, timestampMs);
      return next;
    },
    subtract: isInvertible
      ? (states: readonly unknown[], value) =>
          all.map((one, i) => (one as Invertible<any, unknown>).subtract(states[i], value))
      : undefined,
    result(states: readonly unknown[]) {
      const row: Record<string, unknown> = {};
      for (let i = 0; i < names.length; i++) row[names[i]!] = all[i]!.result(states[i]);
      return row;
    },
  };
}

/**
 * Stores such a state as JSON that other programs can read: the row, and beside it, in `$state`, what the results do not tell.
 * @param value serde of the stream's values, for aggregates that keep some: those are then bytes in base64
 */
export function rowSerde(
  aggregates: Readonly<Record<string, AnyAggregator>>,
  value: Serde<unknown> | undefined,
): Serde<unknown> {
  const names = Object.keys(aggregates);
  const all = Object.values(aggregates);
  const context: SerdeContext = { topic: '', part: 'value', headers: recordHeaders() };
  const keep = (kept: unknown): unknown =>
    value === undefined || kept === null ? kept : Buffer.from(value.serialize(kept, context)).toString('base64');
  const unkeep = (kept: unknown): unknown =>
    value === undefined || kept === null ? kept : value.deserialize(Buffer.from(kept as string, 'base64'), context);
  return {
    name: `row(${names.map((name, index) => `${name}:${all[index]!.kind}`).join(',')})${value ? `(${value.name})` : ''}`,
    prepare: value?.prepare,
    serialize(states) {
      const row: Record<string, unknown> = {};
      const saved: Record<string, unknown> = {};
      names.forEach((name, index) => {
        const state = (states as unknown[])[index];
        const { stored, result } = all[index]!;
        const isKept = value !== undefined && stored !== undefined;
        if (!isKept) row[name] = result(state); // a kept value may be what JSON would lose
        if (stored !== undefined) saved[name] = stored.save(state, keep);
      });
      if (Object.keys(saved).length > 0) row[hidden] = saved;
      return Buffer.from(JSON.stringify(row));
    },
    deserialize(data) {
      const row = JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString()) as Record<
        string,
        unknown
      >;
      const saved = row[hidden] as Record<string, unknown> | undefined;
      return names.map((name, index) => {
        const { stored } = all[index]!;
        return stored === undefined ? row[name] : stored.load(saved![name], unkeep);
      });
    },
  };
}

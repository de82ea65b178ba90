import assert from 'node:assert/strict';
import type { Draft } from './draft.ts';

/**
 * Where a stream, table or group of the DSL stands: `node` is its place in the draft, and once that is built, in the plan, where
 * repartition topics have come in between.
 */
export interface Place {
  readonly draft: Draft;
  readonly node: number;
}

const places = new WeakMap<object, Place>();

export function setPlace(handle: object, place: Place): void {
  places.set(handle, place);
}

/** Programmers meet the assertion only by making such an object themselves. */
export function placeOf(handle: object): Place {
  const place = places.get(handle);
  assert(place !== undefined, 'streams, tables and groups are made by a StreamsBuilder');
  const { outputOf } = place.draft;
  return outputOf === undefined ? place : { ...place, node: outputOf.get(place.node) ?? place.node };
}

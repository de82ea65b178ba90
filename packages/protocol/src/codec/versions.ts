import type { VersionRange } from '../schema.ts';

/** The versions of an API or schema, both ends included. */
export interface VersionBounds {
  readonly min: number;
  readonly max: number;
}

/** `'3+'` is 3 to infinity; `'none'` is empty: its max is below its min. */
export function parseVersionRange(range: VersionRange): VersionBounds {
  if (range === 'none') return { min: Infinity, max: -Infinity };
  if (range.endsWith('+')) return { min: Number(range.slice(0, -1)), max: Infinity };
  const [min = '', max = min] = range.split('-');
  return { min: Number(min), max: Number(max) };
}

export function includesVersion(range: VersionRange | undefined, version: number): boolean {
  if (range === undefined) return false;
  const { min, max } = parseVersionRange(range);
  return version >= min && version <= max;
}

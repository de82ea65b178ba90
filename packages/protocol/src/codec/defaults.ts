import type { Field } from '../schema.ts';
import { zeroUuid } from './uuid.ts';

const emptyBytes: Uint8Array = new Uint8Array(0);

/** What a field is when a version does not have it, or nobody set it. Arrays and structs are made anew: callers may change them. */
export function defaultOf(field: Field): () => unknown {
  const { type } = field;
  if (field.default === null) return () => null;
  if (field.isArray) return () => [];
  if (typeof type !== 'string') {
    const makers = type.map((inner) => [inner.name, defaultOf(inner)] as const);
    return () => {
      const struct: Record<string, unknown> = {};
      for (const [name, make] of makers) struct[name] = make();
      return struct;
    };
  }
  if (field.default !== undefined) {
    const value = field.default;
    return () => value;
  }
  switch (type) {
    case 'bool':
      return () => false;
    case 'string':
      return () => '';
    case 'uuid':
      return () => zeroUuid;
    case 'bytes':
      return () => emptyBytes;
    case 'records':
      return field.nullable === undefined ? () => emptyBytes : () => null;
    default:
      return () => 0;
  }
}

/** Whether a field that a version cannot carry, or that is tagged, may be left out. */
export function isDefault(field: Field): (value: unknown) => boolean {
  const { type } = field;
  if (field.default === null) return (value) => value === undefined || value === null;
  if (field.isArray) return (value) => value === undefined || (value as readonly unknown[] | null)?.length === 0;
  if (typeof type !== 'string') {
    const checks = type.map((inner) => [inner.name, isDefault(inner)] as const);
    return (value) => {
      if (value === undefined) return true;
      if (value === null) return false;
      for (const [name, check] of checks) {
        if (!check((value as Readonly<Record<string, unknown>>)[name])) return false;
      }
      return true;
    };
  }
  if (type === 'bytes') return (value) => value === undefined || (value as Uint8Array | null)?.byteLength === 0;
  const expected = defaultOf(field)();
  return (value) => value === undefined || value === expected;
}

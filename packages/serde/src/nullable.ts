import { UnexpectedNullError } from './errors.ts';
import type { Deserializer, Serde, SerdeContext, Serializer } from './serde.ts';

/** Says that a topic's keys or values may be null. Without it a null is an invalid record. */
export function nullable<T>(serde: Serde<T>): Serde<T | null> {
  return {
    name: `nullable(${serde.name})`,
    acceptsNull: true,
    partitionBytes: serde.partitionBytes,
    serialize: (value, context) => {
      if (value === null) throw new UnexpectedNullError(serde.name, context); // encode() keeps nulls away
      return serde.serialize(value, context);
    },
    deserialize: serde.deserialize,
    prepare: serde.prepare,
  };
}

/**
 * The bytes to write for a key or value; null stays null.
 * @throws {UnexpectedNullError} for a null that the serde does not accept
 */
export function encode<T>(serde: Serializer<T>, value: T, context: SerdeContext): Uint8Array | null {
  if (value !== null) return serde.serialize(value, context);
  if (serde.acceptsNull) return null;
  throw new UnexpectedNullError(nameOf(serde), context);
}

/**
 * What was read for a key or value.
 * @throws {UnexpectedNullError} for a null that the serde does not accept
 */
export function decode<T>(serde: Deserializer<T>, data: Uint8Array | null, context: SerdeContext): T {
  if (data !== null) return serde.deserialize(data, context);
  if (serde.acceptsNull) return null as T; // by `nullable` null is a T
  throw new UnexpectedNullError(nameOf(serde), context);
}

function nameOf(serde: object): string {
  return 'name' in serde ? String(serde.name) : 'unnamed';
}

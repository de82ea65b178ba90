import type { Serde, Serializer } from './serde.ts';

/** `T`, with `never` wherever JSON would lose something: a Date, a Map, a bigint, bytes, a class with methods. */
export type JsonOf<T> = T extends string | number | boolean | null | undefined
  ? T
  : T extends bigint | symbol | ((...args: never) => unknown)
    ? never
    : T extends object
      ? { [P in keyof T]: JsonOf<T[P]> }
      : T; // `unknown` passes: it is also what a type parameter is while it is being inferred

/**
 * What an operator asks for when values of type `V` go through a topic or into a store and come back as `T` (normally the
 * same): `value` may be left out, and JSON is used, exactly when JSON carries `T` unchanged. `value: json<T>()` overrules.
 */
export type ValueSerde<T, V = T> = [T] extends [JsonOf<T>]
  ? { readonly value?: (Serde<T> & Serializer<V>) | undefined }
  : { readonly value: Serde<T> & Serializer<V> };

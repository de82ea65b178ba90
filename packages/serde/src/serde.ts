import type { RecordHeaders } from './record-headers.ts';

/** Where the bytes come from or go to. One object a partition, reused: read it during the call only. */
export interface SerdeContext {
  readonly topic: string;
  readonly part: 'key' | 'value';
  readonly headers: RecordHeaders;
}

/** The writing half of a serde. */
export interface Serializer<in T> {
  /**
   * The bytes of a value, in memory that nothing else writes to.
   * @throws {UnencodableError} for a value that is not of the type, or that the encoding cannot carry
   */
  readonly serialize: (value: T, context: SerdeContext) => Uint8Array;
  /** Set by `nullable`: null is a value of `T`. It is written as Kafka's null, and never reaches `serialize`. */
  readonly acceptsNull?: boolean | undefined;
  /**
   * Set by `windowed`: the part of a key's bytes that streams choose the partition by, so that the windows of a key lie where it
   * does. Default: all of them. (Kafka Streams' `WindowedStreamPartitioner`; producers hash the whole key there too.)
   */
  readonly partitionBytes?: ((key: Uint8Array) => Uint8Array) | undefined;
}

/** The reading half of a serde. */
export interface Deserializer<out T> {
  /**
   * `data` is a view on the fetched batch: copy what you keep.
   * @throws {UndecodableError} for bytes that are not of this encoding
   * @throws {InvalidValueError} for a value that its schema refuses
   */
  readonly deserialize: (data: Uint8Array, context: SerdeContext) => T;
  /** Set by `nullable`: null is a value of `T`. It never reaches `deserialize`. */
  readonly acceptsNull?: boolean | undefined;
}

/** How keys or values of one type become bytes and come back. */
export interface Serde<T> extends Serializer<T>, Deserializer<T> {
  /** Part of a plan's hash: a store is not reopened with another encoding. */
  readonly name: string;
  /** Fetches what the synchronous calls need (schema ids). Called before the first record, and again after `SCHEMA_NOT_READY`. */
  readonly prepare?: ((topic: string, part: 'key' | 'value') => Promise<void>) | undefined;
}

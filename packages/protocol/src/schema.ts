/**
 * What a message looks like, as data. Every API is one request and one response schema; encoders and decoders for each
 * version are compiled from it, and TypeScript's types are inferred from it, so each fact stands once.
 *
 * Schemas are written `as const`. Names are Kafka's in camelCase.
 */

export type PrimitiveType =
  | 'bool'
  | 'int8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  /** As a number. What is not a safe integer is refused, never rounded. */
  | 'int64'
  | 'float64'
  | 'string'
  /** 16 bytes; in TypeScript its usual spelling, `xxxxxxxx-xxxx-…`. */
  | 'uuid'
  | 'bytes'
  /** Record batches: bytes that are neither copied in nor out. */
  | 'records';

/** `'3+'`, `'0-2'`, `'4'`; `'none'`. */
export type VersionRange = `${number}+` | `${number}-${number}` | `${number}` | 'none';

/** A field of a message or struct. */
export interface Field {
  readonly name: string;
  /** A primitive, or a struct's fields. */
  readonly type: PrimitiveType | readonly Field[];
  /** The field is an array of its type. */
  readonly isArray?: true;
  readonly versions: VersionRange;
  /** In which versions it may be null. */
  readonly nullable?: VersionRange;
  /** A tagged field of flexible versions: its tag, and from when it is tagged. */
  readonly tag?: number;
  readonly taggedVersions?: VersionRange;
  /** What an absent field decodes to. Default: 0, false, '', empty, or null where `default: null` says so. */
  readonly default?: number | string | boolean | null;
  /** A value that a version cannot carry is left out silently. Otherwise encoding it is an error. */
  readonly ignorable?: true;
  /** An int64 that is searched for: beyond ±(2^53−1) it is read as that, as no offset or time lies there, instead of refused. */
  readonly isClamped?: true;
}

/** A message in all its versions. */
export interface MessageSchema {
  readonly name: string;
  readonly validVersions: VersionRange;
  readonly flexibleVersions: VersionRange;
  readonly fields: readonly Field[];
}

/** An API: what is asked and what is answered. */
export interface ApiSchema {
  readonly key: number;
  /** Kafka's name: `Produce`, `ListOffsets`. */
  readonly name: string;
  readonly request: MessageSchema;
  readonly response: MessageSchema;
}

interface PrimitiveTypes {
  bool: boolean;
  int8: number;
  int16: number;
  uint16: number;
  int32: number;
  uint32: number;
  int64: number;
  float64: number;
  string: string;
  uuid: string;
  bytes: Uint8Array;
  /** Encoding takes several parts, sent in order, so that stored batches need not be joined. Decoding gives one view. */
  records: Uint8Array | readonly Uint8Array[];
}

type Single<F extends Field> = F['type'] extends PrimitiveType
  ? PrimitiveTypes[F['type']]
  : F['type'] extends readonly Field[]
    ? Decoded<F['type']>
    : never;
type SingleInput<F extends Field> = F['type'] extends PrimitiveType
  ? PrimitiveTypes[F['type']]
  : F['type'] extends readonly Field[]
    ? Encodable<F['type']>
    : never;
type Nulls<F extends Field> = F extends { readonly nullable: VersionRange } ? null : never;

/** Fields as the decoder gives them: all there, absent ones as their default. Views on the frame: copy what you keep. */
export type Decoded<Fields extends readonly Field[]> = {
  -readonly [F in Fields[number] as F['name']]:
    | (F extends { readonly isArray: true } ? Single<F>[] : Single<F>)
    | Nulls<F>;
};

/** Fields as the encoder takes them: what is left out has its default. */
export type Encodable<Fields extends readonly Field[]> = {
  readonly [F in Fields[number] as F['name']]?:
    | (F extends { readonly isArray: true } ? readonly SingleInput<F>[] : SingleInput<F>)
    | Nulls<F>
    | undefined;
};

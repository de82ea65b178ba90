export {
  AsyncSchemaError,
  InvalidValueError,
  UndecodableError,
  UnencodableError,
  UnexpectedNullError,
  UnsafeIntegerError,
  type SerdeErrorCode,
} from './errors.ts';
export { json } from './json.ts';
export { decode, encode, nullable } from './nullable.ts';
export { bigint64, bytes, float64, int32, int64, string, uuid } from './primitives.ts';
export {
  headerEntries,
  recordHeaders,
  type HeaderEntry,
  type HeadersInit,
  type RecordHeaders,
} from './record-headers.ts';
export type { Deserializer, Serde, SerdeContext, Serializer } from './serde.ts';
export {
  topic,
  topicPattern,
  type Topic,
  type TopicConfig,
  type TopicContract,
  type TopicPattern,
  type TopicSink,
} from './topic.ts';
export type { JsonOf, ValueSerde } from './value-serde.ts';
export { sessionWindowed, windowed, type Windowed } from './windowed.ts';

import type { HeadersInit, RecordHeaders, Topic, TopicPattern } from '@millrace/serde';

/** Any `Topic<K, V, Name>` or `TopicPattern<K, V>`. */
export type AnyTopic = Topic<any, any> | TopicPattern<any, any>;

/** The record a topic yields; of several topics, a union that `record.topic` tells apart. */
export type RecordOf<T> =
  T extends Topic<infer K, infer V, infer Name>
    ? ConsumerRecord<K, V, Name>
    : T extends TopicPattern<infer K, infer V>
      ? ConsumerRecord<K, V>
      : never;

/** A record as it is read. */
export interface ConsumerRecord<K, V, Name extends string = string> {
  readonly topic: Name;
  readonly partition: number;
  readonly offset: number;
  /** Milliseconds since 1970. */
  readonly timestampMs: number;
  readonly key: K;
  readonly value: V;
  readonly headers: RecordHeaders;
}

/** A record to write. The key may be left out where the topic's key may be null. */
export type OutgoingRecord<K, V> = (null extends K ? { readonly key?: K | undefined } : { readonly key: K }) & {
  readonly value: V;
  /** Default: now. */
  readonly timestampMs?: number | undefined;
  readonly headers?: HeadersInit | undefined;
  /** Default: murmur2 of the key's bytes, as the Java client does; sticky where the key is null. */
  readonly partition?: number | undefined;
};

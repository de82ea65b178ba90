import { nullable } from './nullable.ts';
import { bytes } from './primitives.ts';
import type { Serde, Serializer } from './serde.ts';

/** A topic's contract: its name, and what its keys and values are. Declared once; producers, pipelines and tests share it. */
export interface Topic<K, V, Name extends string = string> {
  readonly name: Name;
  readonly key: Serde<K>;
  readonly value: Serde<V>;
  readonly numPartitions?: number | undefined;
  readonly config?: TopicConfig | undefined;
}

/** A topic as its writer sees it: a `Topic<K, V>` takes every subtype of K and V. */
export interface TopicSink<in K, in V> {
  readonly name: string;
  readonly key: Serializer<K>;
  readonly value: Serializer<V>;
}

/** What `topic` takes. */
export interface TopicContract<K, V> {
  /** Default: bytes as they are, or null. */
  readonly key?: Serde<K> | undefined;
  readonly value: Serde<V>;
  /** Used when the topic is made from this contract (`admin.createTopics`). Default: the cluster's `num.partitions`. */
  readonly numPartitions?: number | undefined;
  readonly config?: TopicConfig | undefined;
}

/** Kafka's topic configs, under Kafka's names. */
export interface TopicConfig {
  readonly 'cleanup.policy'?: 'delete' | 'compact' | 'compact,delete' | undefined;
  readonly 'retention.ms'?: number | undefined;
  readonly 'retention.bytes'?: number | undefined;
  readonly 'segment.bytes'?: number | undefined;
  readonly 'max.message.bytes'?: number | undefined;
  readonly 'message.timestamp.type'?: 'CreateTime' | 'LogAppendTime' | undefined;
  readonly 'compression.type'?: 'producer' | 'uncompressed' | 'gzip' | 'snappy' | 'lz4' | 'zstd' | undefined;
  readonly [config: `${string}.${string}`]: string | number | boolean | undefined;
}

/** All topics whose name matches, also those made later. */
export interface TopicPattern<K, V> {
  readonly pattern: RegExp;
  readonly key: Serde<K>;
  readonly value: Serde<V>;
}

const rawKey: Serde<Uint8Array | null> = nullable(bytes);

/**
 * Declares a topic. Its literal name is in its type, so records of several topics are told apart by `record.topic`.
 * @example const orders = topic('orders', { key: string, value: json(Order) });
 */
export function topic<const Name extends string, V, K = Uint8Array | null>(
  name: Name,
  contract: TopicContract<K, V>,
): Topic<K, V, Name> {
  // Without a serde nothing says what K is, so it is its default.
  const { key = rawKey as Serde<unknown> as Serde<K>, value, numPartitions, config } = contract;
  return Object.freeze({ name, key, value, numPartitions, config });
}

/** Declares all topics whose name matches `pattern`. */
export function topicPattern<V, K = Uint8Array | null>(
  pattern: RegExp,
  contract: { readonly key?: Serde<K> | undefined; readonly value: Serde<V> },
): TopicPattern<K, V> {
  const { key = rawKey as Serde<unknown> as Serde<K>, value } = contract;
  return Object.freeze({ pattern, key, value });
}

import { expectTypeOf } from 'vitest';
import {
  json,
  nullable,
  string,
  topic,
  type JsonOf,
  type Serde,
  type Topic,
  type TopicSink,
  type ValueSerde,
} from './index.ts';

// What JSON would lose asks for a serde.
expectTypeOf<JsonOf<{ a: string; b: readonly number[] }>>().toEqualTypeOf<{ a: string; b: readonly number[] }>();
expectTypeOf<{}>().toExtend<ValueSerde<{ a: string }>>();
expectTypeOf<{}>().not.toExtend<ValueSerde<{ at: Date }>>();
expectTypeOf<{}>().not.toExtend<ValueSerde<Map<string, number>>>();
expectTypeOf<{}>().not.toExtend<ValueSerde<bigint>>();
expectTypeOf<{}>().toExtend<ValueSerde<unknown>>();

// A topic's name, keys and values are in its type; keys are bytes unless they are declared.
const lines = topic('lines', { value: string });
expectTypeOf(lines).toEqualTypeOf<Topic<Uint8Array | null, string, 'lines'>>();
expectTypeOf(nullable(string)).toEqualTypeOf<Serde<string | null>>();

// A writer may have less than the topic takes, not more.
type Order = { status: 'open' | 'paid' };
declare const orders: Topic<string, Order>;
expectTypeOf(orders).toExtend<TopicSink<string, { status: 'paid' }>>();
expectTypeOf(orders).not.toExtend<TopicSink<string, { status: string }>>();
expectTypeOf(orders).not.toExtend<TopicSink<string | null, Order>>();

// A serde of something else is none of this.
expectTypeOf(json<{ n: number }>()).not.toExtend<Serde<{ n: string }>>();

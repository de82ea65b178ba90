import assert from 'node:assert/strict';
import { UndecodableError, UnencodableError } from './errors.ts';
import { int64At, writeInt64 } from './primitives.ts';
import type { Serde, SerdeContext } from './serde.ts';

/** A key in a window. Time windows leave their end out, sessions hold it. */
export interface Windowed<K> {
  readonly key: K;
  readonly window: { readonly startMs: number; readonly endMs: number };
}

/**
 * Key of a time-windowed table on a topic: `key ‖ startMs`, as Kafka Streams writes it; the end is not there, so a reader
 * must know the size.
 */
export function windowed<K>(key: Serde<K>, options: { readonly sizeMs: number }): Serde<Windowed<K>> {
  const { sizeMs } = options;
  assert(Number.isSafeInteger(sizeMs) && sizeMs > 0, 'sizeMs is a positive integer');
  const name = `windowed(${key.name},${sizeMs})`;
  return {
    name,
    prepare: key.prepare,
    serialize(value, context) {
      const { startMs, endMs } = value.window;
      if (endMs !== startMs + sizeMs) {
        throw new UnencodableError(name, `its window is ${endMs - startMs} ms long`, context);
      }
      return withTimes(name, key.serialize(value.key, context), [startMs], context);
    },
    deserialize(data, context) {
      const [startMs] = timesAtEnd(name, data, 1, context);
      const inner = key.deserialize(data.subarray(0, data.length - 8), context);
      return { key: inner, window: { startMs: startMs!, endMs: startMs! + sizeMs } };
    },
  };
}

/** Key of a session-windowed table on a topic: `key ‖ endMs ‖ startMs`, as Kafka Streams writes it. */
export function sessionWindowed<K>(key: Serde<K>): Serde<Windowed<K>> {
  const name = `sessionWindowed(${key.name})`;
  return {
    name,
    prepare: key.prepare,
    serialize: ({ key: inner, window }, context) =>
      withTimes(name, key.serialize(inner, context), [window.endMs, window.startMs], context),
    deserialize(data, context) {
      const [endMs, startMs] = timesAtEnd(name, data, 2, context);
      const inner = key.deserialize(data.subarray(0, data.length - 16), context);
      return { key: inner, window: { startMs: startMs!, endMs: endMs! } };
    },
  };
}

function withTimes(serde: string, key: Uint8Array, times: readonly number[], context: SerdeContext): Uint8Array {
  const data = Buffer.allocUnsafe(key.length + 8 * times.length);
  data.set(key);
  times.forEach((time, index) => {
    if (!Number.isSafeInteger(time) || time < 0) {
      throw new UnencodableError(serde, `its window has the time ${String(time)}`, context);
    }
    writeInt64(data, key.length + 8 * index, time);
  });
  return data;
}

function timesAtEnd(serde: string, data: Uint8Array, count: number, context: SerdeContext): readonly number[] {
  const start = data.length - 8 * count;
  if (start < 0) throw new UndecodableError(serde, `${data.length} bytes hold no ${count} times`, context);
  return Array.from({ length: count }, (_, index) => {
    const time = int64At(data, start + 8 * index);
    if (!Number.isSafeInteger(time) || time < 0) {
      throw new UndecodableError(serde, `a window's time is ${time}`, context);
    }
    return time;
  });
}

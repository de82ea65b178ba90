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
    partitionBytes: (data) => data.subarray(0, data.length - 8),
    serialize(value, context) {
      const { startMs, endMs } = windowOf(name, value, context);
      if (endMs !== startMs + sizeMs) {
        throw new UnencodableError(name, `its window is ${endMs - startMs} ms long`, context);
      }
      return withTimes(key.serialize(value.key, context), [startMs]);
    },
    deserialize(data, context) {
      const startMs = timeAtEnd(name, data, 1, context);
      const window = { startMs, endMs: startMs + sizeMs };
      checkRead(name, window, context);
      return { key: key.deserialize(data.subarray(0, data.length - 8), context), window };
    },
  };
}

/** Key of a session-windowed table on a topic: `key ‖ endMs ‖ startMs`, as Kafka Streams writes it. */
export function sessionWindowed<K>(key: Serde<K>): Serde<Windowed<K>> {
  const name = `sessionWindowed(${key.name})`;
  return {
    name,
    prepare: key.prepare,
    partitionBytes: (data) => data.subarray(0, data.length - 16),
    serialize(value, context) {
      const { startMs, endMs } = windowOf(name, value, context);
      return withTimes(key.serialize(value.key, context), [endMs, startMs]);
    },
    deserialize(data, context) {
      const window = { startMs: timeAtEnd(name, data, 1, context), endMs: timeAtEnd(name, data, 2, context) };
      checkRead(name, window, context);
      return { key: key.deserialize(data.subarray(0, data.length - 16), context), window };
    },
  };
}

type Window = Windowed<unknown>['window'];

function isWindow({ startMs, endMs }: Window): boolean {
  return Number.isSafeInteger(startMs) && Number.isSafeInteger(endMs) && startMs >= 0 && endMs >= startMs;
}

function windowOf(serde: string, value: Windowed<unknown>, context: SerdeContext): Window {
  const window = (value as Windowed<unknown> | null | undefined)?.window as Window | null | undefined;
  if (window === null || typeof window !== 'object') throw new UnencodableError(serde, 'it has no window', context);
  if (isWindow(window)) return window;
  const { startMs, endMs } = window;
  throw new UnencodableError(serde, `its window is from ${String(startMs)} to ${String(endMs)}`, context);
}

function checkRead(serde: string, window: Window, context: SerdeContext): void {
  if (isWindow(window)) return;
  throw new UndecodableError(serde, `its window would be from ${window.startMs} to ${window.endMs}`, context);
}

function withTimes(key: Uint8Array, times: readonly number[]): Uint8Array {
  const data = Buffer.allocUnsafe(key.length + 8 * times.length);
  data.set(key);
  for (let i = 0; i < times.length; i++) writeInt64(data, key.length + 8 * i, times[i]!);
  return data;
}

/** The time that is the last, the last but one, … */
function timeAtEnd(serde: string, data: Uint8Array, fromEnd: number, context: SerdeContext): number {
  const at = data.length - 8 * fromEnd;
  if (at < 0) throw new UndecodableError(serde, `${data.length} bytes hold no ${fromEnd} times`, context);
  return int64At(data, at);
}

import type { Windowed } from '@millrace/serde';
import type { KeyValueStore, ReadOnlyKeyValueStore, ReadOnlyWindowStore, TimeSpan, WindowStore } from '../stores.ts';
import type { CachedStore } from './cached-store.ts';
import { KeyNotDeclaredError } from '../errors.ts';

/** What a value in the store looks like to its readers: of ready-made aggregates, their results. */
export type Look = (value: any) => unknown;

const asIs: Look = (value) => value;

/** A key-value store as readers see it. */
export function readOnlyKeyValueStore(store: CachedStore, look: Look = asIs): ReadOnlyKeyValueStore<any, any> {
  return {
    get(key) {
      const value = store.get(0, key);
      return value === undefined ? undefined : look(value);
    },
    *range(from, to) {
      if (store.isFar) throw new KeyNotDeclaredError(store.plan.name, 'a range');
      const [least, greatest] = [store.encodeKey(from), store.encodeKey(to)];
      for (const entry of store.entriesOf(0)) {
        const key = store.keyBytesOf(entry);
        if (Buffer.compare(key, greatest) > 0) return;
        if (Buffer.compare(key, least) >= 0) yield [entry.key, look(entry.value)] as const;
      }
    },
    *all() {
      for (const entry of store.entriesOf(0)) yield [entry.key, look(entry.value)] as const;
    },
  };
}

/** The same for a processor, which writes at the time of its record. */
export function keyValueStore(store: CachedStore, now: () => number): KeyValueStore<any, any> {
  return {
    ...readOnlyKeyValueStore(store),
    put: (key, value) => store.write(store.entryFor(0, key), value ?? undefined, now()),
    delete(key) {
      const entry = store.find(0, key);
      if (entry !== undefined) store.write(entry, undefined, now());
    },
  };
}

/** A window store as readers see it. */
export function readOnlyWindowStore(store: CachedStore, look: Look = asIs): ReadOnlyWindowStore<any, any> {
  const windowed = (key: unknown, startMs: number): Windowed<unknown> => ({
    key,
    window: { startMs, endMs: startMs + store.plan.windowMs },
  });
  const startsIn = ({ fromMs, toMs }: TimeSpan): number[] =>
    store.starts.filter((start) => start >= fromMs && start <= toMs && !store.isGone(start));
  return {
    get(key, startMs) {
      const value = store.isGone(startMs) ? undefined : store.get(startMs, key);
      return value === undefined ? undefined : look(value);
    },
    *fetch(key, span) {
      for (const startMs of startsIn(span)) {
        const value = store.get(startMs, key);
        if (value !== undefined) yield [windowed(key, startMs), look(value)] as const;
      }
    },
    *fetchAll(span) {
      for (const startMs of startsIn(span)) {
        for (const entry of store.entriesOf(startMs)) yield [windowed(entry.key, startMs), look(entry.value)] as const;
      }
    },
  };
}

/** The same for a processor. What is older than the retention is not kept. */
export function windowStore(store: CachedStore, now: () => number): WindowStore<any, any> {
  return {
    ...readOnlyWindowStore(store),
    put(key, value, startMs) {
      store.advance(now());
      if (!store.isGone(startMs)) store.write(store.entryFor(startMs, key), value ?? undefined, now());
    },
  };
}

import { readOnlyKeyValueStore, readOnlyWindowStore } from '../state/facades.ts';
import type { ReadOnlyKeyValueStore, ReadOnlyWindowStore } from '../stores.ts';
import type { SimulatedApp } from './simulated-app.ts';

/** A store over all tasks that have a part of it; undefined: no task has. */
export function readOnlyStoreOf(
  app: SimulatedApp,
  name: string,
): ReadOnlyKeyValueStore<any, any> | ReadOnlyWindowStore<any, any> | undefined {
  const global = app.globalTables.get(name);
  if (global !== undefined) return global;
  const windows: ReadOnlyWindowStore<any, any>[] = [];
  const keyValues: ReadOnlyKeyValueStore<any, any>[] = [];
  for (const { compiled } of app.tasks) {
    const store = compiled.stores.get(name);
    if (store === undefined) continue;
    const table = compiled.tables.find((candidate) => candidate.table.store === store)?.table;
    const look = table === undefined ? undefined : (value: unknown): unknown => table.view(value);
    if (store.plan.kind === 'window') windows.push(readOnlyWindowStore(store, look));
    else keyValues.push(readOnlyKeyValueStore(store, look));
  }
  if (windows.length > 0) return allWindows(windows);
  return keyValues.length > 0 ? allKeys(keyValues) : undefined;
}

function allKeys(parts: readonly ReadOnlyKeyValueStore<any, any>[]): ReadOnlyKeyValueStore<any, any> {
  return {
    get: (key) => firstOf(parts, (part) => part.get(key)),
    *range(from, to) {
      for (const part of parts) yield* part.range(from, to);
    },
    *all() {
      for (const part of parts) yield* part.all();
    },
  };
}

function allWindows(parts: readonly ReadOnlyWindowStore<any, any>[]): ReadOnlyWindowStore<any, any> {
  return {
    get: (key, startMs) => firstOf(parts, (part) => part.get(key, startMs)),
    *fetch(key, span) {
      for (const part of parts) yield* part.fetch(key, span);
    },
    *fetchAll(span) {
      for (const part of parts) yield* part.fetchAll(span);
    },
  };
}

function firstOf<T>(parts: readonly T[], read: (part: T) => unknown): unknown {
  for (const part of parts) {
    const value = read(part);
    if (value !== undefined) return value;
  }
  return undefined;
}

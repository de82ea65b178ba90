import type { TaskRunner } from './task-runner.ts';

/** Keeps the caches in front of backends within so many bytes, each within its part, by the mean size of its entries. */
export function limitCaches(runners: Iterable<TaskRunner>, maxBytes: number): void {
  const cached = [...runners].flatMap(({ stores }) => stores).filter(({ backend }) => backend !== undefined);
  for (const { store } of cached) store.evict(Math.floor(maxBytes / cached.length / store.meanEntryBytes));
}

import type { StoreBackend } from '../stores.ts';

/** The default: in memory, rebuilt from the changelogs at start. */
export function memory(): StoreBackend {
  return inMemory;
}

const inMemory: StoreBackend = Object.freeze({ kind: 'memory' });

export {
  controlKey,
  controlKindOf,
  startOfChangelogKey,
  windowedChangelogKey,
  type ControlKind,
} from './changelog-format.ts';
export type { StateStore, TakenCommit } from './state-store.ts';
export type {
  BackendStore,
  ClaimAnswer,
  CommitAnswer,
  PrefetchAnswer,
  StateStoreBackend,
  StoreClaim,
  StoreCommit,
  StoredValue,
  StoreKey,
  StoreSpec,
  StoreWrite,
} from './store-backend.ts';

import type { StoreBackend } from '../stores.ts';

/**
 * Where state is kept, as the engine asks for it. The changelog is the truth; a backend is its materialisation, and says how far
 * it has come. It knows bytes only: keys and values as their serdes wrote them.
 */
export interface StateStoreBackend extends StoreBackend {
  /** One store of one task. Nothing is read or written before `claim`. Rejects where the backend cannot keep state safely. */
  openStore(spec: StoreSpec): Promise<BackendStore>;
  /** Closes what all its stores share. The app calls it once, after the last store is closed. */
  close(): Promise<void>;
}

/** What a backend is told about a store. Plain data. */
export interface StoreSpec {
  readonly applicationId: string;
  readonly name: string;
  readonly partition: number;
  /** The partition count of the changelog, for readers that look a key up. */
  readonly partitionCount: number;
  /** `'window'`: entries have a start, and go by age. `'keyValue'`: their `startMs` is 0. */
  readonly kind: 'keyValue' | 'window';
  /** Size of the windows, so that several starts can share one segment; 0 for `'keyValue'`. */
  readonly windowMs: number;
  readonly changelogTopic: string;
  /** The changelog is the table's source topic: all owners apply the same records, so it takes no barrier. */
  readonly isSourceChangelog: boolean;
  /** Names of the serdes, for other programs that read the store. */
  readonly keySerde: string;
  readonly valueSerde: string;
}

/** A place in a store. */
export interface StoreKey {
  /** Start of the window; 0 in a `'keyValue'` store. */
  readonly startMs: number;
  readonly key: Uint8Array;
}

/** What is kept there: the serde's bytes, and the time of the value (the largest event time that went into it). */
export interface StoredValue {
  readonly value: Uint8Array;
  readonly timestampMs: number;
}

/** A write. null: deleted. */
export interface StoreWrite extends StoreKey {
  readonly value: Uint8Array | null;
  readonly timestampMs: number;
}

/** What the owner says about itself and the changelog when it takes a partition over. */
export interface StoreClaim {
  /**
   * The offset of the barrier record that the owner has committed to the changelog: unique, and grows with every owner. For a
   * store whose changelog is its source topic: the end of that topic as of the claim.
   */
  readonly epoch: number;
  /** Identity of the changelog; one that was deleted and made anew has another. undefined: the cluster does not say. */
  readonly changelogTopicId: string | undefined;
  readonly changelogStartOffset: number;
  readonly changelogEndOffset: number;
  /** `delete.retention.ms`: what has not moved for longer may have missed tombstones, so it is lost. undefined: unlimited. */
  readonly deleteRetentionMs: number | undefined;
  readonly nowMs: number;
}

/** What a store in a backend says to its new owner. */
export type ClaimAnswer =
  /** It holds the changelog before `nextOffset`; the owner replays from there. */
  | { readonly verdict: 'claimed'; readonly nextOffset: number; readonly streamTimeMs: number }
  /** What is there cannot be continued (or nothing is): `reset`, and replay from the start of the changelog. */
  | { readonly verdict: 'lost'; readonly reason: string }
  /** A later owner has it. */
  | { readonly verdict: 'fenced'; readonly epoch: number };

/** All writes of a commit: the changelog's records in `[prevOffset, nextOffset)`, last value of each key, in the changelog's order. */
export interface StoreCommit {
  readonly epoch: number;
  /**
   * It must follow on: applied if `prevOffset <= stored < nextOffset`, since values are absolute. An empty range, at what is stored,
   * brings positions only.
   */
  readonly prevOffset: number;
  readonly nextOffset: number;
  readonly writes: readonly StoreWrite[];
  /** Changelog offset of each write, ascending: a backend may split the commit behind any of them. */
  readonly offsets: readonly number[];
  /** Windows that start before this are gone, with all they hold. −Infinity: none. */
  readonly expireBeforeMs: number;
  /** Input positions that the state reflects, for readers that wait for their own writes. */
  readonly positions: readonly {
    readonly topic: string;
    readonly partition: number;
    readonly offset: number;
  }[];
  /** The broker's time of the last record, as far as known. */
  readonly timestampMs: number;
  /** Of the store, kept with the marks and given back by `claim`: what was late before a restart is late after it. −1: none. */
  readonly streamTimeMs: number;
}

/** What became of a commit. */
export type CommitAnswer =
  | { readonly verdict: 'applied' }
  /** It was there already. */
  | { readonly verdict: 'replay' }
  /** Something before it is missing: replay from `nextOffset`. */
  | { readonly verdict: 'gap'; readonly nextOffset: number }
  | { readonly verdict: 'fenced'; readonly epoch: number }
  | { readonly verdict: 'lost'; readonly reason: string };

/** What was read for a batch, as of the last commit of this owner. */
export type PrefetchAnswer =
  /** Values in the order of the keys (null: nothing there), and all entries of the windows asked for. */
  | {
      readonly verdict: 'current';
      readonly values: readonly (StoredValue | null)[];
      readonly windows: readonly (readonly (StoreKey & StoredValue)[])[];
    }
  /** The marks are not those this owner wrote last: claim and replay before anything is processed. */
  | { readonly verdict: 'stale'; readonly reason: string };

/** One store of one task. Calls may overlap; the backend carries them out in the order they were made. */
export interface BackendStore {
  /** Whether `get` answers every key at once. Else keys are prefetched, a batch at a time. */
  readonly isSynchronous: boolean;
  claim(claim: StoreClaim): Promise<ClaimAnswer>;
  /** Empties it, for a replay from the start: until the next claim's end it is being rebuilt. */
  reset(epoch: number): Promise<void>;
  /** Only where `isSynchronous`: what is there after the commits made so far, applied or not. */
  get(startMs: number, key: Uint8Array): StoredValue | null;
  /**
   * One round trip for a batch. `windowStarts`: windows wanted whole. The answer reflects all commits made before the call. Asked
   * for nothing, it says whether the copy is still there: about once a second, so that an idle app brings it back for its readers.
   */
  prefetch(keys: readonly StoreKey[], windowStarts: readonly number[]): Promise<PrefetchAnswer>;
  /** Every entry, in any order: what an owner needs to find timers and ages again. */
  scan(visit: (entry: StoreKey & StoredValue) => void): Promise<void>;
  /** Applies a range of the changelog: a committed batch of the owner, or a part of a replay. */
  commit(batch: StoreCommit): Promise<CommitAnswer>;
  close(): Promise<void>;
}

import type { BackendStore, StoreClaim, StoreCommit, StoreKey, StoreSpec, StoreWrite } from '@millrace/streams/state';

/** A store of one partition, named for its test, as the engine would ask for it. */
export function specOf(name: string, overrides: Partial<StoreSpec> = {}): StoreSpec {
  return {
    applicationId: 'app',
    name,
    partition: 0,
    partitionCount: 1,
    kind: 'keyValue',
    windowMs: 0,
    changelogTopic: `app-${name}-changelog`,
    isSourceChangelog: false,
    keySerde: 'string',
    valueSerde: 'string',
    ...overrides,
  };
}

export function claimOf(epoch: number, overrides: Partial<StoreClaim> = {}): StoreClaim {
  return {
    epoch,
    changelogTopicId: 'topic-1',
    changelogStartOffset: 0,
    changelogEndOffset: Math.max(epoch + 1, 100_000),
    deleteRetentionMs: undefined,
    nowMs: 0,
    ...overrides,
  };
}

export function keyAt(key: string, startMs = 0): StoreKey {
  return { key: Buffer.from(key), startMs };
}

/** `{ a: '1', b: null }` at time 7; window keys as `'1000/a'`. */
export function writesOf(changes: Readonly<Record<string, string | null>>): StoreWrite[] {
  return Object.entries(changes).map(([name, value]) => {
    const [start, key] = name.includes('/') ? name.split('/') : ['0', name];
    return {
      startMs: Number(start),
      key: Buffer.from(key!),
      value: value === null ? null : Buffer.from(value),
      timestampMs: 7,
    };
  });
}

/** A commit of the changelog's range [prev, next), its records at the end of it. */
export function commitOf(
  epoch: number,
  prevOffset: number,
  nextOffset: number,
  changes: Readonly<Record<string, string | null>>,
  overrides: Partial<StoreCommit> = {},
): StoreCommit {
  const writes = writesOf(changes);
  return {
    epoch,
    prevOffset,
    nextOffset,
    writes,
    offsets: writes.map((_, i) => nextOffset - writes.length + i),
    expireBeforeMs: -Infinity,
    positions: [],
    timestampMs: 0,
    streamTimeMs: -1,
    ...overrides,
  };
}

/** Values as text, null for none; the reason if the answer is not current. */
export async function read(store: BackendStore, ...keys: StoreKey[]): Promise<(string | null)[] | string> {
  const answer = await store.prefetch(keys, []);
  if (answer.verdict === 'stale') return answer.reason;
  return answer.values.map((stored) => (stored === null ? null : Buffer.from(stored.value).toString()));
}

/** A store that is claimed, empty and whole, at offset 0, by an owner of epoch 0. */
export async function fresh(store: BackendStore): Promise<BackendStore> {
  await store.claim(claimOf(0, { changelogEndOffset: 0 }));
  await store.reset(0);
  return store;
}

import type { FetchedRecords } from '@millrace/client/bytes';
import { expect, it } from 'vitest';
import type { BackendStore, StoreCommit } from '../state/index.ts';
import type { StateStore } from '../state/state-store.ts';
import type { ChangelogReader, Replay } from './changelog-reader.ts';
import type { StreamsCluster } from './cluster.ts';
import { OpenStore } from './open-store.ts';
import { bringUpToDate, restoreUpTo, type RestoreSurroundings } from './restore.ts';

interface Row {
  readonly key: string;
  readonly value: string | null;
  readonly timestampMs: number;
}

/** A changelog of these records, and a store in memory that notes what it takes in. */
function world(log: readonly Row[], signal?: AbortSignal, backend?: BackendStore) {
  const restored: string[] = [];
  const replays: Replay[] = [];
  const reader = {
    async replay(replay: Replay) {
      replays.push(replay);
      const fetched = {
        nextOffset: replay.untilOffset,
        forEach: (visit: (reader: unknown) => void) =>
          log.forEach(({ key, value, timestampMs }, offset) => {
            if (offset < replay.fromOffset) return;
            const bytes = value === null ? null : Buffer.from(value);
            visit({ offset, key: Buffer.from(key), keyLength: key.length, value: bytes, timestampMs });
          }),
      } as unknown as FetchedRecords;
      await replay.apply(fetched);
    },
  } as unknown as ChangelogReader;
  const store = {
    plan: { name: 'store', kind: 'keyValue' },
    streamTimeMs: 0,
    attach: () => {},
    restore: (key: Uint8Array, value: Uint8Array | null) =>
      void restored.push(`${String(key)}=${value === null ? '-' : String(value)}`),
  } as unknown as StateStore;
  const changelog = { changelogTopic: 'changelog', isSourceChangelog: false, backend };
  const open = new OpenStore({ store, partition: 0, ...changelog });
  const around: RestoreSurroundings = {
    cluster: {
      earliestOffsets: async () => new Map([[0, 0]]),
      topicDetails: async () => ({}),
    } as unknown as StreamsCluster,
    reader,
    nowMs: () => 0,
    monotonic: () => 0,
    onProgress: () => {},
    signal,
  };
  return { open, store: store as { streamTimeMs: number }, around, restored, replays };
}

it('what lies behind the committed end is not applied; its keys get their value of before, with its time, behind it', async () => {
  const { open, around, restored } = world([
    { key: 'a', value: '1', timestampMs: 10 },
    { key: 'b', value: '2', timestampMs: 20 },
    { key: 'a', value: '9', timestampMs: 900 }, // from here on: of a commit that did not come to its end
    { key: 'c', value: '9', timestampMs: 900 },
  ]);
  const corrections = await restoreUpTo(open, 2, 4, around);
  expect(restored).toEqual(['a=1', 'b=2']);
  expect(corrections.map(({ key, value, timestampMs }) => [String(key), value && String(value), timestampMs])).toEqual([
    ['a', '1', 10],
    ['c', null, 0],
  ]);
});

it('nothing is read any more for a task that is closed: its next owner may read the same changelog', async () => {
  const { open, around, replays } = world([], AbortSignal.abort(new Error('moved')));
  await expect(restoreUpTo(open, 0, 1, around)).rejects.toThrow('moved');
  expect(replays).toEqual([]);
});

it('a backend that is brought back is told the committed stream time, not that of records in hand', async () => {
  const commits: StoreCommit[] = [];
  const backend = {
    claim: async () => ({ verdict: 'claimed', nextOffset: 0, streamTimeMs: 700 }),
    commit: async (batch: StoreCommit) => {
      commits.push(batch);
      return { verdict: 'applied' };
    },
  } as unknown as BackendStore;
  const { open, store, around } = world([{ key: 'a', value: '1', timestampMs: 700 }], undefined, backend);
  store.streamTimeMs = 700;
  open.filled();
  store.streamTimeMs = 5000; // a record has been processed, and its backend has lost something
  await bringUpToDate(open, 1, around);
  expect(commits.map(({ streamTimeMs, nextOffset }) => [streamTimeMs, nextOffset])).toEqual([[700, 1]]);
});

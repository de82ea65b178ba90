import type { FetchedRecords } from '@millrace/client/bytes';
import { controlKindOf, startOfChangelogKey } from '../state/changelog-format.ts';
import type { ChangelogReader } from './changelog-reader.ts';
import type { StreamsCluster } from './cluster.ts';
import { isWindowedStore, restoreInMemory, StoreFencedError, writesOf, type OpenStore } from './open-store.ts';

/** How far a store is on its way back from its changelog. */
export interface RestoreProgress {
  readonly store: string;
  readonly partition: number;
  readonly restoredRecords: number;
  readonly totalRecords: number;
  readonly recordsPerSecond: number;
}

/** What a restore needs of its surroundings. */
export interface RestoreSurroundings {
  readonly cluster: StreamsCluster;
  readonly reader: ChangelogReader;
  readonly nowMs: () => number;
  readonly monotonic: () => number;
  readonly onProgress: (progress: RestoreProgress) => void;
  /** Aborts when the task is closed: then nothing more of it is to be read, as the next owner may be this instance. */
  readonly signal?: AbortSignal | undefined;
}

/** A changelog record that has to be written again after a restore. */
export interface Correction {
  readonly key: Uint8Array;
  readonly value: Uint8Array | null;
  readonly timestampMs: number;
}

/**
 * Brings a store to its changelog as of `untilOffset`. A store with a backend goes on from the backend's own offset, and is
 * rebuilt only if that cannot be trusted.
 */
export async function bringUpToDate(
  open: OpenStore,
  untilOffset: number,
  around: RestoreSurroundings,
  onFetched?: (fetched: FetchedRecords) => void,
): Promise<void> {
  const { changelogTopic: topic, partition, store } = open;
  const startOffset = (await around.cluster.earliestOffsets(topic)).get(partition) ?? 0;
  if (open.backend === undefined) {
    const report = progressOf(open, startOffset, untilOffset, around);
    around.signal?.throwIfAborted();
    await around.reader.replay({
      topic,
      partition,
      fromOffset: startOffset,
      untilOffset,
      apply: (fetched) => {
        onFetched?.(fetched);
        restoreInMemory(store, fetched, untilOffset);
        report(fetched.nextOffset);
      },
    });
    report(untilOffset);
  } else {
    await fillBackend(open, startOffset, untilOffset, around, onFetched);
  }
  open.nextOffset = untilOffset;
  open.filled();
}

/** Claims, replays from where the backend stands; once more when it turns out to have lost something meanwhile. */
async function fillBackend(
  open: OpenStore,
  startOffset: number,
  untilOffset: number,
  around: RestoreSurroundings,
  onFetched: ((fetched: FetchedRecords) => void) | undefined,
): Promise<void> {
  const { store, changelogTopic: topic, partition } = open;
  const backend = open.backend!;
  const details = await around.cluster.topicDetails(topic);
  for (;;) {
    const answer = await backend.claim({
      epoch: open.epoch,
      changelogTopicId: details.topicId,
      changelogStartOffset: startOffset,
      changelogEndOffset: untilOffset,
      deleteRetentionMs: details.deleteRetentionMs,
      nowMs: around.nowMs(),
    });
    if (answer.verdict === 'fenced') throw new StoreFencedError(store.plan.name, partition, open.epoch, answer.epoch);
    if (answer.verdict === 'lost') await backend.reset(open.epoch);
    let nextOffset = answer.verdict === 'claimed' ? answer.nextOffset : startOffset;
    if (!open.isAttached) {
      store.attach(backend, answer.verdict === 'claimed' ? answer.streamTimeMs : -1);
      open.isAttached = true;
    }
    let isWhole = true;
    const report = progressOf(open, nextOffset, untilOffset, around);
    around.signal?.throwIfAborted();
    await around.reader.replay({
      topic,
      partition,
      fromOffset: nextOffset,
      untilOffset,
      apply: async (fetched) => {
        onFetched?.(fetched);
        if (!isWhole) return; // read to its end all the same, then once more from where the backend is
        const { writes, offsets } = writesOf(store, fetched, untilOffset);
        const endOffset = Math.min(fetched.nextOffset, untilOffset);
        const applied = await backend.commit({
          epoch: open.epoch,
          prevOffset: nextOffset,
          nextOffset: endOffset,
          writes,
          offsets,
          expireBeforeMs: -Infinity,
          positions: [],
          timestampMs: around.nowMs(),
          streamTimeMs: open.committedStreamTimeMs,
        });
        if (applied.verdict === 'fenced') {
          throw new StoreFencedError(store.plan.name, partition, open.epoch, applied.epoch);
        }
        isWhole = applied.verdict === 'applied' || applied.verdict === 'replay';
        nextOffset = endOffset;
        report(fetched.nextOffset);
      },
    });
    report(untilOffset);
    if (isWhole) return;
  }
}

/**
 * At least once: what lies in the changelog beyond `endOffset` came from a commit that did not get to its input offsets, which
 * will be processed again. It is not applied; and since the next restore would read it, the value each of its keys has at
 * `endOffset` is to be written again behind it.
 *
 * That value may be gone if the log was compacted meanwhile: changelogs have a `min.compaction.lag.ms` to prevent it.
 */
export async function restoreUpTo(
  open: OpenStore,
  endOffset: number,
  barrierOffset: number,
  around: RestoreSurroundings,
): Promise<readonly Correction[]> {
  const { changelogTopic: topic, partition } = open;
  const dangling = new Map<string, { readonly key: Uint8Array; value: Uint8Array | null; timestampMs: number }>();
  around.signal?.throwIfAborted();
  await around.reader.replay({
    topic,
    partition,
    fromOffset: endOffset,
    untilOffset: barrierOffset,
    apply: (fetched) =>
      fetched.forEach((reader) => {
        if (reader.offset >= barrierOffset || reader.key === null || controlKindOf(reader.key) !== undefined) return;
        const key = copyOf(reader.key);
        dangling.set(idOfKey(key), { key, value: null, timestampMs: 0 });
      }),
  });
  await bringUpToDate(open, endOffset, around, (fetched) =>
    fetched.forEach((reader) => {
      if (dangling.size === 0 || reader.offset >= endOffset || reader.key === null) return;
      const correction = dangling.get(idOfKey(reader.key));
      if (correction === undefined) return;
      correction.value = reader.value === null ? null : copyOf(reader.value);
      correction.timestampMs = reader.timestampMs;
    }),
  );
  const corrections = [...dangling.values()];
  if (open.backend !== undefined && corrections.length > 0) {
    // The replay began where the backend was: what came before is only there.
    const isWindowed = isWindowedStore(open.store);
    const answer = await open.backend.prefetch(
      corrections.map(({ key }) =>
        isWindowed ? { startMs: startOfChangelogKey(key), key: key.subarray(0, key.length - 8) } : { startMs: 0, key },
      ),
      [],
    );
    if (answer.verdict === 'stale') return restoreUpTo(open, endOffset, barrierOffset, around);
    corrections.forEach((correction, index) => {
      const stored = answer.values[index];
      correction.value = stored?.value ?? null;
      if (stored !== undefined && stored !== null) correction.timestampMs = stored.timestampMs;
    });
  }
  return corrections;
}

function copyOf(bytes: Uint8Array): Uint8Array {
  return Uint8Array.prototype.slice.call(bytes); // a Buffer's own slice would be a view
}

function idOfKey(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');
}

function progressOf(
  open: OpenStore,
  fromOffset: number,
  untilOffset: number,
  around: RestoreSurroundings,
): (nextOffset: number) => void {
  const startedMs = around.monotonic();
  const totalRecords = Math.max(0, untilOffset - fromOffset);
  let restoredRecords = 0;
  let lastOffset = -1;
  return (nextOffset) => {
    if (totalRecords === 0 || nextOffset === lastOffset) return;
    lastOffset = nextOffset;
    // By offsets, so that it ends at the total: compacted records and transaction markers count as done.
    restoredRecords = Math.min(totalRecords, Math.max(0, nextOffset - fromOffset));
    const seconds = Math.max(0.001, (around.monotonic() - startedMs) / 1000);
    around.onProgress({
      store: open.store.plan.name,
      partition: open.partition,
      restoredRecords,
      totalRecords,
      recordsPerSecond: Math.round(restoredRecords / seconds),
    });
  };
}

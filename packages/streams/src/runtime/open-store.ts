import type { FetchedRecords } from '@millrace/client/bytes';
import { MillraceError } from '@millrace/platform';
import { controlKindOf, startOfChangelogKey } from '../state/changelog-format.ts';
import type { StateStore, TakenCommit } from '../state/state-store.ts';
import type { BackendStore, StoreCommit, StoreWrite } from '../state/store-backend.ts';

/** A store of a task with its changelog, and with its copy elsewhere if it has one. */
export class OpenStore {
  readonly store: StateStore;
  readonly partition: number;
  readonly changelogTopic: string;
  /** The changelog is the table's source topic: nothing is written to it here, no barrier either. */
  readonly isSourceChangelog: boolean;
  /** undefined: it lives in memory, and comes from its changelog at each start. */
  readonly backend: BackendStore | undefined;
  /** Offset of the barrier that this owner has committed. */
  epoch = -1;
  /** Records that were written to the changelog behind the barrier, other than by `store`. */
  correctionCount = 0;
  /** The changelog before it is in the store, or in commits on their way to the backend. */
  nextOffset = 0;
  /** The backend has said that its copy cannot be continued: claim and replay before it is read again. */
  isStale = false;
  /** The store reads through its backend already. */
  isAttached = false;
  /** Of the inputs, as of the last commit. */
  #positions: StoreCommit['positions'] = [];
  /** Of the last commit sent to the backend. Never rejects. */
  #pending: Promise<void> = Promise.resolve();
  #failure: unknown;
  #isChecking = false;
  /** Commits that the backend has refused, or was not sent: their entries stay in the cache until a replay has brought them there. */
  #unreleased: TakenCommit[] = [];
  /** undefined: it is being filled. */
  #committedStreamTimeMs: number | undefined;

  constructor(options: {
    readonly store: StateStore;
    readonly partition: number;
    readonly changelogTopic: string;
    readonly isSourceChangelog: boolean;
    readonly backend: BackendStore | undefined;
  }) {
    this.store = options.store;
    this.partition = options.partition;
    this.changelogTopic = options.changelogTopic;
    this.isSourceChangelog = options.isSourceChangelog;
    this.backend = options.backend;
  }

  /**
   * After the commit of the changelog: hands its writes to the backend, which may apply them while processing goes on. The next
   * call waits for the last one, so at most two commits are in memory.
   * @param nextOffset end of the changelog that has been committed
   */
  async sendCommit(nextOffset: number, positions: StoreCommit['positions'], nowMs: number): Promise<void> {
    if (this.backend === undefined) return;
    await this.settled();
    this.#positions = positions;
    const taken = this.store.takeCommit();
    this.#committedStreamTimeMs = taken.streamTimeMs;
    const prevOffset = this.nextOffset;
    // Where nothing was written the positions go on alone: who waits for one of them waits for an input, not for a change.
    if (nextOffset < prevOffset) nextOffset = prevOffset;
    const firstOffset = nextOffset - taken.recordCount;
    this.nextOffset = nextOffset;
    if (this.isStale) return void this.#unreleased.push(taken); // the replay to come has these records too
    const commit: StoreCommit = {
      epoch: this.epoch,
      prevOffset,
      nextOffset,
      writes: taken.writes,
      offsets: taken.offsets ?? taken.writes.map((_, index) => firstOffset + index),
      expireBeforeMs: taken.expireBeforeMs,
      positions,
      timestampMs: nowMs,
      streamTimeMs: taken.streamTimeMs,
    };
    this.#pending = this.#apply(commit, taken);
  }

  /**
   * After a replay, which knows nothing of inputs: tells the backend which positions its data reflects, for those who wait for one.
   * @param positions default: those of the last commit
   */
  async sendPositions(nowMs: number, positions: StoreCommit['positions'] = this.#positions): Promise<void> {
    this.#positions = positions;
    if (this.backend === undefined || positions.length === 0) return;
    const { epoch, nextOffset } = this;
    const nothing = { writes: [], offsets: [], expireBeforeMs: -Infinity };
    const range = { epoch, prevOffset: nextOffset, nextOffset };
    const { committedStreamTimeMs: streamTimeMs } = this;
    this.#pending = this.#apply({ ...range, ...nothing, positions, timestampMs: nowMs, streamTimeMs });
    await this.settled();
  }

  /**
   * How far the store's time is committed. Records that are processed and not committed have moved its own further: a backend
   * that was told that one would have the next owner believe that windows were closed whose results nobody has committed.
   */
  get committedStreamTimeMs(): number {
    return this.#committedStreamTimeMs ?? this.store.streamTimeMs;
  }

  /** The store is filled, or its backend brought back: from here on records move its time. */
  filled(): void {
    this.#committedStreamTimeMs ??= this.store.streamTimeMs;
    for (const taken of this.#unreleased.splice(0)) this.store.release(taken);
  }

  /** Where the changelog ends if nobody but this owner has written to it since the barrier, all of it acknowledged. */
  get ownChangelogEnd(): number {
    return this.epoch + 1 + this.correctionCount + this.store.appendedCount;
  }

  /** Asks the backend whether its copy is still what this owner has made of it: `isStale` then tells. Never rejects. */
  async check(): Promise<void> {
    if (this.backend === undefined || this.backend.isSynchronous || this.isStale || this.#isChecking) return;
    this.#isChecking = true;
    try {
      if ((await this.backend.prefetch([], [])).verdict === 'stale') this.isStale = true;
    } catch (error) {
      this.#failure ??= error; // for the next who works with it; closed meanwhile, nobody does
    } finally {
      this.#isChecking = false;
    }
  }

  /** Resolves when the last commit is answered, well or not: `isStale` then tells. */
  get answered(): Promise<void> {
    return this.#pending;
  }

  /** Resolves when no commit is on its way. @throws what the backend failed with */
  async settled(): Promise<void> {
    await this.#pending;
    if (this.#failure !== undefined) throw this.#failure;
  }

  async close(): Promise<void> {
    await this.#pending;
    await this.backend?.close();
  }

  async #apply(commit: StoreCommit, taken?: TakenCommit): Promise<void> {
    try {
      const answer = await this.backend!.commit(commit);
      switch (answer.verdict) {
        case 'applied':
        case 'replay':
          if (taken !== undefined) this.store.release(taken);
          return;
        case 'gap':
        case 'lost':
          this.isStale = true;
          if (taken !== undefined) this.#unreleased.push(taken);
          return;
        case 'fenced':
          throw new StoreFencedError(this.store.plan.name, this.partition, this.epoch, answer.epoch);
      }
    } catch (error) {
      this.#failure = error;
    }
  }
}

/** A later owner has claimed the store: this one is a zombie, or is about to learn that it is none. */
export class StoreFencedError extends MillraceError {
  readonly code = 'FENCED';
  constructor(store: string, partition: number, epoch: number, laterEpoch: number) {
    super(
      `The store '${store}' of partition ${partition} was claimed by a later owner (epoch ${laterEpoch}, ours is ${epoch}). ` +
        'The instance drops its work and asks its group who owns the partition.',
      { context: { store, partition, epoch, laterEpoch }, retriable: true },
    );
  }
}

/** Puts the entries of a fetch below `untilOffset` into the store in memory. Gives their number. */
export function restoreInMemory(store: StateStore, fetched: FetchedRecords, untilOffset: number): number {
  let count = 0;
  fetched.forEach((reader) => {
    if (reader.offset >= untilOffset || reader.keyLength < 0) return;
    store.restore(reader.key!, reader.value, reader.timestampMs);
    count++;
  });
  return count;
}

/** The entries of a fetch below `untilOffset` as writes for a backend. Their bytes are views on the fetch. */
export function writesOf(
  store: StateStore,
  fetched: FetchedRecords,
  untilOffset: number,
): { readonly writes: readonly StoreWrite[]; readonly offsets: readonly number[] } {
  const isWindowed = isWindowedStore(store);
  const writes: StoreWrite[] = [];
  const offsets: number[] = [];
  fetched.forEach((reader) => {
    const { key, value, timestampMs, offset } = reader;
    if (offset >= untilOffset || key === null) return;
    store.restore(key, value, timestampMs); // it keeps the stream time
    if (controlKindOf(key) !== undefined) return;
    writes.push(
      isWindowed
        ? { startMs: startOfChangelogKey(key), key: key.subarray(0, key.length - 8), value, timestampMs }
        : { startMs: 0, key, value, timestampMs },
    );
    offsets.push(offset);
  });
  return { writes, offsets };
}

/** Whether entries have a start beside their key. */
export function isWindowedStore(store: StateStore): boolean {
  return store.plan.kind === 'window' || store.plan.kind === 'join';
}

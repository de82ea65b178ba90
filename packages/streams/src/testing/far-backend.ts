import type {
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
} from '../state/store-backend.ts';

interface Copy {
  /** null: gone, as after a flush of the server. */
  entries: Map<string, StoreKey & StoredValue> | null;
  epoch: number;
  nextOffset: number;
  streamTimeMs: number;
}

/** What a backend did, in order. */
export interface BackendEvent {
  readonly what: 'claimed' | 'lost' | 'reset' | 'applied' | 'refused' | 'stale';
  readonly store: string;
  readonly partition: number;
  readonly nextOffset: number;
}

/** Outlives its apps, as a server or a directory does, and can be made to lose what it has. */
export class FarBackend implements StateStoreBackend {
  readonly kind = 'far';
  readonly events: BackendEvent[] = [];
  readonly #isSynchronous: boolean;
  readonly #copies = new Map<string, Copy>();

  constructor(isSynchronous: boolean) {
    this.#isSynchronous = isSynchronous;
  }

  async openStore(spec: StoreSpec): Promise<BackendStore> {
    const id = `${spec.name}/${spec.partition}`;
    const copy = this.#copies.get(id) ?? { entries: null, epoch: -1, nextOffset: 0, streamTimeMs: -1 };
    this.#copies.set(id, copy);
    return new FarStore(spec, copy, this.#isSynchronous, this.events);
  }

  /** All data and marks are gone. */
  flushAll(): void {
    for (const copy of this.#copies.values()) copy.entries = null;
  }

  get entryCount(): number {
    return [...this.#copies.values()].reduce((count, { entries }) => count + (entries?.size ?? 0), 0);
  }

  async close(): Promise<void> {}
}

class FarStore implements BackendStore {
  readonly isSynchronous: boolean;
  readonly #spec: StoreSpec;
  readonly #copy: Copy;
  readonly #events: BackendEvent[];
  /** What the owner wrote last: reads compare it with what is there. */
  #knownOffset = 0;

  constructor(spec: StoreSpec, copy: Copy, isSynchronous: boolean, events: BackendEvent[]) {
    this.#spec = spec;
    this.#copy = copy;
    this.isSynchronous = isSynchronous;
    this.#events = events;
  }

  async claim(claim: StoreClaim): Promise<ClaimAnswer> {
    const copy = this.#copy;
    if (copy.epoch > claim.epoch) return { verdict: 'fenced', epoch: copy.epoch };
    copy.epoch = claim.epoch;
    if (copy.entries === null || copy.nextOffset > claim.changelogEndOffset) {
      this.#tell('lost');
      return { verdict: 'lost', reason: 'it has nothing' };
    }
    this.#knownOffset = copy.nextOffset;
    this.#tell('claimed');
    return { verdict: 'claimed', nextOffset: copy.nextOffset, streamTimeMs: copy.streamTimeMs };
  }

  async reset(epoch: number): Promise<void> {
    Object.assign(this.#copy, { entries: new Map(), epoch, nextOffset: 0, streamTimeMs: -1 });
    this.#knownOffset = 0;
    this.#tell('reset');
  }

  get(startMs: number, key: Uint8Array): StoredValue | null {
    return this.#copy.entries?.get(idOf(startMs, key)) ?? null;
  }

  async prefetch(keys: readonly StoreKey[], windowStarts: readonly number[]): Promise<PrefetchAnswer> {
    if (this.#copy.entries === null || this.#copy.nextOffset !== this.#knownOffset) {
      this.#tell('stale');
      return { verdict: 'stale', reason: 'the marks are not those written last' };
    }
    const entries = [...this.#copy.entries.values()];
    return {
      verdict: 'current',
      values: keys.map(({ startMs, key }) => this.get(startMs, key)),
      windows: windowStarts.map((start) => entries.filter(({ startMs }) => startMs === start)),
    };
  }

  async scan(visit: (entry: StoreKey & StoredValue) => void): Promise<void> {
    for (const entry of this.#copy.entries?.values() ?? []) visit(entry);
  }

  async commit(batch: StoreCommit): Promise<CommitAnswer> {
    const copy = this.#copy;
    if (copy.epoch > batch.epoch) return { verdict: 'fenced', epoch: copy.epoch };
    if (copy.entries === null) {
      this.#tell('refused');
      return { verdict: 'lost', reason: 'it has nothing' };
    }
    if (copy.nextOffset >= batch.nextOffset) return { verdict: 'replay' };
    if (copy.nextOffset < batch.prevOffset) {
      this.#tell('refused');
      return { verdict: 'gap', nextOffset: copy.nextOffset };
    }
    for (const { startMs, key, value, timestampMs } of batch.writes) {
      const copied = Uint8Array.prototype.slice.call(key);
      if (value === null) copy.entries.delete(idOf(startMs, key));
      else {
        const entry = { startMs, key: copied, value: Uint8Array.prototype.slice.call(value), timestampMs };
        copy.entries.set(idOf(startMs, key), entry);
      }
    }
    for (const [id, { startMs }] of copy.entries) if (startMs < batch.expireBeforeMs) copy.entries.delete(id);
    copy.nextOffset = batch.nextOffset;
    copy.streamTimeMs = batch.streamTimeMs;
    this.#knownOffset = batch.nextOffset;
    this.#tell('applied');
    return { verdict: 'applied' };
  }

  async close(): Promise<void> {}

  #tell(what: BackendEvent['what']): void {
    const { name: store, partition } = this.#spec;
    this.#events.push({ what, store, partition, nextOffset: this.#copy.nextOffset });
  }
}

function idOf(startMs: number, key: Uint8Array): string {
  return `${startMs}/${Buffer.from(key).toString('hex')}`;
}

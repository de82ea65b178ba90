import assert from 'node:assert/strict';

/**
 * A bound on the bytes that logs keep of what was appended last, so that consumers at the head never touch the disk.
 * What is oldest goes first, whichever log it belongs to: all tails reach equally far back in time.
 */
export class TailCache {
  readonly #maxBytes: number;
  #usedBytes = 0;
  #keptCount = 0;
  /** The owner of each kept batch, oldest first, from `#first` on. */
  #owners: (Tail | undefined)[] = [];
  #first = 0;

  constructor(options: { readonly maxBytes: number }) {
    this.#maxBytes = options.maxBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Places in the order of eviction, also of batches that their tails have let go of by themselves. @internal */
  get entryCount(): number {
    return this.#owners.length - this.#first;
  }

  /** Called by a tail that has just kept a batch. @internal */
  added(owner: Tail, byteLength: number): void {
    this.#owners.push(owner);
    this.#keptCount++;
    this.#usedBytes += byteLength;
    if (this.entryCount > 4096 && this.entryCount > 2 * this.#keptCount) this.#dropStale();
    while (this.#usedBytes > this.#maxBytes && this.#first < this.#owners.length) {
      const oldest = this.#owners[this.#first]!;
      this.#owners[this.#first++] = undefined;
      const droppedBytes = oldest.dropOldest();
      if (droppedBytes > 0) this.#keptCount--;
      this.#usedBytes -= droppedBytes;
    }
    if (this.#first > 4096 && this.#first * 2 > this.#owners.length) {
      this.#owners = this.#owners.slice(this.#first);
      this.#first = 0;
    }
  }

  /** Called by a tail that has let go of batches by itself: its turn to be evicted comes a little early. @internal */
  cleared(batchCount: number, byteLength: number): void {
    this.#keptCount -= batchCount;
    this.#usedBytes -= byteLength;
    assert(this.#usedBytes >= 0, 'a tail gives back what it took, once');
  }

  /** Where logs are closed or compacted before the memory is used up, the places of what they kept would pile up. */
  #dropStale(): void {
    const places: Tail[] = [];
    const placesOf = new Map<Tail, number>();
    for (let i = this.#owners.length - 1; i >= this.#first; i--) {
      const owner = this.#owners[i]!;
      const count = placesOf.get(owner) ?? 0;
      if (count === owner.batchCount) continue; // a tail keeps the newest
      placesOf.set(owner, count + 1);
      places.push(owner);
    }
    this.#owners = places.toReversed();
    this.#first = 0;
  }
}

/**
 * The last batches of one log, as they were received: a run without gaps that ends at the log's end. Where a batch ends
 * (offset, and bytes since the log was opened) is kept in columns, so that a search touches no object.
 */
export class Tail {
  readonly #cache: TailCache;
  #batches: (Uint8Array | undefined)[] = [];
  #endOffsets: number[] = [];
  #endBytes: number[] = [];
  #first = 0;
  /** Offset from which on everything is here. */
  #startOffset: number;
  #totalBytes = 0;

  constructor(cache: TailCache, endOffset: number) {
    this.#cache = cache;
    this.#startOffset = endOffset;
  }

  get batchCount(): number {
    return this.#batches.length - this.#first;
  }

  /** What lies at or behind this offset is in memory. */
  get startOffset(): number {
    return this.#startOffset;
  }

  add(batch: Uint8Array, endOffset: number): void {
    this.#totalBytes += batch.length;
    this.#batches.push(compact(batch));
    this.#endOffsets.push(endOffset);
    this.#endBytes.push(this.#totalBytes);
    this.#cache.added(this, batch.length);
  }

  /** @internal Gives the bytes set free. */
  dropOldest(): number {
    const batch = this.#batches[this.#first];
    if (batch === undefined) return 0; // cleared since
    this.#batches[this.#first] = undefined;
    this.#startOffset = this.#endOffsets[this.#first]!;
    this.#first++;
    if (this.#first > 1024 && this.#first * 2 > this.#batches.length) {
      this.#batches = this.#batches.slice(this.#first);
      this.#endOffsets = this.#endOffsets.slice(this.#first);
      this.#endBytes = this.#endBytes.slice(this.#first);
      this.#first = 0;
    }
    return batch.length;
  }

  /** Whole batches from the one that holds `offset` on, up to `upperOffset` and about `maxBytes`. Gives the end of the last. */
  collect(offset: number, upperOffset: number, maxBytes: number, minOneBatch: boolean, into: Uint8Array[]): number {
    assert(offset >= this.#startOffset, 'only what is kept is asked for');
    let bytes = 0;
    let endOffset = offset;
    for (let i = this.#indexOf(offset); i < this.#batches.length; i++) {
      const batch = this.#batches[i]!;
      if (this.#endOffsets[i]! > upperOffset) break;
      if (bytes + batch.length > maxBytes && !(minOneBatch && into.length === 0)) break;
      into.push(batch);
      bytes += batch.length;
      endOffset = this.#endOffsets[i]!;
    }
    return endOffset;
  }

  /** Bytes of the batches from the one that holds `offset` up to `upperOffset`. */
  bytesBetween(offset: number, upperOffset: number): number {
    const from = this.#indexOf(offset);
    const to = this.#indexOf(upperOffset);
    return from >= to ? 0 : this.#endBytes[to - 1]! - (this.#endBytes[from]! - this.#batches[from]!.length);
  }

  /** Forgets what ends at or before an offset: compaction has changed it. */
  forgetBefore(offset: number): void {
    const before = this.batchCount;
    let bytes = 0;
    while (this.#first < this.#batches.length && this.#endOffsets[this.#first]! <= offset) bytes += this.dropOldest();
    this.#cache.cleared(before - this.batchCount, bytes);
  }

  /** Forgets everything: the log was closed. */
  clear(endOffset: number): void {
    const { batchCount } = this;
    let bytes = 0;
    for (let i = this.#first; i < this.#batches.length; i++) bytes += this.#batches[i]!.length;
    this.#batches = [];
    this.#endOffsets = [];
    this.#endBytes = [];
    this.#first = 0;
    this.#startOffset = endOffset;
    this.#cache.cleared(batchCount, bytes);
  }

  /** Index of the first batch that ends behind `offset`. */
  #indexOf(offset: number): number {
    let low = this.#first;
    let high = this.#batches.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#endOffsets[middle]! <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/**
 * A batch is a view of the buffer it came in. Where that is much larger (a request of many batches, of which the others may be
 * gone already or were refused), keeping the view would pin all of it, so that memory is taken four times at most. A copy of
 * a kilobyte costs 1 µs, nearly all of it for the buffer, of 64 KiB 4 µs: a tenth of the broker's time at 110,000 batches of
 * 1 KiB a second (tools/bench). A slab for many would save that, but one batch still kept would pin it.
 */
function compact(batch: Uint8Array): Uint8Array {
  return batch.buffer.byteLength > 4 * batch.length ? new Uint8Array(batch) : batch;
}

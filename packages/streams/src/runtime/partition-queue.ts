import assert from 'node:assert/strict';
import type { FetchedRecords } from '@millrace/client/bytes';
import type { HeaderEntry } from '@millrace/serde';
import type { InputRecord } from '../task/ports.ts';

type RecordReader = Parameters<Parameters<FetchedRecords['forEach']>[0]>[0];

/**
 * Records of one partition that were fetched and not yet processed, in columns: a record costs numbers in typed arrays
 * instead of an object. The queue itself is the record at its head; keys and values stay where the fetch has them.
 */
export class PartitionQueue implements InputRecord {
  readonly topic: string;
  readonly partition: number;
  /** Records waiting. */
  size = 0;
  /** The offset of the next fetch. Another one is a leftover from before a seek, and is not taken. */
  nextFetchOffset: number;
  /** End of the log as of the last fetch. */
  highWatermark: number | undefined;

  readonly #chunks: Chunk[] = [];
  readonly #spare: Chunk[] = [];
  /** The chunk of the head, and the head's place in it. */
  #chunk: Chunk | undefined;
  #index = 0;
  /** Offsets up to here are done: read, or skipped since nothing is there (markers, aborted and compacted records). */
  #position: number;

  constructor(topic: string, partition: number, startOffset: number) {
    this.topic = topic;
    this.partition = partition;
    this.nextFetchOffset = startOffset;
    this.#position = startOffset;
  }

  /** What a commit says: where to go on when all that was taken from the queue counts as done. */
  get position(): number {
    return this.#position;
  }

  /** Takes a fetch. False: it does not continue what is here, so it is not taken. */
  add(fetched: FetchedRecords): boolean {
    assert(fetched.topic === this.topic && fetched.partition === this.partition, 'a queue is of one partition');
    if (fetched.firstOffset !== this.nextFetchOffset) return false;
    this.nextFetchOffset = fetched.nextOffset;
    this.highWatermark = fetched.highWatermark;

    const chunk = this.#spare.pop() ?? new Chunk();
    chunk.nextOffset = fetched.nextOffset;
    chunk.fill(fetched);
    if (chunk.count === 0 && this.size === 0) {
      this.#position = fetched.nextOffset; // only markers, or aborted: nothing to wait for
      this.#spare.push(chunk);
      return true;
    }
    this.size += chunk.count;
    this.#chunks.push(chunk);
    if (this.#chunk === undefined) {
      this.#chunk = chunk;
      this.#index = 0;
    }
    return true;
  }

  // ── The head: only while `size > 0` ──

  get offset(): number {
    return this.#chunk!.offsets[this.#index]!;
  }
  get timestampMs(): number {
    return this.#chunk!.timestamps[this.#index]!;
  }
  get key(): Uint8Array | null {
    return this.#chunk!.key(this.#index);
  }
  get value(): Uint8Array | null {
    return this.#chunk!.value(this.#index);
  }
  get headers(): readonly HeaderEntry[] {
    return this.#chunk!.headers?.[this.#index] ?? noHeaders;
  }

  /** The head is done. */
  shift(): void {
    const chunk = this.#chunk!;
    this.#position = chunk.offsets[this.#index]! + 1;
    this.#index++;
    this.size--;
    if (this.#index === chunk.count) this.#nextChunk();
  }

  #nextChunk(): void {
    do {
      const done = this.#chunks.shift()!;
      this.#position = done.nextOffset; // past what the fetch left out at its end
      done.clear();
      if (this.#spare.length < 2) this.#spare.push(done);
      this.#chunk = this.#chunks[0];
      this.#index = 0;
    } while (this.#chunk?.count === 0);
  }
}

const noHeaders: readonly HeaderEntry[] = [];
const initialRecords = 256;

/** The records of one fetch. Kept and refilled: a long queue makes no garbage but the fetched bytes themselves. */
class Chunk {
  count = 0;
  nextOffset = 0;
  offsets = new Float64Array(initialRecords);
  timestamps = new Float64Array(initialRecords);
  /** Key position, key length, value position, value length of each record. A length of −1 is null. */
  places = new Int32Array(4 * initialRecords);
  bytes: Uint8Array[] = [];
  headers: (readonly HeaderEntry[])[] | null = null;

  readonly #visit = (reader: RecordReader): void => {
    const at = this.count++;
    if (at === this.offsets.length) this.#grow();
    this.offsets[at] = reader.offset;
    this.timestamps[at] = reader.timestampMs;
    this.places[4 * at] = reader.keyPosition;
    this.places[4 * at + 1] = reader.keyLength;
    this.places[4 * at + 2] = reader.valuePosition;
    this.places[4 * at + 3] = reader.valueLength;
    this.bytes.push(reader.bytes);
    if (reader.headerCount > 0) (this.headers ??= [])[at] = reader.headers();
  };

  fill(fetched: FetchedRecords): void {
    fetched.forEach(this.#visit);
  }

  clear(): void {
    this.count = 0;
    this.bytes.length = 0; // or a queue that has run dry would pin its last fetch
    this.headers = null;
  }

  key(at: number): Uint8Array | null {
    return this.#part(at, 4 * at);
  }

  value(at: number): Uint8Array | null {
    return this.#part(at, 4 * at + 2);
  }

  #part(at: number, place: number): Uint8Array | null {
    const length = this.places[place + 1]!;
    if (length < 0) return null;
    const position = this.places[place]!;
    return this.bytes[at]!.subarray(position, position + length);
  }

  #grow(): void {
    const grow = <A extends Float64Array | Int32Array>(from: A, to: A): A => (to.set(from), to);
    this.offsets = grow(this.offsets, new Float64Array(2 * this.offsets.length));
    this.timestamps = grow(this.timestamps, new Float64Array(2 * this.timestamps.length));
    this.places = grow(this.places, new Int32Array(2 * this.places.length));
  }
}

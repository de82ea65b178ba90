import {
  attributesOf,
  batchHeaderBytes,
  readBatchHeader,
  validateBatch,
  type BatchHeader,
  RecordReader,
} from '@millrace/protocol';
import type { FetchedRecords } from '../bytes/types.ts';

export interface AbortedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
}

export interface ChunkSource {
  readonly topic: string;
  readonly partition: number;
  /** The first offset wanted; the first batch may begin before it. */
  readonly fetchOffset: number;
  readonly highWatermark: number;
  readonly bytes: Uint8Array;
  /** null: uncommitted records are wanted too. */
  readonly abortedTransactions: readonly AbortedTransaction[] | null;
  readonly isCrcChecked: boolean;
  readonly reader: RecordReader;
}

/** What one fetch brought of one partition, less control batches and aborted records. */
export class FetchedChunk implements FetchedRecords {
  readonly topic: string;
  readonly partition: number;
  readonly firstOffset: number;
  readonly nextOffset: number;
  readonly highWatermark: number;
  readonly byteLength: number;
  /** Of the last batch, for truncation detection (KIP-320). */
  readonly lastLeaderEpoch: number;
  readonly #source: ChunkSource;
  readonly #positions: readonly number[];
  #nextBatch = 0;
  #isInBatch = false;

  /** @throws `CorruptBatchError`, `UnsupportedMagicError` */
  constructor(source: ChunkSource) {
    this.topic = source.topic;
    this.partition = source.partition;
    this.firstOffset = source.fetchOffset;
    this.highWatermark = source.highWatermark;
    this.#source = source;
    const { positions, endPosition, nextOffset, lastLeaderEpoch } = scan(source);
    this.#positions = positions;
    this.byteLength = endPosition;
    this.nextOffset = nextOffset;
    this.lastLeaderEpoch = lastLeaderEpoch;
  }

  /** Has batches to read; without, it only moves the position on. */
  get hasBatches(): boolean {
    return this.#positions.length > 0;
  }

  get reader(): RecordReader {
    return this.#source.reader;
  }

  /** The same records from `offset` on, to be read anew. */
  from(offset: number): FetchedChunk {
    return new FetchedChunk({ ...this.#source, fetchOffset: offset, isCrcChecked: false });
  }

  forEach(visit: (reader: RecordReader) => void): void {
    const { reader, bytes } = this.#source;
    for (const position of this.#positions) {
      reader.reset(bytes, position);
      while (reader.next()) if (reader.offset >= this.firstOffset) visit(reader);
    }
  }

  /** The same, record by record: true while `reader` is at one. */
  next(): boolean {
    const { reader, bytes } = this.#source;
    for (;;) {
      while (this.#isInBatch && reader.next()) if (reader.offset >= this.firstOffset) return true;
      const position = this.#positions[this.#nextBatch++];
      if (position === undefined) return false;
      reader.reset(bytes, position);
      this.#isInBatch = true;
    }
  }
}

function scan(source: ChunkSource): {
  positions: number[];
  endPosition: number;
  nextOffset: number;
  lastLeaderEpoch: number;
} {
  const { bytes, fetchOffset, abortedTransactions } = source;
  const aborts = abortedTransactions === null ? null : new AbortedProducers(abortedTransactions);
  const positions: number[] = [];
  let nextOffset = fetchOffset;
  let lastLeaderEpoch = -1;
  let position = 0;
  while (position + batchHeaderBytes <= bytes.length) {
    const header = readBatchHeader(bytes, position);
    // The answer's limit may cut the last batch: it comes again. One that lies about its length is refused.
    if (header.sizeBytes >= batchHeaderBytes && position + header.sizeBytes > bytes.length) break;
    if (source.isCrcChecked || header.magic !== 2 || header.sizeBytes < batchHeaderBytes)
      validateBatch(bytes, position);
    const lastOffset = header.baseOffset + header.lastOffsetDelta;
    const isControl = attributesOf.isControl(header.attributes);
    const isAborted = aborts?.isAborted(header, lastOffset) ?? false;
    if (isControl) aborts?.markerSeen(header, bytes, position);
    else if (!isAborted && header.recordCount > 0 && lastOffset >= fetchOffset) positions.push(position);
    nextOffset = Math.max(nextOffset, lastOffset + 1);
    lastLeaderEpoch = header.partitionLeaderEpoch;
    position += header.sizeBytes;
  }
  return { positions, endPosition: position, nextOffset, lastLeaderEpoch };
}

/** Walks the list of aborted transactions along with the batches: from its first offset to its marker a producer's data is void. */
class AbortedProducers {
  readonly #upcoming: AbortedTransaction[];
  readonly #producerIds = new Set<number>();
  /** Its own: the partition's may be in the middle of the chunk before this one. */
  readonly #markerReader = new RecordReader();

  constructor(transactions: readonly AbortedTransaction[]) {
    this.#upcoming = [...transactions].sort((a, b) => b.firstOffset - a.firstOffset);
  }

  isAborted(header: BatchHeader, lastOffset: number): boolean {
    for (let next = this.#upcoming.at(-1); next !== undefined && next.firstOffset <= lastOffset;) {
      this.#producerIds.add(next.producerId);
      this.#upcoming.pop();
      next = this.#upcoming.at(-1);
    }
    return attributesOf.isTransactional(header.attributes) && this.#producerIds.has(header.producerId);
  }

  /** The key of a control record is its version and its type, both int16; type 0 is ABORT. */
  markerSeen(header: BatchHeader, bytes: Uint8Array, position: number): void {
    if (!this.#producerIds.has(header.producerId)) return;
    this.#markerReader.reset(bytes, position);
    const key = this.#markerReader.next() ? this.#markerReader.key : null;
    if (key !== null && key.length >= 4 && key[2] === 0 && key[3] === 0) this.#producerIds.delete(header.producerId);
  }
}

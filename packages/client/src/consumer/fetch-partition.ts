import { RecordReader } from '@millrace/protocol';
import type { FetchedChunk } from './fetched-chunk.ts';

/** One assigned partition: where it is read, and what is fetched ahead of the reader. */
export class FetchPartition {
  readonly topic: string;
  readonly partition: number;
  readonly reader: RecordReader = new RecordReader();
  /** Where the next fetch begins; undefined: not known yet, see `reset`. */
  fetchOffset: number | undefined;
  /** Ask the cluster for this end of the log. */
  reset: 'earliest' | 'latest' | undefined;
  readonly chunks: FetchedChunk[] = [];
  bufferedBytes = 0;
  isPaused = false;
  /** The request that is under way. A new position forgets it, and its answer is dropped. */
  request: object | undefined;
  /** Not fetched before this, by the monotonic clock. */
  mutedUntilMs = 0;
  highWatermark: number | undefined;
  /** As far as this consumer may read: the last stable offset, or the high watermark. */
  endOffset: number | undefined;
  lastFetchedEpoch = -1;

  constructor(topic: string, partition: number) {
    this.topic = topic;
    this.partition = partition;
  }

  /** What `poll` gives next. */
  get position(): number | undefined {
    return this.chunks[0]?.firstOffset ?? this.fetchOffset;
  }

  seek(offset: number): void {
    this.#restart();
    this.fetchOffset = offset;
    this.reset = undefined;
  }

  resetTo(end: 'earliest' | 'latest'): void {
    this.#restart();
    this.fetchOffset = undefined;
    this.reset = end;
  }

  push(chunk: FetchedChunk): void {
    this.chunks.push(chunk);
    this.bufferedBytes += chunk.byteLength;
    this.fetchOffset = chunk.nextOffset;
    this.lastFetchedEpoch = chunk.lastLeaderEpoch;
  }

  /** What was taken and not handed out comes first again. */
  unshift(chunk: FetchedChunk): void {
    this.chunks.unshift(chunk);
    this.bufferedBytes += chunk.byteLength;
  }

  shift(): FetchedChunk | undefined {
    const chunk = this.chunks.shift();
    if (chunk !== undefined) this.bufferedBytes -= chunk.byteLength;
    return chunk;
  }

  #restart(): void {
    this.request = undefined;
    this.chunks.length = 0;
    this.bufferedBytes = 0;
    this.lastFetchedEpoch = -1;
    this.mutedUntilMs = 0;
  }
}

import { isMillraceError } from '@millrace/platform';
import { apis, errorCodes, type ResponseOf } from '@millrace/protocol';
import { OffsetOutOfRangeError } from '../errors.ts';
import { KafkaError } from '../kafka-error.ts';
import type { ClusterClient } from '../network/cluster-client.ts';
import { NodeConnections } from '../network/node-connections.ts';
import type { FetchPartition } from './fetch-partition.ts';
import { FetchedChunk } from './fetched-chunk.ts';
import { listOffsets, offsetAt } from './list-offsets.ts';

export interface FetcherOptions {
  readonly isolationLevel: 'read_committed' | 'read_uncommitted';
  readonly autoOffsetReset: 'earliest' | 'latest' | 'none';
  readonly minBytes: number;
  readonly maxWaitMs: number;
  readonly maxBytes: number;
  readonly maxPartitionBytes: number;
  readonly maxBufferedBytes: number;
  readonly isCrcChecked: boolean;
  /** Chunks, or an error, are there to be taken. */
  readonly onReady: () => void;
}

const retryBackoffMs = 100;
/** How long the second request to a node waits for data. */
const secondLaneMaxWaitMs = 50;

type PartitionAnswer = ResponseOf<typeof apis.fetch>['responses'][number]['partitions'][number];

/**
 * Keeps each assigned partition fetched ahead, within `maxBufferedBytes`.
 *
 * A fetch that found nothing waits at the broker for `maxWaitMs`. A partition that becomes fetchable meanwhile would wait as
 * long, so each node has two lanes, connections of their own, and what goes by the second waits but 50 ms.
 */
export class Fetcher {
  readonly partitions: Map<string, FetchPartition> = new Map();
  readonly #cluster: ClusterClient;
  readonly #options: FetcherOptions;
  readonly #lanes: readonly NodeConnections[];
  /** Busy lanes: `lane of node`. */
  readonly #busy = new Set<string>();
  readonly #ready: FetchPartition[] = [];
  #bufferedBytes = 0;
  #isScheduled = false;
  #isClosed = false;
  #error: Error | undefined;

  constructor(cluster: ClusterClient, options: FetcherOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.#lanes = [new NodeConnections(cluster), new NodeConnections(cluster)];
  }

  get(topic: string, partition: number): FetchPartition | undefined {
    return this.partitions.get(`${partition}/${topic}`);
  }

  add(partition: FetchPartition): void {
    this.partitions.set(`${partition.partition}/${partition.topic}`, partition);
  }

  remove(topic: string, partition: number): void {
    const key = `${partition}/${topic}`;
    const removed = this.partitions.get(key);
    if (removed === undefined) return;
    this.partitions.delete(key);
    this.#bufferedBytes -= removed.bufferedBytes;
    removed.request = undefined;
    this.#unready(removed);
  }

  /** Drops what is buffered of a partition and goes on elsewhere. */
  reposition(partition: FetchPartition, move: () => void): void {
    this.#bufferedBytes -= partition.bufferedBytes;
    this.#unready(partition);
    move();
    this.wake();
  }

  /** The next chunk of some partition that is not paused, in turn. @throws what made fetching stop */
  take(): FetchedChunk | undefined {
    if (this.#error !== undefined) {
      const error = this.#error;
      this.#error = undefined;
      throw error;
    }
    for (let i = 0; i < this.#ready.length; i++) {
      const partition = this.#ready[i]!;
      if (partition.isPaused) continue;
      this.#ready.splice(i, 1);
      const chunk = partition.shift()!;
      this.#bufferedBytes -= chunk.byteLength;
      if (partition.chunks.length > 0) this.#ready.push(partition);
      this.wake();
      return chunk;
    }
    return undefined;
  }

  /** Takes back what is left of the chunk that was taken last of its partition. */
  giveBack(chunk: FetchedChunk): void {
    const partition = this.get(chunk.topic, chunk.partition);
    if (partition === undefined) return;
    partition.unshift(chunk);
    this.#bufferedBytes += chunk.byteLength;
    if (partition.chunks.length === 1) this.#ready.push(partition);
  }

  /** Fetches what may be fetched, once this turn's changes are made. */
  wake(): void {
    if (this.#isScheduled || this.#isClosed) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      this.#run();
    });
  }

  close(): void {
    this.#isClosed = true;
    for (const lane of this.#lanes) lane.close();
  }

  #run(): void {
    if (this.#isClosed) return;
    const nowMs = this.#cluster.platform.clock.monotonic();
    const wanted = new Map<number, FetchPartition[]>();
    const resets: FetchPartition[] = [];
    for (const partition of this.partitions.values()) {
      if (partition.request !== undefined || nowMs < partition.mutedUntilMs) continue;
      if (partition.reset !== undefined) resets.push(partition);
      if (!this.#isFetchable(partition)) continue;
      const leader = this.#cluster.leaderOf(partition.topic, partition.partition)?.leader ?? -1;
      if (leader === -1) this.#refreshThenRetry([partition]);
      else pushTo(wanted, leader, partition);
    }
    if (resets.length > 0) void this.#resetPositions(resets);
    for (const [leader, partitions] of wanted) this.#fetchFrom(leader, partitions);
  }

  #isFetchable(partition: FetchPartition): boolean {
    return (
      partition.fetchOffset !== undefined &&
      !partition.isPaused &&
      partition.bufferedBytes < this.#options.maxPartitionBytes &&
      this.#bufferedBytes < this.#options.maxBufferedBytes
    );
  }

  #fetchFrom(leader: number, partitions: readonly FetchPartition[]): void {
    const lane = this.#lanes.findIndex((_, i) => !this.#busy.has(`${i} of ${leader}`));
    if (lane === -1) return; // again when one of them is back
    const busy = `${lane} of ${leader}`;
    this.#busy.add(busy);
    const request = begin(partitions);
    this.#request(lane, leader, partitions).then(
      (answer) => {
        this.#busy.delete(busy);
        if (!this.#isClosed) this.#answered(end(partitions, request), answer);
        this.wake();
      },
      (error: Error) => {
        this.#busy.delete(busy);
        if (this.#isClosed) return;
        if (isMillraceError(error) && !error.retriable && !isMillraceError(error, 'CLOSED')) this.fail(error);
        this.#refreshThenRetry(end(partitions, request));
      },
    );
  }

  async #request(
    lane: number,
    leader: number,
    partitions: readonly FetchPartition[],
  ): Promise<ResponseOf<typeof apis.fetch>> {
    const options = this.#options;
    const connection = await this.#lanes[lane]!.to(leader);
    const topics = new Map<string, FetchPartition[]>();
    for (const partition of partitions) pushTo(topics, partition.topic, partition);
    const maxWaitMs = lane === 0 ? options.maxWaitMs : Math.min(options.maxWaitMs, secondLaneMaxWaitMs);
    const room = Math.max(options.maxPartitionBytes, options.maxBufferedBytes - this.#bufferedBytes);
    // An eighth is left for what is said beside the records.
    const maxRecordsBytes = Math.ceil((this.#cluster.maxResponseBytes / 8) * 7);
    return await connection.request(
      apis.fetch,
      {
        maxWaitMs,
        minBytes: options.minBytes,
        maxBytes: Math.min(options.maxBytes, room, maxRecordsBytes),
        isolationLevel: options.isolationLevel === 'read_committed' ? 1 : 0,
        topics: [...topics].map(([topic, ofTopic]) => ({
          topic,
          partitions: ofTopic.map((partition) => ({
            partition: partition.partition,
            currentLeaderEpoch: this.#cluster.leaderOf(topic, partition.partition)?.leaderEpoch ?? -1,
            // Moved while we connected: the answer will be dropped.
            fetchOffset: partition.fetchOffset ?? 0,
            lastFetchedEpoch: connection.serves(apis.fetch, 12) ? partition.lastFetchedEpoch : -1,
            partitionMaxBytes: Math.min(options.maxPartitionBytes, maxRecordsBytes),
          })),
        })),
      },
      { timeoutMs: maxWaitMs + this.#cluster.requestTimeoutMs },
    );
  }

  #answered(partitions: readonly FetchPartition[], answer: ResponseOf<typeof apis.fetch>): void {
    const moved: FetchPartition[] = [];
    for (const topic of answer.responses) {
      for (const data of topic.partitions) {
        const partition = partitions.find((p) => p.partition === data.partitionIndex && p.topic === topic.topic);
        if (partition === undefined) continue;
        if (data.errorCode !== errorCodes.NONE) this.#refused(partition, data.errorCode, moved);
        else this.#received(partition, data);
      }
    }
    if (answer.errorCode !== errorCodes.NONE) moved.push(...partitions);
    if (moved.length > 0) this.#refreshThenRetry(moved);
  }

  #received(partition: FetchPartition, data: PartitionAnswer): void {
    const isCommitted = this.#options.isolationLevel === 'read_committed';
    partition.highWatermark = data.highWatermark;
    partition.endOffset = isCommitted && data.lastStableOffset !== -1 ? data.lastStableOffset : data.highWatermark;
    if (data.divergingEpoch.endOffset !== -1) return this.#truncated(partition, data.divergingEpoch.endOffset);
    const bytes = joined(data.records);
    if (bytes.length === 0) return;
    let chunk: FetchedChunk;
    try {
      chunk = new FetchedChunk({
        topic: partition.topic,
        partition: partition.partition,
        fetchOffset: partition.fetchOffset!,
        highWatermark: data.highWatermark,
        bytes,
        abortedTransactions: isCommitted ? (data.abortedTransactions ?? []) : null,
        isCrcChecked: this.#options.isCrcChecked,
        reader: partition.reader,
      });
    } catch (error) {
      this.#mute([partition]);
      return this.fail(error as Error);
    }
    if (chunk.nextOffset === partition.fetchOffset) return;
    partition.push(chunk);
    this.#bufferedBytes += chunk.byteLength;
    if (partition.chunks.length === 1) this.#ready.push(partition);
    // The broker fills its answer in our order: what has had its share comes last the next time.
    const key = `${partition.partition}/${partition.topic}`;
    this.partitions.delete(key);
    this.partitions.set(key, partition);
    this.#options.onReady();
  }

  #refused(partition: FetchPartition, code: number, moved: FetchPartition[]): void {
    const { topic, partition: number, fetchOffset } = partition;
    const error = new KafkaError(code, `Fetch of ${topic}-${number} at ${fetchOffset}`, {
      context: { topic, partition: number, offset: fetchOffset },
    });
    // Where the reader is may be in range, or was when it was fetched: what is ahead of it is handed out first.
    if (code === errorCodes.OFFSET_OUT_OF_RANGE && partition.chunks.length > 0) this.#mute([partition]);
    else if (code === errorCodes.OFFSET_OUT_OF_RANGE) this.#outOfRange(partition, fetchOffset);
    else if (error.retriable) moved.push(partition);
    else {
      this.#mute([partition]);
      this.fail(error);
    }
  }

  #outOfRange(partition: FetchPartition, offset: number | undefined): void {
    const { autoOffsetReset } = this.#options;
    if (autoOffsetReset !== 'none') {
      this.reposition(partition, () => partition.resetTo(autoOffsetReset));
      return;
    }
    partition.mutedUntilMs = Number.POSITIVE_INFINITY; // until it is sought
    this.fail(new OffsetOutOfRangeError({ topic: partition.topic, partition: partition.partition, offset }));
  }

  /** The log was cut behind what we have read (KIP-595): there is nothing to read before its new end. */
  #truncated(partition: FetchPartition, endOffset: number): void {
    if (this.#options.autoOffsetReset === 'none') return this.#outOfRange(partition, partition.fetchOffset);
    const position = partition.position!; // what was fetched ahead of it is dropped, and fetched again
    this.reposition(partition, () => partition.seek(Math.min(endOffset, position)));
  }

  async #resetPositions(partitions: readonly FetchPartition[]): Promise<void> {
    const request = begin(partitions);
    try {
      const queries = partitions.map((partition) => ({
        topic: partition.topic,
        partition: partition.partition,
        timestamp: offsetAt[partition.reset!],
      }));
      const found = await listOffsets(this.#cluster, queries, this.#options.isolationLevel);
      for (const partition of end(partitions, request)) {
        partition.seek(found[partitions.indexOf(partition)]!.offset);
      }
      this.wake();
    } catch (error) {
      const mayPass = isMillraceError(error) && error.retriable;
      if (!this.#isClosed && !mayPass) this.fail(error as Error);
      this.#mute(end(partitions, request));
    }
  }

  #refreshThenRetry(partitions: readonly FetchPartition[]): void {
    for (const partition of partitions) partition.mutedUntilMs = Number.POSITIVE_INFINITY;
    const retry = (): void => this.#mute(partitions);
    this.#cluster.refresh(new Set(partitions.map((partition) => partition.topic))).then(retry, retry);
  }

  #mute(partitions: readonly FetchPartition[]): void {
    if (this.#isClosed) return;
    const { clock, random } = this.#cluster.platform;
    const waitMs = retryBackoffMs * (0.8 + 0.4 * random.next());
    const untilMs = clock.monotonic() + waitMs;
    for (const partition of partitions) partition.mutedUntilMs = untilMs;
    clock.after(waitMs, () => {
      // A timer may fire a little before its time by the monotonic clock.
      for (const partition of partitions) if (partition.mutedUntilMs === untilMs) partition.mutedUntilMs = 0;
      this.wake();
    });
  }

  /** Thrown by the next `take`. */
  fail(error: Error): void {
    this.#error ??= error;
    this.#options.onReady();
  }

  #unready(partition: FetchPartition): void {
    const i = this.#ready.indexOf(partition);
    if (i !== -1) this.#ready.splice(i, 1);
  }
}

function begin(partitions: readonly FetchPartition[]): object {
  const request = {};
  for (const partition of partitions) partition.request = request;
  return request;
}

/** Those that still wait for this request: the others were sought or taken away meanwhile. */
function end(partitions: readonly FetchPartition[], request: object): FetchPartition[] {
  const waiting = partitions.filter((partition) => partition.request === request);
  for (const partition of waiting) partition.request = undefined;
  return waiting;
}

function joined(records: Uint8Array | readonly Uint8Array[] | null): Uint8Array {
  if (records === null) return new Uint8Array(0);
  return records instanceof Uint8Array ? records : Buffer.concat(records);
}

function pushTo<K, V>(groups: Map<K, V[]>, key: K, value: V): void {
  const group = groups.get(key);
  if (group === undefined) groups.set(key, [value]);
  else group.push(value);
}

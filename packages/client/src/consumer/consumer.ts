import assert from 'node:assert/strict';
import { isMillraceError } from '@millrace/platform';
import type { GroupMetadata, TopicPartitionId, TopicPartitionOffset } from '../bytes/types.ts';
import { checkPositive } from '../check-options.ts';
import { CommitFailedError } from '../errors.ts';
import type { ClusterClient } from '../network/cluster-client.ts';
import { withTimeout } from '../network/with-timeout.ts';
import type { Position, TopicPartition } from '../positions.ts';
import type { AnyTopic } from '../records.ts';
import { cooperativeSticky } from './assignors/cooperative-sticky.ts';
import { range } from './assignors/range.ts';
import { EngineBytesConsumer } from './bytes-consumer.ts';
import type { ConsumerOptions } from './consumer-options.ts';
import type { FetchedChunk } from './fetched-chunk.ts';
import { Progress } from './progress.ts';
import { ClientRecordBatch, sourceOf } from './record-batch.ts';
import { RecordDecoder } from './record-decoder.ts';

/**
 * `for await (const record of consumer)`, or batch by batch. Leaving the loop leaves the group: what is done is committed, but
 * not the record or batch in hand, since nobody can tell a `break` from a failure.
 */
export interface Consumer<R> extends AsyncIterable<R> {
  batches(): AsyncIterable<RecordBatch<R>>;
  /** Commits up to and with this record or batch; without an argument, all that was handed out. @throws `COMMIT_FAILED` */
  commit(upTo?: R | RecordBatch<R>): Promise<void>;

  readonly assignment: readonly TopicPartition[];
  /** Records between what was handed out and the end of each partition, as of its last fetch. */
  readonly lag: readonly PartitionLag[];
  /** From the next turn on, whatever is fetched or decoded ahead. Default: all that are assigned now. */
  pause(partitions?: readonly TopicPartition[]): void;
  resume(partitions?: readonly TopicPartition[]): void;
  /** Goes on elsewhere; what was fetched of the partition is dropped. */
  seek(position: Position): void;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Records of one partition, in order. */
export interface RecordBatch<out R> extends Iterable<R> {
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly R[];
  readonly firstOffset: number;
  /** The last offset covered: control records and aborted ones, which are not handed out, count too. */
  readonly lastOffset: number;
  readonly highWatermark: number;
}

export interface PartitionLag extends TopicPartition {
  readonly lagRecords: number;
}

/** Long enough not to matter, short enough to see that the consumer was closed by another path. */
const pollMs = 30_000;

export class ClientConsumer<R extends Position> implements Consumer<R> {
  readonly #cluster: ClusterClient;
  readonly #options: ConsumerOptions<readonly AnyTopic[]>;
  readonly #bytes: EngineBytesConsumer;
  readonly #decoder: RecordDecoder<R>;
  readonly #progress: Progress;
  readonly #maxBufferedRecords: number;
  readonly #abort = (): void => void this.close().catch(() => undefined); // told by the loop, if one runs
  /** The chunk that is being decoded, and an error that comes after what was decoded of it. */
  #chunk: FetchedChunk | undefined;
  #nextOffset = 0;
  /** The chunk that the batch in the loop is of. */
  #handedOutOf: FetchedChunk | undefined;
  readonly #takenAway = new Map<string, number>();
  #pendingError: Error | undefined;
  #isIterated = false;
  #cancelAutoCommit: (() => void) | undefined;
  #autoCommitting: Promise<void> = Promise.resolve();
  #closed: Promise<void> | undefined;

  constructor(cluster: ClusterClient, options: ConsumerOptions<readonly AnyTopic[]>) {
    checkPositive(options, ['autoCommitIntervalMs', 'maxBufferedRecords']);
    this.#cluster = cluster;
    this.#options = options;
    this.#maxBufferedRecords = options.maxBufferedRecords ?? 10_000;
    this.#decoder = new RecordDecoder(options.topics, options.onInvalid ?? 'fail');
    this.#progress = new Progress();
    this.#bytes = new EngineBytesConsumer(cluster, {
      groupId: options.groupId,
      topics: wantedTopics(options.topics),
      isolationLevel: options.isolationLevel ?? 'read_committed',
      autoOffsetReset: options.autoOffsetReset ?? 'earliest',
      assignors: (options.partitionAssignmentStrategy ?? ['cooperative-sticky']).map((name) => assignors[name]),
      groupInstanceId: options.groupInstanceId,
      sessionTimeoutMs: options.sessionTimeoutMs,
      heartbeatIntervalMs: options.heartbeatIntervalMs,
      rebalanceTimeoutMs: options.rebalanceTimeoutMs,
      maxPartitionFetchBytes: options.maxPartitionFetchBytes,
      maxBufferedBytes: options.maxBufferedBytes,
      onPartitionsAssigned: (partitions) => options.onPartitionsAssigned?.(partitions.map(place)),
      onPartitionsRevoked: (partitions) => this.#revoked(partitions),
      onPartitionsLost: (partitions) => this.#lost(partitions),
    });
    if (options.signal?.aborted) this.#abort();
    else options.signal?.addEventListener('abort', this.#abort, { once: true });
  }

  get assignment(): readonly TopicPartition[] {
    return this.#bytes.assignment;
  }

  get lag(): readonly PartitionLag[] {
    return this.assignment.flatMap((partition) => {
      const end = this.#bytes.endOffset(partition);
      const next = this.#progress.handedOut(partition) ?? this.#bytes.position(partition);
      if (end === undefined || next === undefined) return [];
      return [{ ...place(partition), lagRecords: Math.max(0, end - next) }];
    });
  }

  get isClosed(): boolean {
    return this.#closed !== undefined;
  }

  batches(): AsyncIterable<RecordBatch<R>> {
    return {
      [Symbol.asyncIterator]: () => {
        this.#beginIterating();
        return {
          next: async () => {
            this.#progress.batchDone();
            const batch = await this.#nextBatch();
            if (batch === undefined) return { done: true, value: undefined };
            this.#progress.begin(batch, true);
            return { done: false, value: batch };
          },
          return: () => this.#leave(),
        };
      },
    };
  }

  /** By hand rather than by a generator: one promise a record, none that waits for another. */
  [Symbol.asyncIterator](): AsyncIterator<R> {
    this.#beginIterating();
    const progress = this.#progress;
    return {
      next: () => {
        const record = this.#mustAttend ? undefined : (progress.next() as R | undefined);
        if (record !== undefined) return Promise.resolve({ done: false as const, value: record });
        return this.#nextRecord();
      },
      return: () => this.#leave(),
    };
  }

  async commit(upTo?: R | RecordBatch<R>): Promise<void> {
    if (upTo === undefined) {
      await this.#bytes.commit(this.#progress.allHandedOut());
      return;
    }
    if (upTo instanceof ClientRecordBatch) {
      const { group, position } = sourceOf(upTo);
      group.metadata();
      return await this.#bytes.commit([position]);
    }
    const { topic, partition, offset } = upTo as R;
    if (!this.#bytes.isAssigned({ topic, partition })) throw this.#takenAwayError({ topic, partition });
    await this.#bytes.commit([{ topic, partition, offset: offset + 1 }]);
  }

  pause(partitions: readonly TopicPartition[] = this.assignment): void {
    this.#bytes.pause(partitions);
    for (const partition of partitions) this.#holdBack(partition);
  }

  resume(partitions: readonly TopicPartition[] = this.assignment): void {
    this.#bytes.resume(partitions);
  }

  seek(position: Position): void {
    this.#bytes.seek(position);
    if (this.#bytes.position(position) === undefined) return; // not assigned
    this.#progress.sought(position);
    if (this.#chunk !== undefined && isOf(this.#chunk, position)) {
      this.#chunk = undefined;
      this.#pendingError = undefined;
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #beginIterating(): void {
    assert(!this.#isIterated, 'a consumer is iterated once: make another one for another loop');
    this.#isIterated = true;
    if (this.#options.enableAutoCommit ?? true) this.#autoCommitLater();
  }

  get #mustAttend(): boolean {
    return this.#bytes.mustAttend || this.#closed !== undefined;
  }

  async #nextRecord(): Promise<IteratorResult<R, undefined>> {
    for (;;) {
      // Before anything else, as it may take away what is decoded.
      if (this.#mustAttend) {
        if (this.#closed === undefined) this.#progress.recordDone();
        if (!(await this.#unlessClosed(() => this.#bytes.attend().then(() => true))))
          return { done: true, value: undefined };
      }
      const record = this.#progress.next() as R | undefined;
      if (record !== undefined) return { done: false, value: record };
      const batch = await this.#nextBatch();
      if (batch === undefined) return { done: true, value: undefined };
      this.#progress.begin(batch, false);
    }
  }

  /** undefined: the consumer is closed. */
  #nextBatch(): Promise<ClientRecordBatch<R> | undefined> {
    return this.#unlessClosed(async () => {
      while (this.#closed === undefined) {
        if (this.#bytes.mustAttend) await this.#bytes.attend();
        if (this.#pendingError !== undefined) throw this.#pendingError;
        const chunk = this.#chunk ?? (await this.#poll());
        if (chunk === undefined) continue;
        const batch = await this.#decode(chunk);
        if (batch !== undefined) return batch;
      }
      return undefined;
    });
  }

  /** undefined: the consumer is closed. */
  async #unlessClosed<T>(work: () => Promise<T | undefined>): Promise<T | undefined> {
    try {
      const result = this.#closed === undefined ? await work() : undefined;
      if (result !== undefined) return result;
    } catch (error) {
      if (this.#closed !== undefined && isMillraceError(error, 'CLOSED')) return undefined;
      // The loop ends by it: what was done before is committed, and the group need not wait for us.
      await this.close().catch(() => undefined);
      throw error;
    }
    await this.#closed;
    return undefined;
  }

  /** undefined: there is none, or it was sought away from while its schemas were fetched. */
  async #poll(): Promise<FetchedChunk | undefined> {
    const chunk = await this.#bytes.poll(pollMs);
    if (chunk === null) return undefined;
    this.#chunk = chunk;
    this.#nextOffset = chunk.firstOffset;
    await this.#decoder.prepare(chunk.topic);
    return this.#chunk;
  }

  /** undefined: nothing in it is for the loop. */
  async #decode(chunk: FetchedChunk): Promise<ClientRecordBatch<R> | undefined> {
    const firstOffset = this.#nextOffset;
    const part = await this.#decoder.take(chunk, this.#maxBufferedRecords);
    if (this.#chunk !== chunk) return undefined; // sought meanwhile
    this.#nextOffset = part.nextOffset;
    this.#pendingError = part.error;
    if (part.isExhausted) this.#chunk = undefined;
    const { topic, partition, highWatermark } = chunk;
    if (part.records.length === 0) {
      if (part.nextOffset > firstOffset) this.#progress.skipped({ topic, partition, offset: part.nextOffset });
      return undefined;
    }
    const at = { topic, partition, highWatermark, firstOffset, lastOffset: part.nextOffset - 1 };
    const grant = this.#grantOf(chunk);
    this.#handedOutOf = chunk;
    return new ClientRecordBatch(at, part.records, {
      metadata: () => this.#groupOf(at, grant),
      settled: () => this.#bytes.settled,
    });
  }

  /** What is decoded of a paused partition goes back to what is fetched ahead, as far as the loop has not been given it. */
  #holdBack(partition: TopicPartition): void {
    const isDecoding = this.#chunk !== undefined && isOf(this.#chunk, partition);
    const decodedFrom = this.#progress.cut(partition);
    const offset = decodedFrom ?? (isDecoding ? this.#nextOffset : undefined);
    if (offset === undefined) return;
    const chunk = isDecoding ? this.#chunk! : this.#handedOutOf!;
    if (isDecoding) {
      this.#chunk = undefined;
      this.#pendingError = undefined;
    }
    this.#bytes.giveBack(chunk.from(offset));
  }

  /** How often the partition has been taken away: what was handed out before is not this member's to commit any more. */
  #grantOf({ topic, partition }: TopicPartition): number {
    return this.#takenAway.get(`${partition}/${topic}`) ?? 0;
  }

  /**
   * The group as it is now, as a partition may be kept through many generations. But not for one that was taken away since, nor
   * outside of the group: brokers know only of a member in good standing, and take offsets of a transaction without a generation
   * from anybody. Both would go over those of the new owner.
   */
  #groupOf({ topic, partition }: TopicPartition, grant: number): GroupMetadata {
    const group = this.#bytes.groupMetadata;
    if (group.generationId < 0) throw new CommitFailedError(group.groupId, 'this consumer is no member of it now');
    if (this.#grantOf({ topic, partition }) === grant) return group;
    throw this.#takenAwayError({ topic, partition });
  }

  #takenAwayError({ topic, partition }: TopicPartition): Error {
    const why = `${topic}-${partition} was taken away since it was handed out`;
    return new CommitFailedError(this.#options.groupId, why);
  }

  // ── Committing ───────────────────────────────────────────────────────────────────────────────────────────────────

  #autoCommitLater(): void {
    this.#cancelAutoCommit = this.#cluster.platform.clock.after(this.#options.autoCommitIntervalMs ?? 5_000, () => {
      this.#autoCommitting = this.#autoCommit(this.#progress.takeDone()).then(() => {
        if (this.#closed === undefined) this.#autoCommitLater();
      });
    });
  }

  /** A commit that does not succeed is made up for by the next; if it never can, the loop is told. */
  async #autoCommit(offsets: readonly TopicPartitionOffset[]): Promise<void> {
    if (offsets.length === 0) return;
    try {
      await this.#bytes.commit(offsets);
    } catch (error) {
      if (isMillraceError(error, 'COMMIT_FAILED') || isMillraceError(error, 'CLOSED')) return;
      const mayPass = isMillraceError(error) && (error.retriable || isMillraceError(error, 'REBALANCE_IN_PROGRESS'));
      if (mayPass) this.#progress.giveBack(offsets);
      else this.#bytes.fail(error as Error);
    }
  }

  async #revoked(partitions: readonly TopicPartitionId[]): Promise<void> {
    await this.#options.onPartitionsRevoked?.(partitions.map(place));
    if (this.#options.enableAutoCommit ?? true) {
      await this.#autoCommitting;
      await this.#autoCommit(this.#progress.takeDone(partitions));
    }
    this.#drop(partitions);
  }

  async #lost(partitions: readonly TopicPartitionId[]): Promise<void> {
    this.#drop(partitions);
    await this.#options.onPartitionsLost?.(partitions.map(place));
  }

  #drop(partitions: readonly TopicPartitionId[]): void {
    for (const { topic, partition } of partitions) {
      this.#takenAway.set(`${partition}/${topic}`, this.#grantOf({ topic, partition }) + 1);
    }
    this.#progress.drop(partitions);
    const chunk = this.#chunk;
    if (chunk !== undefined && partitions.some((partition) => isOf(chunk, partition))) {
      this.#chunk = undefined;
    }
  }

  async #leave(): Promise<{ done: true; value: undefined }> {
    await this.close();
    return { done: true, value: undefined };
  }

  async #close(): Promise<void> {
    this.#options.signal?.removeEventListener('abort', this.#abort);
    this.#cancelAutoCommit?.();
    // Gives up the partitions, which commits what is done.
    const closed = this.#bytes.close().then(() => this.#autoCommitting);
    await withTimeout(this.#cluster, closed, this.#cluster.requestTimeoutMs);
  }
}

const assignors = { 'cooperative-sticky': cooperativeSticky, range } as const;

function isOf(chunk: FetchedChunk, { topic, partition }: TopicPartition): boolean {
  return chunk.topic === topic && chunk.partition === partition;
}

function place({ topic, partition }: TopicPartition): TopicPartition {
  return { topic, partition };
}

/** Names alone, or one pattern that matches what any of the contracts wants. */
function wantedTopics(topics: readonly AnyTopic[]): readonly string[] | RegExp {
  assert(topics.length > 0, 'a consumer needs a topic');
  const names: string[] = [];
  const alternatives: string[] = [];
  for (const topic of topics) {
    if ('name' in topic) {
      names.push(topic.name);
      alternatives.push(`^${topic.name.replaceAll('.', '\\.')}$`);
    } else {
      alternatives.push(`(?:${topic.pattern.source})`);
    }
  }
  if (names.length === topics.length) return names;
  const [only] = topics;
  if (topics.length === 1 && only !== undefined && 'pattern' in only) return only.pattern;
  return new RegExp(alternatives.join('|'));
}

import assert from 'node:assert/strict';
import type {
  BytesConsumer,
  BytesConsumerOptions,
  GroupMetadata,
  TopicPartitionId,
  TopicPartitionOffset,
} from '../bytes/types.ts';
import { checkPositive } from '../check-options.ts';
import {
  ClosedError,
  CommitFailedError,
  InvalidOptionError,
  OffsetOutOfRangeError,
  UnsafeIntegerError,
} from '../errors.ts';
import type { ClusterClient } from '../network/cluster-client.ts';
import { unlessAborted } from '../network/unless-aborted.ts';
import { withTimeout } from '../network/with-timeout.ts';
import { cooperativeSticky } from './assignors/cooperative-sticky.ts';
import { FetchPartition } from './fetch-partition.ts';
import { Fetcher } from './fetcher.ts';
import type { FetchedChunk } from './fetched-chunk.ts';
import { GroupMember } from './group-member.ts';
import { GroupOffsets } from './group-offsets.ts';
import { Subscription } from './subscription.ts';

interface Action {
  readonly run: () => Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** A fetcher, and a group's member that tells it what to fetch. */
export class EngineBytesConsumer implements BytesConsumer {
  readonly #cluster: ClusterClient;
  readonly #options: BytesConsumerOptions;
  readonly #fetcher: Fetcher;
  readonly #offsets: GroupOffsets | undefined;
  readonly #member: GroupMember | undefined;
  readonly #closing = new AbortController();
  /** What the group asks for between two polls, when the caller holds no records. */
  readonly #actions: Action[] = [];
  #runningAction: Action | undefined;
  #wakePoll: (() => void) | undefined;
  #isPolling = false;
  #failure: Error | undefined;
  #closed: Promise<void> | undefined;

  constructor(cluster: ClusterClient, options: BytesConsumerOptions) {
    checkPositive(options, [
      'sessionTimeoutMs',
      'rebalanceTimeoutMs',
      'heartbeatIntervalMs',
      'fetchMaxBytes',
      'maxPartitionFetchBytes',
      'maxBufferedBytes',
    ]);
    this.#cluster = cluster;
    this.#options = options;
    this.#fetcher = new Fetcher(cluster, {
      isolationLevel: options.isolationLevel,
      autoOffsetReset: options.autoOffsetReset,
      minBytes: options.fetchMinBytes ?? 1,
      maxWaitMs: options.fetchMaxWaitMs ?? 500,
      maxBytes: options.fetchMaxBytes ?? 50 * 1024 * 1024,
      maxPartitionBytes: options.maxPartitionFetchBytes ?? 1024 * 1024,
      maxBufferedBytes: options.maxBufferedBytes ?? 32 * 1024 * 1024,
      isCrcChecked: options.checkCrcs ?? true,
      onReady: () => this.#wakePoll?.(),
    });
    const { groupId, topics } = options;
    if (groupId === '') throw new InvalidOptionError('groupId', "''", 'give the group a name.');
    this.#offsets = groupId === undefined ? undefined : new GroupOffsets(cluster, groupId);
    if (topics === undefined) return;
    if (groupId === undefined) throw new InvalidOptionError('groupId', groupId, 'topics are shared out in a group.');
    this.#member = new GroupMember(
      cluster,
      {
        groupId,
        groupInstanceId: options.groupInstanceId ?? null,
        leavesOnClose: options.leaveOnClose ?? options.groupInstanceId === undefined,
        assignors: options.assignors ?? [cooperativeSticky],
        sessionTimeoutMs: options.sessionTimeoutMs ?? 45_000,
        rebalanceTimeoutMs: options.rebalanceTimeoutMs ?? 60_000,
        heartbeatIntervalMs: options.heartbeatIntervalMs ?? Math.min(3_000, (options.sessionTimeoutMs ?? 45_000) / 3),
      },
      new Subscription(cluster, topics),
      {
        assigned: (partitions) => this.#assigned(partitions),
        revoked: (partitions) => this.#inPoll(() => this.#revoked(partitions)),
        lost: (partitions) => this.#inPoll(() => this.#lost(partitions)),
        failed: (error) => this.fail(error),
      },
    );
  }

  async poll(maxWaitMs: number): Promise<FetchedChunk | null> {
    assert(!this.#isPolling, 'one poll at a time');
    this.#isPolling = true;
    try {
      return await this.#poll(maxWaitMs);
    } finally {
      this.#isPolling = false;
    }
  }

  /** The group waits for an action between two records, or there is a failure to tell: `attend` does that. */
  get mustAttend(): boolean {
    return this.#actions.length > 0 || this.#failure !== undefined;
  }

  /** As `poll`, for a caller that still has records to hand out. @throws what `poll` throws */
  async attend(): Promise<void> {
    assert(!this.#isPolling, 'one poll at a time');
    this.#isPolling = true;
    try {
      while (!this.isClosed) {
        const action = this.#actions.shift();
        if (action === undefined) break;
        await this.#runAction(action);
      }
      if (this.isClosed) throw new ClosedError('consumer');
      if (this.#failure !== undefined) throw this.#failure;
    } finally {
      this.#isPolling = false;
    }
  }

  /** Records of a chunk that was polled, and that are not handed out now: `poll` gives them again. */
  giveBack(chunk: FetchedChunk): void {
    this.#fetcher.giveBack(chunk);
  }

  assign(positions: readonly TopicPartitionOffset[]): void {
    assert(this.#member === undefined, 'the group assigns');
    for (const { topic, partition } of this.#fetcher.partitions.values()) this.#fetcher.remove(topic, partition);
    for (const { topic, partition, offset } of positions) {
      checkOffset(topic, partition, offset);
      const added = new FetchPartition(topic, partition);
      added.seek(offset);
      this.#fetcher.add(added);
    }
    this.#fetcher.wake();
  }

  /** A partition that is not assigned (any more) is left alone. @throws `UNSAFE_INTEGER` */
  seek({ topic, partition, offset }: TopicPartitionOffset): void {
    checkOffset(topic, partition, offset);
    const found = this.#fetcher.get(topic, partition);
    if (found !== undefined) this.#fetcher.reposition(found, () => found.seek(offset));
  }

  pause(partitions: readonly TopicPartitionId[]): void {
    this.#setPaused(partitions, true);
  }

  resume(partitions: readonly TopicPartitionId[]): void {
    this.#setPaused(partitions, false);
    this.#fetcher.wake();
    this.#wakePoll?.();
  }

  position({ topic, partition }: TopicPartitionId): number | undefined {
    return this.#fetcher.get(topic, partition)?.position;
  }

  endOffset({ topic, partition }: TopicPartitionId): number | undefined {
    return this.#fetcher.get(topic, partition)?.endOffset;
  }

  async commit(offsets: readonly TopicPartitionOffset[]): Promise<void> {
    const { groupId } = this.#options;
    if (groupId === undefined || this.#offsets === undefined) {
      throw new InvalidOptionError('groupId', groupId, 'offsets are committed by a group.');
    }
    const member = this.#member;
    if (member !== undefined && member.metadata.generationId === -1) {
      throw new CommitFailedError(groupId, 'this member is not in the group now');
    }
    await this.#offsets.commit(
      offsets,
      () => this.groupMetadata,
      () => this.settled,
    );
  }

  /** Every `poll` from now on throws this. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.#wakePoll?.();
  }

  /** Resolves when the member does not stand between two generations. */
  get settled(): Promise<void> {
    return this.#member?.settled ?? Promise.resolve();
  }

  isAssigned({ topic, partition }: TopicPartitionId): boolean {
    return this.#fetcher.get(topic, partition) !== undefined;
  }

  enforceRebalance(): void {
    this.#member?.rejoin('the consumer asked for it');
  }

  get groupMetadata(): GroupMetadata {
    return (
      this.#member?.metadata ?? {
        groupId: this.#options.groupId ?? '',
        generationId: -1,
        memberId: '',
        groupInstanceId: null,
      }
    );
  }

  get assignment(): readonly TopicPartitionId[] {
    return [...this.#fetcher.partitions.values()].map(({ topic, partition }) => ({ topic, partition }));
  }

  get isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  /**
   * Gives up its partitions (`onPartitionsRevoked` is awaited), leaves the group, and lets go of its connections. Within the
   * request timeout: what is not done by then is not waited for.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    this.#wakePoll?.();
    // Also the one that runs: a callback may close its consumer, and must not wait for itself.
    this.#runningAction?.reject(new ClosedError('consumer'));
    for (const action of this.#actions.splice(0)) action.reject(new ClosedError('consumer'));
    try {
      if (this.#member !== undefined) {
        await withTimeout(this.#cluster, this.#member.close(), this.#cluster.requestTimeoutMs);
      }
    } finally {
      this.#fetcher.close();
    }
  }

  async #poll(maxWaitMs: number): Promise<FetchedChunk | null> {
    const { clock } = this.#cluster.platform;
    const deadlineMs = clock.monotonic() + maxWaitMs;
    this.#member?.start();
    for (let hasWaited = false; ; hasWaited = true) {
      if (this.isClosed || this.#cluster.isClosed) throw new ClosedError('consumer');
      const action = this.#actions.shift();
      if (action !== undefined) {
        await this.#runAction(action);
        return null;
      }
      if (this.#failure !== undefined) throw this.#failure;
      const chunk = this.#fetcher.take();
      if (chunk !== undefined) return chunk;
      const waitMs = deadlineMs - clock.monotonic();
      if (waitMs <= 0 && hasWaited) return null;
      await this.#wait(waitMs);
    }
  }

  /** Until there is something to do, or for this long; at least one turn, or a loop of polls would let nothing come in. */
  #wait(waitMs: number): Promise<void> {
    const { clock } = this.#cluster.platform;
    return new Promise((resolve) => {
      if (waitMs <= 0) return clock.defer(resolve);
      const done = (): void => {
        cancel();
        this.#wakePoll = undefined;
        resolve();
      };
      const cancel = clock.after(waitMs, done);
      this.#wakePoll = done;
    });
  }

  /** Runs in `poll`, where the caller is between two batches; at close at once. */
  #inPoll(run: () => Promise<void>): Promise<void> {
    if (this.isClosed) return run();
    return new Promise((resolve, reject) => {
      this.#actions.push({ run, resolve, reject });
      this.#wakePoll?.();
    });
  }

  async #runAction(action: Action): Promise<void> {
    this.#runningAction = action;
    try {
      await action.run();
      action.resolve();
    } catch (error) {
      action.reject(error as Error);
      throw error;
    } finally {
      this.#runningAction = undefined;
    }
  }

  async #assigned(partitions: readonly TopicPartitionId[]): Promise<void> {
    const isStable = this.#options.isolationLevel === 'read_committed';
    const { signal } = this.#closing;
    const committed = await unlessAborted(this.#offsets!.fetch(partitions, isStable, signal), signal, 'consumer');
    await this.#inPoll(async () => {
      if (this.isClosed) return;
      const { autoOffsetReset, onPartitionsAssigned } = this.#options;
      const told = partitions.map((place) => ({
        ...place,
        committed: committed.find((c) => c.topic === place.topic && c.partition === place.partition),
      }));
      for (const { topic, partition, committed: last } of told) {
        const added = new FetchPartition(topic, partition);
        if (last !== undefined) added.seek(last.offset);
        else if (autoOffsetReset !== 'none') added.resetTo(autoOffsetReset);
        added.mutedUntilMs = Number.POSITIVE_INFINITY; // the callback may seek
        this.#fetcher.add(added);
      }
      await onPartitionsAssigned?.(told);
      for (const { topic, partition } of told) {
        const added = this.#fetcher.get(topic, partition);
        if (added === undefined) continue;
        added.mutedUntilMs = 0;
        const isLost = added.fetchOffset === undefined && added.reset === undefined;
        if (isLost) this.#fetcher.fail(new OffsetOutOfRangeError({ topic, partition }));
      }
      this.#fetcher.wake();
    });
  }

  async #revoked(partitions: readonly TopicPartitionId[]): Promise<void> {
    const known = partitions.filter(({ topic, partition }) => this.#fetcher.get(topic, partition) !== undefined);
    if (known.length > 0) await this.#options.onPartitionsRevoked?.(known);
    for (const { topic, partition } of known) this.#fetcher.remove(topic, partition);
  }

  async #lost(partitions: readonly TopicPartitionId[]): Promise<void> {
    for (const { topic, partition } of partitions) this.#fetcher.remove(topic, partition);
    await this.#options.onPartitionsLost?.(partitions);
  }

  #setPaused(partitions: readonly TopicPartitionId[], isPaused: boolean): void {
    for (const { topic, partition } of partitions) {
      const found = this.#fetcher.get(topic, partition);
      if (found !== undefined) found.isPaused = isPaused;
    }
  }
}

function checkOffset(topic: string, partition: number, offset: number): void {
  if (!Number.isSafeInteger(offset) || offset < 0) {
    throw new UnsafeIntegerError(`The offset to read ${topic}-${partition} from`, offset);
  }
}

import { isMillraceError } from '@millrace/platform';
import {
  errorCodes,
  apis,
  prepareCompression,
  type CompressionType,
  type RecordBatchWriter,
  type RequestInput,
  type ResponseOf,
} from '@millrace/protocol';
import { MessageTooLargeError, ProducerFencedError, UnknownTopicError } from '../errors.ts';
import { isRetriableErrorNumber, KafkaError } from '../kafka-error.ts';
import type { ClusterClient } from '../network/cluster-client.ts';
import { NodeConnections } from '../network/node-connections.ts';
import type { PartitionQueue } from './partition-queue.ts';
import type { ProducerBatch, ProducerIdentity } from './producer-batch.ts';
import type { RecordAccumulator } from './record-accumulator.ts';

/** Who the producer is, and what a transaction allows. */
export interface ProducerSession {
  readonly transactionalId: string | null;
  /** undefined: the producer is not idempotent, or not ready. */
  readonly identity: ProducerIdentity | undefined;
  /** Why no batch will go any more: those that wait fail by it. */
  readonly error: Error | undefined;
  /** Whether batches may go; if not, the sender is woken when they may. */
  isReady(): boolean;
  /** Whether the partition is part of the transaction; if not, it is being added, and the sender woken after. */
  admits(topic: string, partition: number): boolean;
  /** The broker does not know our sequence: a new epoch is needed, and the sender woken when there is one. */
  raiseEpoch(): void;
}

export interface SenderOptions {
  readonly acks: -1 | 0 | 1;
  readonly lingerMs: number;
  readonly compression: CompressionType;
}

const maxInFlightRequests = 5;
const maxRequestBytes = 8 * 1024 * 1024;
const retryBackoffMs = 100;

/** Takes batches from the accumulator to their leaders, and reads the answers. */
export class Sender {
  readonly #cluster: ClusterClient;
  readonly #connections: NodeConnections;
  readonly #accumulator: RecordAccumulator;
  readonly #session: ProducerSession;
  readonly #options: SenderOptions;
  readonly #inFlightByNode = new Map<number, number>();
  readonly #connecting = new Set<number>();
  readonly #idleWaiters: (() => void)[] = [];
  #inFlightCount = 0;
  #isWaking = false;
  #isClosed = false;
  #cancelLinger: (() => void) | undefined;
  #compressionState: 'loading' | 'ready' | Error;

  constructor(
    cluster: ClusterClient,
    accumulator: RecordAccumulator,
    session: ProducerSession,
    options: SenderOptions,
  ) {
    this.#cluster = cluster;
    this.#connections = new NodeConnections(cluster);
    this.#accumulator = accumulator;
    this.#session = session;
    this.#options = options;
    this.#compressionState = options.compression === 'none' ? 'ready' : 'loading';
    if (this.#compressionState === 'loading') void this.#loadCompression();
  }

  /** Sends what may be sent, at the end of this turn of the loop or in `delayMs`. */
  wake(delayMs: number = 0): void {
    if (this.#isClosed) return;
    const { clock } = this.#cluster.platform;
    if (delayMs > 0) {
      this.#cancelLinger ??= clock.after(delayMs, () => {
        this.#cancelLinger = undefined;
        this.drain();
      });
      return;
    }
    if (this.#isWaking) return;
    this.#isWaking = true;
    clock.defer(() => {
      this.#isWaking = false;
      this.drain();
    });
  }

  /** Sends what may be sent, now. */
  drain(): void {
    if (this.#isClosed || this.#accumulator.active.size === 0) return;
    const failure = this.#compressionState instanceof Error ? this.#compressionState : this.#session.error;
    if (failure !== undefined) return this.#accumulator.failUnsent(failure);
    if (this.#compressionState === 'loading' || !this.#session.isReady()) return;
    // One time for both: what is not due to be sent is due to be waited for.
    let nowMs: number;
    do nowMs = this.#cluster.platform.clock.monotonic();
    while (this.#sendRound(nowMs));
    if (this.#options.lingerMs > 0) {
      const untilDueMs = this.#accumulator.untilDueMs(nowMs);
      if (untilDueMs !== undefined) this.wake(untilDueMs);
    }
  }

  /** Resolves when every request is answered or lost. */
  idle(): Promise<void> {
    if (this.#inFlightCount === 0) return Promise.resolve();
    return new Promise((resolve) => void this.#idleWaiters.push(resolve));
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelLinger?.();
    this.#connections.close();
  }

  // ── Out ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** One request a node, with one batch a partition. False: nothing more may go. */
  #sendRound(nowMs: number): boolean {
    const isDue = (open: ProducerBatch): boolean => this.#accumulator.isDue(open, nowMs);
    const requests = new Map<number, { readonly batches: ProducerBatch[]; sizeBytes: number }>();
    for (const queue of this.#accumulator.active) {
      if (!queue.hasUnsent || nowMs < queue.mutedUntilMs) continue;
      const leader = this.#leaderOf(queue);
      if (leader === undefined || (this.#inFlightByNode.get(leader) ?? 0) >= maxInFlightRequests) continue;
      if (this.#connections.opened(leader) === undefined) {
        this.#connect(leader);
        continue;
      }
      let request = requests.get(leader);
      if (request !== undefined && request.sizeBytes >= maxRequestBytes) continue;
      if (!this.#session.admits(queue.topic, queue.partition)) continue;
      const batch = queue.take(leader, nowMs, this.#session.identity, isDue);
      if (batch === undefined) {
        if (queue.needsEpochAfter(this.#session.identity)) this.#session.raiseEpoch();
        continue;
      }
      if (request === undefined) requests.set(leader, (request = { batches: [], sizeBytes: 0 }));
      request.batches.push(batch);
      request.sizeBytes += batch.encodedBytes;
    }
    for (const [leader, { batches }] of requests) this.#send(leader, batches);
    return requests.size > 0;
  }

  #send(leader: number, batches: readonly ProducerBatch[]): void {
    const connection = this.#connections.opened(leader)!;
    const { active } = this.#accumulator;
    const isTransactional = this.#session.transactionalId !== null;
    const release = (writer: RecordBatchWriter): void => this.#accumulator.releaseWriter(writer);
    const topics = new Map<string, { index: number; records: Uint8Array }[]>();
    for (const batch of batches) {
      const records = batch.encode(this.#options.compression, isTransactional, release);
      const partitions = topics.get(batch.topic);
      if (partitions === undefined) topics.set(batch.topic, [{ index: batch.partition, records }]);
      else partitions.push({ index: batch.partition, records });
      // The next round serves the others first.
      const queue = this.#accumulator.queueOf(batch);
      active.delete(queue);
      active.add(queue);
    }
    const request: RequestInput<typeof apis.produce> = {
      transactionalId: this.#session.transactionalId,
      acks: this.#options.acks,
      timeoutMs: this.#cluster.requestTimeoutMs,
      topicData: [...topics].map(([name, partitionData]) => ({ name, partitionData })),
    };
    this.#inFlight(leader, 1);
    // Without an answer, what the socket took is as good as acknowledged: that is what `acks: 0` means.
    const sent: Promise<ResponseOf<typeof apis.produce> | void> =
      this.#options.acks === 0
        ? connection.sendOneWay(apis.produce, request)
        : connection.request(apis.produce, request);
    sent.then(
      (answer) => {
        this.#inFlight(leader, -1);
        if (answer === undefined) this.#taken(batches);
        else this.#answered(batches, answer);
        this.drain();
      },
      (error: Error) => {
        this.#inFlight(leader, -1);
        this.#lost(batches, error);
        this.wake();
      },
    );
  }

  #inFlight(leader: number, change: 1 | -1): void {
    this.#inFlightByNode.set(leader, (this.#inFlightByNode.get(leader) ?? 0) + change);
    this.#inFlightCount += change;
    // After the answer is read: who waits wants to see what came of it.
    if (this.#inFlightCount === 0 && this.#idleWaiters.length > 0) {
      const waiters = this.#idleWaiters.splice(0);
      queueMicrotask(() => waiters.forEach((resolve) => resolve()));
    }
  }

  #connect(leader: number): void {
    if (this.#connecting.has(leader)) return;
    this.#connecting.add(leader);
    this.#connections.to(leader).then(
      () => {
        this.#connecting.delete(leader);
        this.drain();
      },
      async (error: Error) => {
        for (const batch of this.#accumulator.unsettled()) {
          if (this.#cluster.leaderOf(batch.topic, batch.partition)?.leader === leader) batch.lastError = error;
        }
        if (isMillraceError(error, 'SASL_AUTHENTICATION_FAILED')) this.#accumulator.failUnsent(error);
        // The leader may have moved while its node is down. If no node answers, batches wait, and expire.
        else await this.#cluster.refresh(this.#accumulator.topics()).catch(() => this.#pause());
        this.#connecting.delete(leader);
        this.wake();
      },
    );
  }

  /** Node id of the leader; undefined: the cluster is being asked. */
  #leaderOf(queue: PartitionQueue): number | undefined {
    const leader = this.#cluster.leaderOf(queue.topic, queue.partition)?.leader ?? -1;
    if (leader === -1) {
      queue.mutedUntilMs = Number.POSITIVE_INFINITY;
      void this.#findLeader(queue);
      return undefined;
    }
    queue.unknownSinceMs = undefined;
    return leader;
  }

  async #findLeader(queue: PartitionQueue): Promise<void> {
    const { clock } = this.#cluster.platform;
    const { topic, partition } = queue;
    queue.unknownSinceMs ??= clock.monotonic();
    try {
      await this.#cluster.refresh([topic], { mayCreate: true });
    } catch {
      return this.#mute(queue, retryBackoffMs); // no broker answers: the batches wait, and expire
    }
    if ((this.#cluster.leaderOf(topic, partition)?.leader ?? -1) !== -1) return this.#mute(queue, 0);
    const isTopicKnown = this.#cluster.metadata.topics.has(topic);
    const isPartitionKnown = this.#cluster.leaderOf(topic, partition) !== undefined;
    const number = this.#cluster.metadata.topicErrors.get(topic);
    const isRefused = number !== undefined && !isRetriableErrorNumber(number);
    const isOver = clock.monotonic() - queue.unknownSinceMs >= this.#cluster.unknownTopicTimeoutMs;
    if (isRefused) {
      this.#accumulator.failUnsent(new KafkaError(number, `Produce to ${topic}`, { context: { topic } }), [queue]);
    } else if (isOver && !isPartitionKnown) {
      this.#accumulator.failUnsent(new UnknownTopicError(topic, isTopicKnown ? partition : undefined), [queue]);
    }
    this.#mute(queue, retryBackoffMs);
  }

  // ── Back ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  #taken(batches: readonly ProducerBatch[]): void {
    for (const batch of batches) if (!batch.isSettled) this.#accumulator.acknowledge(batch, -1);
  }

  #answered(batches: readonly ProducerBatch[], answer: ResponseOf<typeof apis.produce>): void {
    const missing = new Set(batches);
    for (const topic of answer.responses) {
      for (const partition of topic.partitionResponses) {
        const batch = batches.find((b) => b.partition === partition.index && b.topic === topic.name);
        if (batch === undefined || !missing.delete(batch) || batch.isSettled) continue;
        if (partition.errorCode === errorCodes.NONE || partition.errorCode === errorCodes.DUPLICATE_SEQUENCE_NUMBER) {
          this.#accumulator.acknowledge(batch, partition.baseOffset);
        } else {
          this.#refused(batch, partition.errorCode, partition.errorMessage);
        }
      }
    }
    if (missing.size > 0) this.#lost([...missing], new Error('the answer left them out'));
  }

  #refused(batch: ProducerBatch, code: number, serverMessage: string | null): void {
    const { topic, partition } = batch;
    const queue = this.#accumulator.queueOf(batch);
    const error = new KafkaError(code, `Produce to ${topic}-${partition}`, {
      context: { topic, partition },
      serverMessage,
    });
    batch.lastError = error;
    if (code === errorCodes.MESSAGE_TOO_LARGE) {
      if (batch.recordCount > 1) {
        queue.replace(
          batch,
          batch.split(() => this.#accumulator.newWriter()),
        );
      } else {
        this.#accumulator.fail(batch, new MessageTooLargeError(topic, partition, batch.encodedBytes), false);
      }
    } else if (isSequenceError(code) && batch.identity !== undefined && this.#session.transactionalId === null) {
      if (code === errorCodes.OUT_OF_ORDER_SEQUENCE_NUMBER) queue.outOfSequence(batch);
      else queue.epochRefused(batch);
      this.#mute(queue, batch.attemptCount === 1 ? 0 : retryBackoffMs);
    } else if (code === errorCodes.OUT_OF_ORDER_SEQUENCE_NUMBER && !queue.isFirst(batch)) {
      queue.outOfSequence(batch);
      this.#mute(queue, 0);
    } else if (isFencing(code) && this.#session.transactionalId !== null) {
      this.#accumulator.fail(batch, new ProducerFencedError(this.#session.transactionalId, error), false);
    } else if (error.retriable) {
      queue.retry(batch, isOutcomeUnknown(code));
      this.#refreshThenRetry(queue);
    } else {
      this.#accumulator.fail(batch, error, false);
    }
  }

  /** The broker may have all of them, or none. */
  #lost(batches: readonly ProducerBatch[], error: Error): void {
    for (const batch of batches) {
      if (batch.isSettled) continue;
      const queue = this.#accumulator.queueOf(batch);
      const mayPass = (isMillraceError(error) && error.retriable) || isMillraceError(error, 'CLOSED');
      if (!mayPass && isMillraceError(error)) {
        this.#accumulator.fail(batch, error, true); // the request could not be made: it will not be better next time
        continue;
      }
      batch.lastError = error;
      queue.retry(batch, true);
      this.#refreshThenRetry(queue);
    }
  }

  #refreshThenRetry(queue: PartitionQueue): void {
    queue.mutedUntilMs = Number.POSITIVE_INFINITY;
    const retry = (): void => this.#mute(queue, retryBackoffMs);
    this.#cluster.refresh([queue.topic]).then(retry, retry);
  }

  #mute(queue: PartitionQueue, ms: number): void {
    const { clock, random } = this.#cluster.platform;
    if (ms === 0) {
      queue.mutedUntilMs = 0;
      return this.wake();
    }
    const waitMs = ms * (0.8 + 0.4 * random.next());
    const untilMs = clock.monotonic() + waitMs;
    queue.mutedUntilMs = untilMs;
    clock.after(waitMs, () => {
      // A timer may fire a little before its time by the monotonic clock.
      if (queue.mutedUntilMs === untilMs) queue.mutedUntilMs = 0;
      this.wake();
    });
  }

  #pause(): Promise<void> {
    return this.#cluster.pause(retryBackoffMs).catch(() => undefined); // closing: nothing is waited for
  }

  async #loadCompression(): Promise<void> {
    try {
      await prepareCompression(this.#options.compression);
      this.#compressionState = 'ready';
    } catch (error) {
      this.#compressionState = error as Error;
    }
    this.wake();
  }
}

/** The answer does not say whether the batch was written. */
function isOutcomeUnknown(code: number): boolean {
  return (
    code === errorCodes.REQUEST_TIMED_OUT ||
    code === errorCodes.NOT_ENOUGH_REPLICAS_AFTER_APPEND ||
    code === errorCodes.KAFKA_STORAGE_ERROR
  );
}

/** Only a successor, or the coordinator after a timeout, raises the epoch of a transactional producer. */
function isFencing(code: number): boolean {
  return code === errorCodes.INVALID_PRODUCER_EPOCH || code === errorCodes.PRODUCER_FENCED;
}

function isSequenceError(code: number): boolean {
  return (
    code === errorCodes.OUT_OF_ORDER_SEQUENCE_NUMBER ||
    code === errorCodes.UNKNOWN_PRODUCER_ID ||
    code === errorCodes.INVALID_PRODUCER_EPOCH
  );
}

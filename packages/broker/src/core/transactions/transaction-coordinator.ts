import type { Clock, Logger } from '@millrace/platform';
import type { BrokerConfig } from '../broker-config.ts';
import { InternalTopicLog, isTooLargeForBatch, type CoordinatorLog } from '../coordinator-log.ts';
import type { Coordinator, CoreServices, TransactionVerifier } from '../core-services.ts';
import { RequestRefusedError, type ErrorName } from '../errors.ts';
import { offsetsTopic, type GroupCoordinator } from '../groups/group-coordinator.ts';
import type { ProducerIds } from '../producer-ids.ts';
import { decodeTransactionRecord, transactionRecord, transactionTombstone } from './transaction-records.ts';
import {
  addPartitions,
  complete,
  endTransaction,
  fence,
  hasPartition,
  initProducer,
  isExpired,
  isPrepared,
  isTimedOut,
  validateProducer,
  type ProducerIdentity,
  type TopicPartition,
  type Transaction,
} from './transaction.ts';

/** Where transactional ids are kept, under Kafka's name. */
export const transactionTopic = '__transaction_state';

export interface TransactionMarker {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly coordinatorEpoch: number;
  readonly isCommit: boolean;
}

/** A transaction as the log of a partition knows it. */
export interface OpenTransaction extends TopicPartition, ProducerIdentity {
  /** Of the last marker of its producer; −1: none. */
  readonly coordinatorEpoch: number;
}

/** What transactions write to: a topic's partitions, and the offsets of groups. */
export interface TransactionPartitions {
  exists(topic: string, partition: number): boolean;
  /** Where a group's offsets go; makes that place if it is missing. */
  ofGroup(groupId: string): Promise<TopicPartition>;
  /**
   * Ends the producer's transaction on a partition, in this turn.
   * @returns when it is durable; undefined: the partition was deleted, and what was written there with it
   */
  writeMarker(topic: string, partition: number, marker: TransactionMarker): Promise<void> | undefined;
  /** All that are open in any log, whoever began them. */
  openTransactions(): Iterable<OpenTransaction>;
}

export interface InitProducerIdRequest {
  /** null: an idempotent producer without transactions. */
  readonly transactionalId: string | null;
  readonly timeoutMs: number;
  /** What the producer has now and goes on with (version 3 and later, KIP-360); null: it begins. */
  readonly expected: ProducerIdentity | null;
}

export interface TransactionRequest extends ProducerIdentity {
  readonly transactionalId: string;
}

export interface AddPartitionsRequest extends TransactionRequest {
  readonly partitions: readonly TopicPartition[];
}

export interface AddPartitionResult extends TopicPartition {
  readonly error: ErrorName | null;
}

export type TransactionConfig = Pick<
  BrokerConfig,
  | 'transaction.max.timeout.ms'
  | 'transactional.id.expiration.ms'
  | 'transaction.abort.timed.out.transaction.cleanup.interval.ms'
  | 'transaction.remove.expired.transaction.cleanup.interval.ms'
>;

export interface TransactionCoordinatorOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly config: TransactionConfig;
  readonly log: CoordinatorLog;
  readonly producerIds: ProducerIds;
  readonly partitions: TransactionPartitions;
}

interface Entry {
  transaction: Transaction;
  /** The last append about it. Durable ones are so in their order. */
  stored: Promise<void>;
}

/**
 * Transactions, from InitProducerId to their end. The order that survives a crash: Prepare is durable, then each partition gets
 * its marker, then, all markers being durable, Complete is written. A prepared transaction that is found at start goes on there.
 */
export class TransactionCoordinator implements Coordinator, TransactionVerifier {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #config: TransactionConfig;
  readonly #log: CoordinatorLog;
  readonly #producerIds: ProducerIds;
  readonly #partitions: TransactionPartitions;
  readonly #entries = new Map<string, Entry>();
  #cancelTimeouts: () => void = () => {};
  #cancelExpiry: () => void = () => {};
  #isClosed = false;

  constructor(options: TransactionCoordinatorOptions) {
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#config = options.config;
    this.#log = options.log;
    this.#producerIds = options.producerIds;
    this.#partitions = options.partitions;
  }

  /**
   * Reads all transactional ids, ends what was being ended, and what nobody would end. Groups are loaded before: the offsets of a transaction must be
   * there for its marker to settle.
   */
  async load(): Promise<void> {
    const stored = Promise.resolve();
    await this.#log.replay((record) => {
      if (record.kind === 'marker') return;
      const decoded = decodeTransactionRecord(record);
      if (decoded === undefined) return;
      if (decoded.transaction === null) this.#entries.delete(decoded.transactionalId);
      else this.#entries.set(decoded.transactionalId, { transaction: decoded.transaction, stored });
    });
    const prepared = [...this.#entries.values()].filter((entry) => isPrepared(entry.transaction));
    await Promise.all(prepared.map((entry) => this.#writeOutcome(entry)));
    await this.#abortOrphans();
    this.#scheduleTimeouts();
    this.#scheduleExpiry();
  }

  /**
   * Aborts what is open in a log and unknown here: where commits are not synced one by one, a power failure may keep the records of
   * a transaction and lose the transaction. Nobody would end it, and readers of committed records would wait for ever.
   */
  async #abortOrphans(): Promise<void> {
    const byProducerId = new Map<number, Transaction>();
    for (const { transaction } of this.#entries.values()) byProducerId.set(transaction.producerId, transaction);
    const markersDurable = new Set<Promise<void>>();
    for (const {
      topic,
      partition,
      producerId,
      producerEpoch,
      coordinatorEpoch,
    } of this.#partitions.openTransactions()) {
      const known = byProducerId.get(producerId);
      const isOurs = known?.state === 'Ongoing' && known.producerEpoch === producerEpoch;
      if (isOurs && hasPartition(known, topic, partition)) continue;
      this.#logger.warn({ topic, partition, producerId }, 'a transaction that no coordinator knows is aborted');
      const marker = { producerId, producerEpoch, coordinatorEpoch: Math.max(0, coordinatorEpoch), isCommit: false };
      const durable = this.#partitions.writeMarker(topic, partition, marker);
      if (durable !== undefined) markersDurable.add(durable);
    }
    await Promise.all(markersDurable);
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelTimeouts();
    this.#cancelExpiry();
  }

  /** Sees that there is a place to keep transactions: who asks for the coordinator is about to need it. */
  async prepare(): Promise<void> {
    if (!this.#log.isOpen) await this.#log.open();
  }

  // ── Producers ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** @throws {RequestRefusedError} */
  async initProducerId(request: InitProducerIdRequest): Promise<ProducerIdentity> {
    const { transactionalId, timeoutMs } = request;
    if (transactionalId === null) return { producerId: await this.#producerIds.next(), producerEpoch: 0 };
    if (transactionalId === '') throw refused('INVALID_REQUEST', transactionalId);
    if (timeoutMs <= 0 || timeoutMs > this.#config['transaction.max.timeout.ms']) {
      throw refused('INVALID_TRANSACTION_TIMEOUT', transactionalId);
    }
    await this.prepare();
    let freshProducerId: number | null = null;
    for (;;) {
      const current = this.#entries.get(transactionalId)?.transaction;
      const nowMs = this.#clock.now();
      const transition = initProducer(current, { ...request, transactionalId }, freshProducerId, nowMs);
      if (transition === 'needs a producer id') {
        // Anything may happen meanwhile, so it is all looked at again.
        freshProducerId = await this.#producerIds.next();
        continue;
      }
      if ('error' in transition) throw refused(transition.error, transactionalId);
      if ('fence' in transition) {
        const entry = this.#store(transition.fence);
        await entry.stored;
        // Nobody but the client, which comes again for an epoch of its own, waits for the abort.
        this.#watch(this.#writeOutcome(entry), transactionalId);
        throw refused('CONCURRENT_TRANSACTIONS', transactionalId);
      }
      const { producerId, producerEpoch } = transition.next;
      await this.#store(transition.next).stored;
      return { producerId, producerEpoch };
    }
  }

  // ── Transactions ───────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Adds partitions to the producer's transaction, and opens one where none is. All or nothing: with one that does not exist,
   * none is added. Resolves when that is durable.
   */
  async addPartitions(request: AddPartitionsRequest): Promise<readonly AddPartitionResult[]> {
    const { partitions } = request;
    const exist = partitions.map(({ topic, partition }) => this.#partitions.exists(topic, partition));
    if (exist.includes(false)) {
      return partitions.map((each, index) => ({
        ...each,
        error: exist[index] ? 'OPERATION_NOT_ATTEMPTED' : 'UNKNOWN_TOPIC_OR_PARTITION',
      }));
    }
    const error = await this.#add(request, partitions);
    return partitions.map((each) => ({ ...each, error }));
  }

  /** Adds the place of a group's offsets to the producer's transaction. */
  async addOffsets(request: TransactionRequest & { readonly groupId: string }): Promise<ErrorName | null> {
    return this.#add(request, [await this.#partitions.ofGroup(request.groupId)]);
  }

  async #add(request: TransactionRequest, partitions: readonly TopicPartition[]): Promise<ErrorName | null> {
    const { transactionalId } = request;
    if (transactionalId === '') return 'INVALID_REQUEST';
    const entry = this.#entries.get(transactionalId);
    const transition = addPartitions(entry?.transaction, request, partitions, this.#clock.now());
    if ('error' in transition) return transition.error;
    // What is in it already may not be durable yet.
    await (transition.next === entry?.transaction ? entry.stored : this.#store(transition.next).stored);
    return null;
  }

  /**
   * Commits or aborts. Resolves when every partition shows it: one more sync than Kafka takes, but the producer's next
   * transaction begins without a refusal and its back-off, and who reads after a commit sees it.
   */
  async end(request: TransactionRequest & { readonly isCommit: boolean }): Promise<ErrorName | null> {
    const { transactionalId, isCommit } = request;
    if (transactionalId === '') return 'INVALID_REQUEST';
    const current = this.#entries.get(transactionalId)?.transaction;
    const transition = endTransaction(current, request, isCommit, this.#clock.now());
    if (transition === 'already ended') return null;
    if ('error' in transition) return transition.error;
    const entry = this.#store(transition.next);
    await entry.stored;
    await this.#writeOutcome(entry);
    return null;
  }

  /** Prepare is durable: markers to all partitions, and once they are durable too, Complete. Whoever crashes here goes on here. */
  async #writeOutcome(entry: Entry): Promise<void> {
    const { transaction } = entry;
    const { transactionalId, producerId, producerEpoch, state } = transaction;
    const coordinatorEpoch = this.#log.epochOf(this.#log.partitionOf(transactionalId));
    const marker = { producerId, producerEpoch, coordinatorEpoch, isCommit: state === 'PrepareCommit' };
    // Most share one commit, so one promise.
    const markersDurable = new Set<Promise<void>>();
    for (const [topic, partitions] of transaction.partitions) {
      for (const partition of partitions) {
        const durable = this.#writeMarker(transactionalId, { topic, partition }, marker);
        if (durable !== undefined) markersDurable.add(durable);
      }
    }
    await Promise.all(markersDurable);
    // Not waited for: were it lost, markers would be written once more, which changes nothing.
    this.#watch(this.#store(complete(transaction, this.#clock.now())).stored, transactionalId);
  }

  /**
   * A partition that has seen a newer epoch of the producer needs no marker of this one, and must not keep the others from theirs,
   * nor the broker from its start.
   */
  #writeMarker(
    transactionalId: string,
    { topic, partition }: TopicPartition,
    marker: TransactionMarker,
  ): Promise<void> | undefined {
    try {
      return this.#partitions.writeMarker(topic, partition, marker);
    } catch (error) {
      if ((error as { readonly code?: unknown }).code !== 'INVALID_PRODUCER_EPOCH') throw error;
      this.#logger.warn({ transactionalId, topic, partition, error: String(error) }, 'a transaction was passed over');
      return undefined;
    }
  }

  // ── Verification ───────────────────────────────────────────────────────────────────────────────────────────────────

  isPartitionInTransaction(append: TransactionRequest & TopicPartition): boolean {
    return this.verifyPartition(append) === null;
  }

  /**
   * Whether a producer may write to a partition in its transaction, and if not, why (KIP-890 part 1): what was never added would
   * get no marker, and hold up its readers for ever.
   */
  verifyPartition(append: TransactionRequest & TopicPartition): ErrorName | null {
    const transaction = this.#entries.get(append.transactionalId)?.transaction;
    const error = validateProducer(transaction, append);
    if (transaction === undefined || error !== null) return error;
    if (isPrepared(transaction)) return 'CONCURRENT_TRANSACTIONS';
    return hasPartition(transaction, append.topic, append.partition) ? null : 'TRANSACTION_ABORTABLE';
  }

  /** The same for the offsets of a group. */
  async verifyGroup(request: TransactionRequest & { readonly groupId: string }): Promise<ErrorName | null> {
    return this.verifyPartition({ ...request, ...(await this.#partitions.ofGroup(request.groupId)) });
  }

  // ── Storing, timers ────────────────────────────────────────────────────────────────────────────────────────────────

  /** @throws {RequestRefusedError} where the record cannot be written; then nothing has changed */
  #store(transaction: Transaction): Entry {
    const { transactionalId } = transaction;
    let stored: Promise<void>;
    try {
      stored = this.#log.append(this.#log.partitionOf(transactionalId), [transactionRecord(transaction)]).done;
    } catch (error) {
      if (!isTooLargeForBatch(error)) throw error;
      throw new RequestRefusedError(
        'UNKNOWN_SERVER_ERROR',
        `The partitions of transaction '${transactionalId}' do not fit one record of ${transactionTopic}. ` +
          `Write to fewer partitions in a transaction, or raise max.message.bytes of ${transactionTopic}.`,
        { context: { transactionalId }, cause: error },
      );
    }
    let entry = this.#entries.get(transactionalId);
    if (entry === undefined) this.#entries.set(transactionalId, (entry = { transaction, stored }));
    entry.transaction = transaction;
    entry.stored = stored;
    return entry;
  }

  #scheduleTimeouts(): void {
    const intervalMs = this.#config['transaction.abort.timed.out.transaction.cleanup.interval.ms'];
    this.#cancelTimeouts = this.#clock.after(intervalMs, () => {
      this.#abortTimedOut();
      this.#scheduleTimeouts();
    });
  }

  #abortTimedOut(): void {
    const nowMs = this.#clock.now();
    for (const { transaction } of this.#entries.values()) {
      if (!isTimedOut(transaction, nowMs)) continue;
      const { transactionalId, timeoutMs } = transaction;
      this.#logger.info({ transactionalId, timeoutMs }, 'a transaction timed out and is aborted');
      this.#watch(this.#abort(transaction, nowMs), transactionalId);
    }
  }

  async #abort(transaction: Transaction, nowMs: number): Promise<void> {
    const entry = this.#store(fence(transaction, nowMs));
    await entry.stored;
    await this.#writeOutcome(entry);
  }

  #scheduleExpiry(): void {
    const intervalMs = this.#config['transaction.remove.expired.transaction.cleanup.interval.ms'];
    this.#cancelExpiry = this.#clock.after(intervalMs, () => {
      this.#forgetExpired();
      this.#scheduleExpiry();
    });
  }

  #forgetExpired(): void {
    const nowMs = this.#clock.now();
    for (const [transactionalId, { transaction }] of this.#entries) {
      if (!isExpired(transaction, nowMs, this.#config['transactional.id.expiration.ms'])) continue;
      this.#watch(this.#forget(transactionalId), transactionalId);
    }
  }

  async #forget(transactionalId: string): Promise<void> {
    const { done } = this.#log.append(this.#log.partitionOf(transactionalId), [transactionTombstone(transactionalId)]);
    this.#entries.delete(transactionalId);
    await done;
  }

  /** For what nobody waits for: a failure here is the disk's, which ends the broker; the next start goes on. */
  #watch(work: Promise<void>, transactionalId: string): void {
    work.catch((error: unknown) => {
      if (!this.#isClosed)
        this.#logger.error({ transactionalId, error: String(error) }, 'a transaction stopped half-way');
    });
  }
}

function refused(code: ErrorName, transactionalId: string): RequestRefusedError {
  return new RequestRefusedError(
    code,
    `${explanations[code] ?? 'The request was refused.'} Id: '${transactionalId}'.`,
    {
      context: { transactionalId },
    },
  );
}

const explanations: Partial<Record<ErrorName, string>> = {
  INVALID_REQUEST: 'A transactional id must not be empty: leave it out for a producer without transactions.',
  INVALID_TRANSACTION_TIMEOUT:
    'The transaction timeout must be above 0 and at most transaction.max.timeout.ms of the broker.',
  PRODUCER_FENCED: 'Another producer has begun under this transactional id: stop one of the two.',
  CONCURRENT_TRANSACTIONS: 'The last transaction of this id is still being ended: try again shortly.',
};

/** The coordinator over `__transaction_state`, as the broker has it. */
export function transactionCoordinatorOf(services: CoreServices, groups: GroupCoordinator): TransactionCoordinator {
  const { clock, logger, config, partitions, producerIds } = services;
  return new TransactionCoordinator({
    clock,
    logger,
    config,
    producerIds,
    log: new InternalTopicLog({
      partitions,
      clock,
      topic: transactionTopic,
      partitionCount: config['transaction.state.log.num.partitions'],
      configs: {
        'cleanup.policy': 'compact',
        'compression.type': 'uncompressed',
        'segment.bytes': String(config['transaction.state.log.segment.bytes']),
      },
    }),
    partitions: {
      exists: (topic, partition) => partitions.log(topic, partition) !== undefined,
      ofGroup: async (groupId) => ({ topic: offsetsTopic, partition: await groups.partitionOf(groupId) }),
      writeMarker(topic, partition, marker) {
        const log = partitions.log(topic, partition);
        if (log === undefined) return undefined;
        const { done } = log.appendTransactionMarker(marker).commit;
        if (topic === offsetsTopic) groups.completeTransaction(partition, marker.producerId, marker.isCommit, done);
        return done;
      },
      *openTransactions() {
        for (const { logs } of partitions.all()) {
          for (const log of logs) {
            if (log.lastStableOffset === log.highWatermark) continue;
            const { topic, partition } = log;
            for (const producer of log.activeProducers) {
              if (producer.currentTransactionFirstOffset >= 0) yield { topic, partition, ...producer };
            }
          }
        }
      },
    },
  });
}

import { isMillraceError } from '@millrace/platform';
import { errorCodes, apis, type ApiSchema, type RequestInput, type ResponseOf } from '@millrace/protocol';
import type { GroupMetadata, TopicPartitionOffset } from '../bytes/types.ts';
import type { BatchGroup } from '../consumer/record-batch.ts';
import {
  ClosedError,
  CommitFailedError,
  InvalidTransactionStateError,
  ProducerFencedError,
  TransactionAbortedError,
} from '../errors.ts';
import { KafkaError } from '../kafka-error.ts';
import { Backoff } from '../network/backoff.ts';
import { Coordinator } from '../network/coordinator.ts';
import { NodeConnections } from '../network/node-connections.ts';
import type { ProducerIdentity } from './producer-batch.ts';
import type { ProducerEngine } from './producer-engine.ts';
import type { ProducerSession } from './sender.ts';

/** Kafka's `max.block.ms`: how long one step of a transaction is tried. */
const maxBlockMs = 60_000;

type State = 'not initialized' | 'ready' | 'in a transaction' | 'committing' | 'aborting' | 'failed for good';

/**
 * A transactional producer's session with its coordinator (KIP-98, KIP-360, KIP-447; transactions of version 1). Partitions
 * are added before their first batch goes; whatever fails inside a transaction makes abort the only way on.
 */
export class TransactionManager implements ProducerSession {
  readonly transactionalId: string;
  identity: ProducerIdentity | undefined;
  readonly #engine: ProducerEngine;
  readonly #timeoutMs: number;
  readonly #connections: NodeConnections;
  readonly #coordinator: Coordinator;
  #state: State = 'not initialized';
  /** Why the transaction, or the producer, cannot go on. */
  #error: Error | undefined;
  /** `topic` → partitions that the coordinator knows of in this transaction. */
  readonly #added = new Map<string, Set<number>>();
  readonly #toAdd = new Map<string, Set<number>>();
  #adding: Promise<void> | undefined;
  /** Whether the coordinator knows of this transaction; `maybe`: it was asked to, and has not said yes. */
  #atCoordinator: 'unknown' | 'maybe' | 'begun' = 'unknown';
  #mustRaiseEpoch = false;
  /** The last commit or abort. */
  #ending: Promise<void> | undefined;

  constructor(engine: ProducerEngine, transactionalId: string, timeoutMs: number) {
    this.transactionalId = transactionalId;
    this.#engine = engine;
    this.#timeoutMs = timeoutMs;
    this.#connections = new NodeConnections(engine.cluster);
    this.#coordinator = new Coordinator(engine.cluster, this.#connections, 'transaction', transactionalId);
  }

  get state(): State {
    return this.#state;
  }

  get error(): Error | undefined {
    return this.#error;
  }

  isReady(): boolean {
    return this.#error === undefined && (this.#state === 'in a transaction' || this.#state === 'committing');
  }

  admits(topic: string, partition: number): boolean {
    if (this.#added.get(topic)?.has(partition)) return true;
    add(this.#toAdd, topic, partition);
    // After this turn's sender has named all that it wants.
    this.#adding ??= Promise.resolve().then(() => this.#addPartitions());
    return false;
  }

  /** Never asked for: a lost sequence fails the transaction, and its abort raises the epoch. */
  raiseEpoch(): void {
    this.#fail(new TransactionAbortedError(this.transactionalId));
  }

  batchFailed(error: Error): void {
    this.#mustRaiseEpoch = true;
    if (isMillraceError(error, 'PRODUCER_FENCED')) this.#fence(error);
    else if (this.#state !== 'aborting') this.#fail(error);
  }

  /** Whether a record may be appended. @throws `INVALID_TXN_STATE`, or why the transaction failed */
  checkOpen(operation: string): void {
    if (this.#state !== 'in a transaction') this.#throwState(operation, 'Call begin first.');
    if (this.#error !== undefined) throw this.#error;
  }

  async init(): Promise<void> {
    if (this.#state !== 'not initialized') this.#throwState('init', 'It is called once.');
    await this.#initProducerId(undefined);
    this.#state = 'ready';
  }

  begin(): void {
    if (this.#state !== 'ready') this.#throwState('begin', 'Commit or abort what is open; call init first.');
    this.#state = 'in a transaction';
  }

  /** @param group asked at each try, as its generation may change meanwhile */
  async sendOffsets(offsets: readonly TopicPartitionOffset[], group: BatchGroup): Promise<void> {
    this.checkOpen('sendOffsets');
    if (offsets.length === 0) return;
    try {
      const { groupId } = group.metadata();
      this.#mayBegin();
      await this.#call(this.#coordinator, apis.addOffsetsToTxn, { ...this.#who(), groupId }, (answer) =>
        this.#check(answer.errorCode, 'AddOffsetsToTxn'),
      );
      this.#atCoordinator = 'begun';
      for (;;) {
        const member = group.metadata();
        try {
          await this.#commitOffsets(offsets, member);
          break;
        } catch (error) {
          if (!isMillraceError(error, 'COMMIT_FAILED')) throw error;
          // The group may have a new generation of which the member is just being told.
          await group.settled();
          if (group.metadata().generationId === member.generationId) throw error;
        }
      }
    } catch (error) {
      throw this.#fail(error as Error);
    }
  }

  async commit(): Promise<void> {
    if (this.#state !== 'in a transaction') this.#throwState('commit', 'Call begin first.');
    if (this.#error !== undefined) throw this.#error;
    this.#state = 'committing';
    this.#ending = this.#commit();
    await this.#ending;
  }

  async abort(): Promise<void> {
    if (this.#state === 'failed for good') throw this.#error!;
    if (this.#state !== 'in a transaction') this.#throwState('abort', 'Call begin first.');
    this.#ending = this.#abort(new TransactionAbortedError(this.transactionalId, this.#error));
    await this.#ending;
  }

  /** Aborts what is open; waits for a commit or an abort that is under way. */
  async close(): Promise<void> {
    if (this.#state === 'in a transaction') this.#ending = this.#abort(new ClosedError('producer'));
    await this.#ending;
  }

  dispose(): void {
    this.#connections.close();
  }

  async #commit(): Promise<void> {
    await this.#engine.settleAll();
    const error = this.#error as Error | undefined; // set by a batch that failed meanwhile
    if (error !== undefined) {
      if (this.#state === 'committing') this.#state = 'in a transaction';
      throw error;
    }
    await this.#end(true);
    this.#state = 'ready';
  }

  /** @param reason told to the senders of what is not sent */
  async #abort(reason: Error): Promise<void> {
    this.#state = 'aborting';
    await this.#dropUnsent(reason);
    await this.#end(false);
    if (this.#mustRaiseEpoch) await this.#raiseEpoch();
    this.#mustRaiseEpoch = false;
    this.#error = undefined;
    this.#state = 'ready';
  }

  // ── Requests ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Without `current` a new session: earlier ones are fenced. With it the same session goes on, with a higher epoch. */
  async #initProducerId(current: ProducerIdentity | undefined): Promise<void> {
    const request = {
      transactionalId: this.transactionalId,
      transactionTimeoutMs: this.#timeoutMs,
      producerId: current?.producerId ?? -1,
      producerEpoch: current?.epoch ?? -1,
    };
    const answer = await this.#call(this.#coordinator, apis.initProducerId, request, (told) =>
      this.#check(told.errorCode, 'InitProducerId'),
    );
    this.identity = { producerId: answer.producerId, epoch: answer.producerEpoch };
  }

  async #raiseEpoch(): Promise<void> {
    try {
      await this.#initProducerId(this.identity);
    } catch (error) {
      // Under the old epoch, what is still on its way could be written into the next transaction.
      this.#state = 'failed for good';
      this.#error = error as Error;
      throw error;
    }
  }

  #mayBegin(): void {
    if (this.#atCoordinator === 'unknown') this.#atCoordinator = 'maybe';
  }

  async #addPartitions(): Promise<void> {
    try {
      while (this.#toAdd.size > 0 && this.isReady()) {
        const wanted = new Map([...this.#toAdd].map(([topic, partitions]) => [topic, new Set(partitions)]));
        this.#toAdd.clear();
        this.#mayBegin();
        const request = {
          v3AndBelowTransactionalId: this.transactionalId,
          v3AndBelowProducerId: this.identity!.producerId,
          v3AndBelowProducerEpoch: this.identity!.epoch,
          v3AndBelowTopics: [...wanted].map(([name, partitions]) => ({ name, partitions: [...partitions] })),
        };
        await this.#call(this.#coordinator, apis.addPartitionsToTxn, request, (answer) => {
          for (const topic of answer.resultsByTopicV3AndBelow) {
            for (const { partitionIndex, partitionErrorCode } of topic.resultsByPartition) {
              // All or nothing: this one was not looked at, another one tells why.
              if (partitionErrorCode === errorCodes.OPERATION_NOT_ATTEMPTED) continue;
              this.#check(partitionErrorCode, `AddPartitionsToTxn of ${topic.name}-${partitionIndex}`);
            }
          }
        });
        this.#atCoordinator = 'begun';
        for (const [topic, partitions] of wanted) for (const p of partitions) add(this.#added, topic, p);
      }
    } catch (error) {
      this.#fail(error as Error);
    } finally {
      this.#toAdd.clear(); // the sender names them again
      this.#adding = undefined;
      this.#engine.sender.wake();
    }
  }

  async #commitOffsets(offsets: readonly TopicPartitionOffset[], group: GroupMetadata): Promise<void> {
    const topics = new Map<string, { partitionIndex: number; committedOffset: number; committedMetadata: string }[]>();
    for (const { topic, partition, offset, metadata } of offsets) {
      const entry = { partitionIndex: partition, committedOffset: offset, committedMetadata: metadata ?? '' };
      const partitions = topics.get(topic);
      if (partitions === undefined) topics.set(topic, [entry]);
      else partitions.push(entry);
    }
    const request = {
      ...this.#who(),
      groupId: group.groupId,
      generationId: group.generationId,
      memberId: group.memberId,
      groupInstanceId: group.groupInstanceId,
      topics: [...topics].map(([name, partitions]) => ({ name, partitions })),
    };
    const coordinator = new Coordinator(this.#engine.cluster, this.#connections, 'group', group.groupId);
    await this.#call(coordinator, apis.txnOffsetCommit, request, (answer) => {
      for (const topic of answer.topics) {
        for (const { partitionIndex, errorCode } of topic.partitions) {
          this.#check(errorCode, `TxnOffsetCommit of ${topic.name}-${partitionIndex}`, group.groupId);
        }
      }
    });
  }

  async #end(isCommitted: boolean): Promise<void> {
    try {
      if (this.#atCoordinator !== 'unknown') {
        const request = { ...this.#who(), committed: isCommitted };
        await this.#call(this.#coordinator, apis.endTxn, request, (answer) =>
          this.#check(answer.errorCode, isCommitted ? 'The commit (EndTxn)' : 'The abort (EndTxn)'),
        );
      }
    } catch (error) {
      if (isCommitted && isMillraceError(error, 'TRANSACTION_ABORTABLE')) {
        this.#state = 'in a transaction';
        throw this.#fail(error);
      }
      const hadNotBegun =
        !isCommitted && this.#atCoordinator === 'maybe' && isMillraceError(error, 'INVALID_TXN_STATE');
      if (!hadNotBegun) {
        // Whether it ended is unknown, or this producer may not say any more. Its successor's `init` settles it.
        this.#state = 'failed for good';
        this.#error ??= error as Error;
        throw error;
      }
    }
    this.#added.clear();
    this.#atCoordinator = 'unknown';
  }

  /** Fails what waits, lets what is on its way come to an end, and fails what comes back from it. */
  async #dropUnsent(error: Error): Promise<void> {
    const { accumulator, sender } = this.#engine;
    accumulator.failUnsent(error);
    await this.#adding;
    await sender.idle();
    accumulator.failUnsent(error);
  }

  /** Sends until it is answered without a retriable error. `check` throws for the error codes of an answer. */
  async #call<A extends ApiSchema>(
    coordinator: Coordinator,
    api: A,
    request: RequestInput<A>,
    check: (answer: ResponseOf<A>) => void,
  ): Promise<ResponseOf<A>> {
    const { cluster } = this.#engine;
    const { clock, random } = cluster.platform;
    const deadlineMs = clock.monotonic() + maxBlockMs;
    // The markers of the transaction before are written within milliseconds: worth asking soon (KAFKA-5477).
    const backoff = new Backoff(random, 10, 500);
    for (;;) {
      try {
        const answer = await coordinator.request(api, request);
        check(answer);
        return answer;
      } catch (error) {
        if (!isMillraceError(error) || !error.retriable || clock.monotonic() > deadlineMs) throw error;
        if (error instanceof KafkaError) coordinator.heed(error.errorNumber);
        await cluster.pause(backoff.nextMs());
      }
    }
  }

  /** Throws what an error code means; some mean the end of this producer. */
  #check(code: number, where: string, groupId?: string): void {
    if (code === errorCodes.NONE) return;
    const error = new KafkaError(code, where, { context: { transactionalId: this.transactionalId } });
    switch (code) {
      case errorCodes.PRODUCER_FENCED:
      case errorCodes.INVALID_PRODUCER_EPOCH:
        throw this.#fence(error);
      case errorCodes.UNKNOWN_MEMBER_ID:
      case errorCodes.ILLEGAL_GENERATION:
      case errorCodes.FENCED_INSTANCE_ID:
        if (groupId !== undefined) throw new CommitFailedError(groupId, 'this member is no longer in the group', error);
        throw error;
      default:
        throw error;
    }
  }

  #who(): { transactionalId: string; producerId: number; producerEpoch: number } {
    const { producerId, epoch } = this.identity!;
    return { transactionalId: this.transactionalId, producerId, producerEpoch: epoch };
  }

  /** The transaction can only be aborted now. Gives back the first error. */
  #fail(error: Error): Error {
    if (this.#error === undefined) {
      this.#error = error;
      this.#engine.accumulator.failUnsent(error);
    }
    return this.#error;
  }

  #fence(cause: Error): Error {
    if (this.#state !== 'failed for good') {
      this.#state = 'failed for good';
      this.#error = cause instanceof ProducerFencedError ? cause : new ProducerFencedError(this.transactionalId, cause);
      this.#engine.accumulator.failUnsent(this.#error);
    }
    return this.#error!;
  }

  #throwState(operation: string, remedy: string): never {
    if (this.#state === 'failed for good') throw this.#error!;
    throw new InvalidTransactionStateError(this.transactionalId, operation, this.#state, remedy);
  }
}

function add(topics: Map<string, Set<number>>, topic: string, partition: number): void {
  const partitions = topics.get(topic);
  if (partitions === undefined) topics.set(topic, new Set([partition]));
  else partitions.add(partition);
}

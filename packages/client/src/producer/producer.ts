import type { TopicSink } from '@millrace/serde';
import type { RecordBatch } from '../consumer/consumer.ts';
import { sourceOf, type BatchGroup } from '../consumer/record-batch.ts';
import { ClosedError, InvalidTransactionStateError } from '../errors.ts';
import type { ClusterClient } from '../network/cluster-client.ts';
import { withTimeout } from '../network/with-timeout.ts';
import type { Position } from '../positions.ts';
import type { ProducerOptions, TransactionalProducerOptions } from '../producer-options.ts';
import type { OutgoingRecord } from '../records.ts';
import {
  defaultTransactionTimeoutMs,
  EngineBytesProducer,
  EngineBytesTransactionalProducer,
} from './bytes-producer.ts';
import { RecordSender } from './record-sender.ts';
import { sendFrom, type RecordSource, type SendFromOptions, type SendFromResult } from './send-from.ts';
import type { TopicPartitionOffset } from '../bytes/types.ts';

export interface Sender {
  /**
   * Resolves when all are acknowledged. One promise a call, however many records: prefer arrays. With `acks: 0` it resolves
   * when they are sent, and the offsets are −1.
   * @throws `MESSAGE_TOO_LARGE`, `UNKNOWN_TOPIC_OR_PARTITION`, `PRODUCER_FENCED`, `DELIVERY_TIMEOUT` (the outcome is unknown)
   */
  send<K, V>(topic: TopicSink<K, V>, records: readonly OutgoingRecord<K, V>[]): Promise<readonly Position[]>;
  send<K, V>(topic: TopicSink<K, V>, record: OutgoingRecord<K, V>): Promise<Position>;
}

export interface Producer extends Sender {
  /**
   * Sends all that a source yields: an iterable, an async iterable (pulled no faster than acks come), or an Observable (it
   * cannot be slowed: `maxBufferedRecords` are held, then `overflow` decides). The guarantee begins at the ack.
   * @throws `BUFFER_OVERFLOW`, what `send` throws, and what the source throws
   */
  sendFrom<K, V>(
    topic: TopicSink<K, V>,
    source: RecordSource<OutgoingRecord<K, V>>,
    options?: SendFromOptions,
  ): Promise<SendFromResult>;
  /** Resolves when nothing is unacknowledged; failures are told to their senders. */
  flush(): Promise<void>;
  /** Flushes, for as long as the request timeout, then fails what is left (`CLOSED`). */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface TransactionalProducer {
  /**
   * Commits when `work` resolves, aborts when it throws, and gives back what it returned. One transaction at a time: concurrent
   * calls run one after the other, in their order. One that waits while another runs for longer than `transactionTimeoutMs` fails
   * with `INVALID_TXN_STATE`; so does a call inside of the work of another, which would wait for itself.
   * @throws `PRODUCER_FENCED`, `COMMIT_FAILED`, `INVALID_TXN_STATE`, `CLOSED`, and what `work` throws
   */
  transaction<R>(work: (transaction: Transaction) => Promise<R>): Promise<R>;
  /**
   * Aborts the transaction whose work is not done, and waits for one that is being committed; for as long as the request
   * timeout. Calls that still wait for their turn fail with `CLOSED`.
   */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface Transaction extends Sender {
  /** The batch's offsets commit with the transaction (KIP-447). If its partition has moved to another member, the commit fails. */
  sendOffsets(batch: RecordBatch<unknown>): void;
}

export class ClientProducer implements Producer {
  readonly #bytes: EngineBytesProducer;
  readonly #sender: RecordSender;
  #closed: Promise<void> | undefined;

  constructor(cluster: ClusterClient, options: ProducerOptions) {
    this.#bytes = new EngineBytesProducer(cluster, options);
    this.#sender = new RecordSender(this.#bytes.engine);
  }

  send<K, V>(topic: TopicSink<K, V>, records: readonly OutgoingRecord<K, V>[]): Promise<readonly Position[]>;
  send<K, V>(topic: TopicSink<K, V>, record: OutgoingRecord<K, V>): Promise<Position>;
  send<K, V>(
    topic: TopicSink<K, V>,
    records: OutgoingRecord<K, V> | readonly OutgoingRecord<K, V>[],
  ): Promise<Position | readonly Position[]> {
    return sendOneOrMany(this.#sender, topic, records);
  }

  async sendFrom<K, V>(
    topic: TopicSink<K, V>,
    source: RecordSource<OutgoingRecord<K, V>>,
    options: SendFromOptions = {},
  ): Promise<SendFromResult> {
    return await sendFrom(this.#sender, topic, source, options);
  }

  async flush(): Promise<void> {
    await this.#sender.admitted();
    await this.#bytes.engine.settleAll();
  }

  get isClosed(): boolean {
    return this.#bytes.isClosed;
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const { engine } = this.#bytes;
    const { clock } = engine.cluster.platform;
    const byMs = clock.monotonic() + engine.cluster.requestTimeoutMs;
    this.#sender.close();
    await withTimeout(engine.cluster, this.#sender.admitted(), engine.cluster.requestTimeoutMs);
    await engine.close(Math.max(0, byMs - clock.monotonic()));
  }
}

export class ClientTransactionalProducer implements TransactionalProducer {
  readonly #bytes: EngineBytesTransactionalProducer;
  readonly #sender: RecordSender;
  readonly #transactionalId: string;
  readonly #transactionTimeoutMs: number;
  #last: Promise<unknown> = Promise.resolve();
  /** Calls that wait for their turn. */
  readonly #waiting = new Set<(error: Error) => void>();
  /** The transaction at hand is over its time. */
  #isOverdue = false;
  /** Of the transaction whose work was done last. */
  #committing: Promise<void> = Promise.resolve();
  #closed: Promise<void> | undefined;

  constructor(cluster: ClusterClient, options: TransactionalProducerOptions) {
    this.#bytes = new EngineBytesTransactionalProducer(cluster, options);
    this.#sender = new RecordSender(this.#bytes.engine);
    this.#transactionalId = options.transactionalId;
    this.#transactionTimeoutMs = options.transactionTimeoutMs ?? defaultTransactionTimeoutMs;
  }

  transaction<R>(work: (transaction: Transaction) => Promise<R>): Promise<R> {
    const result = this.#turnAfter(this.#last).then(() => this.#run(work));
    this.#last = result.catch(() => undefined); // the caller is told
    return result;
  }

  get isClosed(): boolean {
    return this.#bytes.isClosed;
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const { cluster } = this.#bytes.engine;
    const { clock } = cluster.platform;
    const byMs = clock.monotonic() + cluster.requestTimeoutMs;
    await withTimeout(
      cluster,
      this.#committing.catch(() => undefined), // its caller is told
      cluster.requestTimeoutMs,
    );
    await this.#bytes.close(Math.max(0, byMs - clock.monotonic()));
  }

  /**
   * A transaction over its time has been aborted by the coordinator: waiting for its end leads nowhere, and where it is its own work
   * that waits, it never would end. (AsyncLocalStorage would know that at once, and make each promise of the process cost 180 ns
   * instead of 50 in Node 20.)
   */
  #turnAfter(before: Promise<unknown>): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#isOverdue) return reject(this.#overdueError());
      this.#waiting.add(reject);
      void before.then(() => {
        this.#waiting.delete(reject);
        resolve();
      });
    });
  }

  #overdueError(): Error {
    const state = `for ${this.#transactionTimeoutMs} ms (transactionTimeoutMs) in another transaction`;
    const remedy =
      'Inside the work of a transaction use the one it is given; or make work shorter, or the time longer.';
    return new InvalidTransactionStateError(this.#transactionalId, 'transaction', state, remedy);
  }

  /** From now on, until the function that it gives back is called. */
  #watchTime(): () => void {
    const { clock } = this.#bytes.engine.cluster.platform;
    const cancel = clock.after(this.#transactionTimeoutMs, () => {
      this.#isOverdue = true;
      for (const reject of this.#waiting) reject(this.#overdueError());
      this.#waiting.clear();
    });
    return () => {
      cancel();
      this.#isOverdue = false;
    };
  }

  async #run<R>(work: (transaction: Transaction) => Promise<R>): Promise<R> {
    const { transactions } = this.#bytes;
    this.#checkOpen();
    if (transactions.state === 'not initialized') await transactions.init();
    this.#checkOpen();
    transactions.begin();
    const ended = this.#watchTime();
    const transaction = new ClientTransaction(this.#sender, this.#transactionalId);
    try {
      const result = await work(transaction);
      transaction.end();
      this.#checkOpen();
      this.#committing = this.#commit(transaction);
      await this.#committing;
      return result;
    } catch (error) {
      transaction.end();
      await this.#abort();
      throw error;
    } finally {
      ended();
    }
  }

  /** @throws `CLOSED`: what was open is aborted then */
  #checkOpen(): void {
    if (this.#closed !== undefined || this.#bytes.isClosed) throw new ClosedError('producer');
  }

  async #commit(transaction: ClientTransaction): Promise<void> {
    const { transactions } = this.#bytes;
    await this.#sender.admitted();
    for (const { offsets, group } of transaction.offsets()) await transactions.sendOffsets(offsets, group);
    await transactions.commit();
  }

  /** A failed abort leaves the producer unusable, as its next call says; what went wrong first is what the caller needs. */
  async #abort(): Promise<void> {
    if (this.#bytes.transactions.state !== 'in a transaction') return;
    try {
      await this.#bytes.abort();
    } catch {
      return;
    }
  }
}

class ClientTransaction implements Transaction {
  readonly #sender: RecordSender;
  readonly #transactionalId: string;
  /** By group, and the place in it: the last batch. */
  readonly #offsets = new Map<string, Map<string, { group: BatchGroup; position: TopicPartitionOffset }>>();
  #isOver = false;

  constructor(sender: RecordSender, transactionalId: string) {
    this.#sender = sender;
    this.#transactionalId = transactionalId;
  }

  send<K, V>(topic: TopicSink<K, V>, records: readonly OutgoingRecord<K, V>[]): Promise<readonly Position[]>;
  send<K, V>(topic: TopicSink<K, V>, record: OutgoingRecord<K, V>): Promise<Position>;
  send<K, V>(
    topic: TopicSink<K, V>,
    records: OutgoingRecord<K, V> | readonly OutgoingRecord<K, V>[],
  ): Promise<Position | readonly Position[]> {
    if (this.#isOver) return Promise.reject(this.#overError('send'));
    const sent = sendOneOrMany(this.#sender, topic, records);
    // Not awaited by everyone: what failed fails the commit.
    sent.catch(() => undefined);
    return sent;
  }

  sendOffsets(batch: RecordBatch<unknown>): void {
    if (this.#isOver) throw this.#overError('sendOffsets');
    const { group, position } = sourceOf(batch);
    const { groupId } = group.metadata();
    let ofGroup = this.#offsets.get(groupId);
    if (ofGroup === undefined) this.#offsets.set(groupId, (ofGroup = new Map()));
    const key = `${position.partition}/${position.topic}`;
    const known = ofGroup.get(key);
    if (known === undefined || known.position.offset < position.offset) ofGroup.set(key, { group, position });
  }

  offsets(): { offsets: readonly TopicPartitionOffset[]; group: BatchGroup }[] {
    return [...this.#offsets.values()].map((ofGroup) => {
      const sources = [...ofGroup.values()];
      const [first] = sources as [(typeof sources)[0]];
      return {
        offsets: sources.map(({ position }) => position),
        group: {
          // The generation is the one at the commit: the group may rebalance while the work is done. Each must still be ours.
          metadata: () => sources.map(({ group }) => group.metadata()).at(-1)!,
          settled: () => first.group.settled(),
        },
      };
    });
  }

  end(): void {
    this.#isOver = true;
  }

  #overError(operation: string): Error {
    const remedy = 'Await all sends before the work resolves.';
    return new InvalidTransactionStateError(this.#transactionalId, operation, 'done with this transaction', remedy);
  }
}

function sendOneOrMany<K, V>(
  sender: RecordSender,
  topic: TopicSink<K, V>,
  records: OutgoingRecord<K, V> | readonly OutgoingRecord<K, V>[],
): Promise<Position | readonly Position[]> {
  if (isMany(records)) return sender.send(topic, records);
  return sender.send(topic, [records]).then((positions) => positions[0]!);
}

function isMany<K, V>(
  records: OutgoingRecord<K, V> | readonly OutgoingRecord<K, V>[],
): records is readonly OutgoingRecord<K, V>[] {
  return Array.isArray(records);
}

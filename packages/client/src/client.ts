import { prepareDecompression } from '@millrace/protocol';
import { ClientAdmin } from './admin/admin.ts';
import type { Admin } from './admin/admin-types.ts';
import type { ClientOptions, Cluster } from './cluster-options.ts';
import { ClientConsumer, type Consumer } from './consumer/consumer.ts';
import type { ConsumerOptions, RecordsOptions } from './consumer/consumer-options.ts';
import { readBatches } from './consumer/read-records.ts';
import { ClosedError } from './errors.ts';
import { ClusterClient } from './network/cluster-client.ts';
import type { Position } from './positions.ts';
import {
  ClientProducer,
  ClientTransactionalProducer,
  type Producer,
  type TransactionalProducer,
} from './producer/producer.ts';
import type { ProducerOptions, TransactionalProducerOptions } from './producer-options.ts';
import type { AnyTopic, RecordOf } from './records.ts';

/** What a client has made, and closes with itself. */
interface Closable {
  readonly isClosed: boolean;
  close(): Promise<void>;
}

/** For the other modules of this package: the cluster behind a client, and its list of what to close. */
export interface ClientInternals {
  readonly cluster: ClusterClient;
  /** @throws `CLOSED` */
  readonly own: <T extends Closable>(made: T) => T;
}

let internalsOfClient: (client: Client) => ClientInternals;

export function internalsOf(client: Client): ClientInternals {
  return internalsOfClient(client);
}

/**
 *     await using client = await Client.connect('localhost:9092');
 *
 * Closing a client closes all that it made.
 */
export class Client {
  /** Topics, groups, configs. */
  readonly admin: Admin;
  readonly #cluster: ClusterClient;
  readonly #made = new Set<Closable>();
  #closed: Promise<void> | undefined;
  #forgetAtCount = 16;

  static {
    internalsOfClient = (client) => ({
      cluster: client.#cluster,
      own: (made) => {
        if (client.#closed !== undefined) throw new ClosedError('client');
        client.#forgetClosed();
        client.#made.add(made);
        return made;
      },
    });
  }

  /** Resolves once the cluster has answered. @throws `BROKER_NOT_AVAILABLE`, `SASL_AUTHENTICATION_FAILED` */
  static async connect(cluster: Cluster, options: ClientOptions = {}): Promise<Client> {
    options.signal?.throwIfAborted();
    const connection = new ClusterClient(cluster, options);
    const abort = (): void => connection.close();
    options.signal?.addEventListener('abort', abort, { once: true });
    try {
      // Loading a module is real work, which a simulated world would not wait for.
      if (options.platform === undefined) await prepareDecompression();
      await connection.refresh();
      options.signal?.throwIfAborted();
    } catch (error) {
      connection.close();
      options.signal?.throwIfAborted();
      throw error;
    } finally {
      options.signal?.removeEventListener('abort', abort);
    }
    const client = new Client(connection);
    // Nobody waits for this close: what fails in it has no one to tell.
    options.signal?.addEventListener('abort', () => void client.close().catch(() => undefined), { once: true });
    return client;
  }

  private constructor(cluster: ClusterClient) {
    this.#cluster = cluster;
    this.admin = new ClientAdmin(cluster);
  }

  /** @throws `INVALID_CONFIG`, `CLOSED` */
  producer(options: ProducerOptions = {}): Producer {
    return internalsOf(this).own(new ClientProducer(this.#cluster, options));
  }

  /** Its first transaction fences earlier producers of this transactional id. @throws `INVALID_CONFIG`, `CLOSED` */
  transactionalProducer(options: TransactionalProducerOptions): TransactionalProducer {
    return internalsOf(this).own(new ClientTransactionalProducer(this.#cluster, options));
  }

  /** A member of a consumer group; it joins when its loop begins. @throws `INVALID_CONFIG`, `CLOSED` */
  consumer<const T extends readonly AnyTopic[]>(options: ConsumerOptions<T>): Consumer<RecordOf<T[number]>> {
    const consumer = new ClientConsumer<RecordOf<T[number]> & Position>(this.#cluster, options);
    return internalsOf(this).own(consumer) as Consumer<RecordOf<T[number]>>;
  }

  /**
   * Reads a topic with no group, each loop from the start again. With `to: 'end'` it stops at what was the end when it began.
   * @throws `UNKNOWN_TOPIC_OR_PARTITION`, `INVALID_RECORD`, `CLOSED`
   */
  records<T extends AnyTopic>(topic: T, options: RecordsOptions = {}): AsyncIterable<RecordOf<T>> {
    const { cluster, own } = internalsOf(this);
    return {
      async *[Symbol.asyncIterator]() {
        for await (const batch of readBatches<RecordOf<T> & Position>(cluster, topic, options, own)) yield* batch;
      },
    };
  }

  /** Closes what it made, then the connections. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#closeAll();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Now and then, so that a client that reads many times does not remember each reader. */
  #forgetClosed(): void {
    if (this.#made.size < this.#forgetAtCount) return;
    for (const made of this.#made) if (made.isClosed) this.#made.delete(made);
    this.#forgetAtCount = Math.max(16, 2 * this.#made.size);
  }

  async #closeAll(): Promise<void> {
    const outcomes = await Promise.allSettled([...this.#made].map((made) => made.close()));
    this.#cluster.close();
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }
}

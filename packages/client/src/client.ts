import type { ClientOptions, Cluster } from './cluster-options.ts';
import { ClosedError } from './errors.ts';
import { ClusterClient } from './network/cluster-client.ts';

/** What a client has made, and closes with itself. */
interface Closable {
  close(): Promise<void>;
}

/** For the other modules of this package: the cluster behind a client, and its list of what to close. */
export interface ClientInternals {
  readonly cluster: ClusterClient;
  /** @throws `CLOSED` */
  own<T extends Closable>(made: T): T;
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
  readonly #cluster: ClusterClient;
  readonly #made = new Set<Closable>();
  #closed: Promise<void> | undefined;

  static {
    internalsOfClient = (client) => ({
      cluster: client.#cluster,
      own: (made) => {
        if (client.#closed !== undefined) throw new ClosedError('client');
        client.#made.add(made);
        return made;
      },
    });
  }

  /** Resolves once the cluster has answered. @throws `BROKER_NOT_AVAILABLE`, `SASL_AUTHENTICATION_FAILED` */
  static async connect(cluster: Cluster, options: ClientOptions = {}): Promise<Client> {
    options.signal?.throwIfAborted();
    const connection = new ClusterClient(cluster, options);
    try {
      await connection.refresh();
    } catch (error) {
      connection.close();
      throw error;
    }
    const client = new Client(connection);
    options.signal?.addEventListener('abort', () => void client.close(), { once: true });
    return client;
  }

  private constructor(cluster: ClusterClient) {
    this.#cluster = cluster;
  }

  /** Closes what it made, then the connections. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#closeAll();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #closeAll(): Promise<void> {
    const outcomes = await Promise.allSettled([...this.#made].map((made) => made.close()));
    this.#cluster.close();
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }
}

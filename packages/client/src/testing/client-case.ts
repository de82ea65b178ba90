import { delay, systemClock, systemRandom, uuid } from '@millrace/platform';
import { Client } from '../client.ts';
import type { ClientOptions, Cluster } from '../cluster-options.ts';

/** A rule that holds for this client against any cluster: our broker, in-process or over TCP, and Apache Kafka. */
export interface ClientCase {
  /** A sentence that states the rule. */
  readonly name: string;
  /** @throws `AssertionError` where it does not hold */
  run(context: ClientCaseContext): Promise<void>;
}

/** What a case works with. All names are new, so that cases and clusters can be shared. */
export class ClientCaseContext {
  readonly #cluster: Cluster;
  readonly #clients: Client[] = [];
  readonly #suffix: string;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#suffix = uuid(systemRandom()).slice(0, 8);
  }

  /** A name for a topic, a group or a transactional id. */
  name(base: string): string {
    return `${base}-${this.#suffix}`;
  }

  async connect(options: ClientOptions = {}): Promise<Client> {
    const client = await Client.connect(this.#cluster, options);
    this.#clients.push(client);
    return client;
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()));
  }
}

/** Runs a case against a cluster, and closes what it opened. */
export async function runClientCase(clientCase: ClientCase, cluster: Cluster): Promise<void> {
  const context = new ClientCaseContext(cluster);
  try {
    await clientCase.run(context);
  } finally {
    await context.close();
  }
}

/** The first `count` of a source; then it is let go. */
export async function take<T>(source: AsyncIterable<T>, count: number): Promise<T[]> {
  const taken: T[] = [];
  if (count === 0) return taken;
  for await (const item of source) {
    taken.push(item);
    if (taken.length === count) break;
  }
  return taken;
}

export async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) items.push(item);
  return items;
}

/**
 * What a cluster has accepted reaches its other brokers, and its own caches, a little later: looks again until it is as
 * expected, and gives back what was seen last if it never is.
 */
export async function eventually<T>(look: () => Promise<T>, isExpected: (seen: T) => boolean): Promise<T> {
  const clock = systemClock();
  const deadlineMs = clock.monotonic() + 10_000;
  for (;;) {
    const seen = await look();
    if (isExpected(seen) || clock.monotonic() > deadlineMs) return seen;
    await delay(clock, 20);
  }
}

import { Client } from '@millrace/client';
import { json, string, topic, type Topic } from '@millrace/serde';

const kept: Topic<string, number, 'kept'> = topic('kept', {
  key: string,
  value: json<number>(),
  numPartitions: 1,
  config: { 'retention.ms': -1, 'retention.bytes': -1 },
});
const bulk: Topic<string, string, 'bulk'> = topic('bulk', {
  key: string,
  value: string,
  numPartitions: 1,
  config: { 'retention.ms': -1, 'retention.bytes': -1 },
});

/** How long anything may take that it asks for. */
const patienceMs = 5000;

/** A client that behaves, beside all the others: it must notice nothing. */
export class HealthyClient implements AsyncDisposable {
  readonly bulkTopic: string = bulk.name;
  /** The longest that a send or a read has taken, in ms. */
  slowestMs = 0;
  readonly #address: string;
  readonly #client: Client;
  readonly #producer;
  #written = 0;

  private constructor(address: string, client: Client) {
    this.#address = address;
    this.#client = client;
    this.#producer = client.producer();
  }

  static async connect(address: string): Promise<HealthyClient> {
    const client = await Client.connect(address, { clientId: 'healthy' });
    await client.admin.createTopics([kept, bulk]);
    const healthy = new HealthyClient(address, client);
    for (let n = 0; n < 12; n++) await healthy.#producer.send(bulk, { key: 'k', value: 'x'.repeat(700_000) });
    return healthy;
  }

  get written(): number {
    return this.#written;
  }

  /** Writes and reads back, over the connections it has. What was wrong, if anything. */
  async check(): Promise<readonly string[]> {
    const problems: string[] = [];
    const from = this.#written;
    for (let n = 0; n < 10; n++) {
      const value = this.#written;
      await this.#inTime('produce', problems, () => this.#producer.send(kept, { key: String(value), value }));
      this.#written++;
    }
    await this.#inTime('fetch', problems, () => this.#read(this.#client, from, problems));
    return problems;
  }

  /** All that was ever written, over a connection of its own. */
  async checkAll(): Promise<readonly string[]> {
    const problems: string[] = [];
    await this.#inTime('connect and read', problems, async () => {
      await using client = await Client.connect(this.#address, { clientId: 'healthy-too' });
      await this.#read(client, 0, problems);
    });
    return problems;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.close();
  }

  async #read(client: Client, from: number, problems: string[]): Promise<void> {
    let next = from;
    for await (const { offset, value } of client.records(kept, { from: { offsets: { 0: from } }, to: 'end' })) {
      if (offset !== next || value !== next) problems.push(`kept@${offset} is ${value}, should be ${next}`);
      next++;
    }
    if (next !== this.#written) problems.push(`kept ends at ${next}, should at ${this.#written}`);
  }

  async #inTime(what: string, problems: string[], work: () => Promise<unknown>): Promise<void> {
    const startedAtMs = performance.now();
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`a healthy client's ${what} took more than ${patienceMs} ms`)),
        patienceMs,
      );
    });
    try {
      await Promise.race([work(), tooLate]);
    } catch (error) {
      problems.push(String(error));
    } finally {
      clearTimeout(timer);
    }
    this.slowestMs = Math.max(this.slowestMs, performance.now() - startedAtMs);
  }
}

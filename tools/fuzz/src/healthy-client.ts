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

/** A client that behaves, beside all the others: it must notice nothing. */
export class HealthyClient implements AsyncDisposable {
  readonly bulkTopic: string = bulk.name;
  /** The longest that a send or a read has taken, in ms, and what it was. */
  slowestMs = 0;
  slowest = 'nothing';
  readonly #address: string;
  readonly #patienceMs: number;
  readonly #client: Client;
  readonly #producer;
  #written = 0;

  private constructor(address: string, client: Client, patienceMs: number) {
    this.#address = address;
    this.#patienceMs = patienceMs;
    this.#client = client;
    this.#producer = client.producer();
  }

  /** @param patienceMs how long anything may take that it asks for */
  static async connect(address: string, patienceMs: number): Promise<HealthyClient> {
    const client = await Client.connect(address, { clientId: 'healthy' });
    await client.admin.createTopics([kept, bulk]);
    const healthy = new HealthyClient(address, client, patienceMs);
    for (let n = 0; n < 12; n++) await healthy.#producer.send(bulk, { key: 'k', value: 'x'.repeat(700_000) });
    return healthy;
  }

  /** Writes and reads back, over the connections it has. What was wrong, if anything. */
  async check(when: string): Promise<readonly string[]> {
    const problems: string[] = [];
    const from = this.#written;
    for (let n = 0; n < 10; n++) {
      const value = this.#written;
      await this.#inTime(`produce (${when})`, problems, () => this.#producer.send(kept, { key: String(value), value }));
      this.#written++;
    }
    await this.#inTime(`fetch (${when})`, problems, () => this.#read(this.#client, from, problems));
    return problems;
  }

  /** All that was ever written, over a connection of its own. */
  async checkAll(): Promise<readonly string[]> {
    const problems: string[] = [];
    await this.#inTime('connect and read all', problems, async () => {
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
        () => reject(new Error(`a healthy client's ${what} took more than ${this.#patienceMs} ms`)),
        this.#patienceMs,
      );
    });
    try {
      await Promise.race([work(), tooLate]);
    } catch (error) {
      problems.push(String(error));
    } finally {
      clearTimeout(timer);
    }
    const tookMs = performance.now() - startedAtMs;
    if (tookMs <= this.slowestMs) return;
    this.slowestMs = tookMs;
    this.slowest = what;
  }
}

import { Broker } from '@millrace/broker';
import { Client } from '@millrace/client';
import { silentLogger, type Platform } from '@millrace/platform';
import { SeededRandom, SimulatedFileSystem, SimulatedNetwork, VirtualClock } from '@millrace/platform/simulated';
import { string, topic } from '@millrace/serde';
import { violations, type LogRecord } from './check.ts';
import { History, type Sent, type SentTransaction } from './history.ts';
import { SimulatedProcess } from './simulated-process.ts';

export interface SimulationResult {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly events: Readonly<Record<string, number>>;
  readonly sentCount: number;
  readonly acknowledgedCount: number;
  readonly virtualMs: number;
  /** A hash of everything that was sent, told and read: the same for the same seed. */
  readonly fingerprint: string;
}

const plain = topic('plain', { key: string, value: string, numPartitions: 2, config: { 'segment.bytes': 16_384 } });
const transactional = topic('transactional', { key: string, value: string, numPartitions: 2 });
const compacted = topic('compacted', {
  key: string,
  value: string,
  numPartitions: 1,
  config: { 'cleanup.policy': 'compact', 'segment.bytes': 4096, 'min.cleanable.dirty.ratio': 0.01 },
});
const topics = [plain, transactional, compacted] as const;

const host = 'broker';
const port = 9092;
/** Virtual time after which whatever still waits is taken for a hang. */
const patienceMs = 600_000;

/**
 * One run: a broker on a disk that tears and forgets, clients over a network that delays and cuts, a clock that only this loop
 * turns; faults at random; then everything is healed and the log is held against what the clients were told.
 */
export async function simulate(seed: number): Promise<SimulationResult> {
  return await new Simulation(seed).run();
}

class Simulation {
  readonly #seed: number;
  readonly #random: SeededRandom;
  readonly #clock: VirtualClock = new VirtualClock(Date.UTC(2026, 0, 1));
  readonly #files: SimulatedFileSystem;
  readonly #network: SimulatedNetwork;
  readonly #history = new History();
  readonly #events: Record<string, number> = {};
  readonly #complaints: string[] = [];
  #broker: SimulatedProcess | undefined;
  readonly #over = new AbortController();

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = new SeededRandom(seed);
    this.#files = new SimulatedFileSystem({ clock: this.#clock, syncLatencyMs: 1 + this.#random.below(10) });
    this.#files.onOperation(({ kind, path }) => {
      if (kind === 'rename' && path.endsWith('.cleaned')) this.#count('segments compacted');
    });
    this.#network = new SimulatedNetwork({
      clock: this.#clock,
      random: this.#random,
      minLatencyMs: 0.1,
      maxLatencyMs: 1 + this.#random.below(20),
    });
  }

  async run(): Promise<SimulationResult> {
    const script = this.#script();
    let isDone = false;
    let failure: unknown;
    script.then(
      () => (isDone = true),
      (error: unknown) => {
        failure = error;
        isDone = true;
      },
    );
    while (!isDone) {
      if (this.#clock.monotonic() > patienceMs)
        failure ??= new Error(`hangs: nothing ended in ${patienceMs} virtual ms`);
      else if (!(await this.#clock.step()) && !isDone)
        failure ??= new Error('hangs: nothing is left that could happen');
      if (failure !== undefined) break;
    }
    const records = failure === undefined ? await script : [];
    const acknowledged = this.#history.sent.filter(({ outcome }) => outcome === 'acknowledged');
    return {
      seed: this.#seed,
      violations:
        failure === undefined
          ? violations(this.#history, records)
          : [(failure as Error).stack ?? (failure as Error).message],
      events: this.#events,
      sentCount: this.#history.sent.length,
      acknowledgedCount: acknowledged.length,
      virtualMs: this.#clock.monotonic(),
      fingerprint: fingerprint(JSON.stringify([this.#history.sent, this.#history.transactions, records])),
    };
  }

  async #script(): Promise<readonly LogRecord[]> {
    await this.#startBroker();
    await this.#asClient(async (client) => client.admin.createTopics(topics));
    const work = [
      this.#untilOver((n) => this.#produce(`a${n}`)),
      this.#untilOver((n) => this.#produce(`b${n}`)),
      this.#untilOver((n) => this.#transact(n)),
      this.#untilOver((n) => this.#updateKeys(n)),
      this.#untilOver(() => this.#consume()),
    ];
    const faultCount = 3 + this.#random.below(5);
    for (let i = 0; i < faultCount; i++) {
      await this.#sleep(this.#random.below(3000));
      await this.#fault();
    }
    await this.#sleep(1000);
    this.#over.abort();
    this.#network.setPartitioned(false);
    await Promise.all(work);
    // Once more from the disk alone, then everything is read.
    await this.#restart(() => this.#files.losePower({ random: this.#random }), 'power lost');
    await this.#abortOpenTransactions();
    return await this.#readAll();
  }

  // --- the broker, and what happens to it

  async #startBroker(): Promise<void> {
    const process = new SimulatedProcess(this.#world());
    this.#broker = process;
    await Broker.open({
      data: '/data',
      listen: { host, port },
      platform: process.platform,
      config: {
        'log.cleaner.backoff.ms': 500,
        'group.min.session.timeout.ms': 1000,
        'offsets.topic.num.partitions': 2,
        'transaction.state.log.num.partitions': 2,
        'transaction.abort.timed.out.transaction.cleanup.interval.ms': 1000,
      },
      // No fault of the disk but power loss is in the script: whatever the broker calls an error is one of ours.
      logger: { ...silentLogger, error: (context, message) => this.#complain(process, message, context) },
      onFailure: (error) => this.#complain(process, 'the broker failed', { error }),
    });
  }

  async #fault(): Promise<void> {
    const random = this.#random;
    switch (random.below(5)) {
      case 0:
        return await this.#restart(() => this.#files.losePower({ random }), 'power lost');
      case 1:
        return await this.#restart(() => this.#files.killProcess(), 'broker killed');
      case 2:
        this.#count('one connection cut');
        return this.#network.cutOne();
      case 3:
        this.#count('all connections cut');
        return this.#network.cutAll();
      default:
        this.#count('network partitioned');
        this.#network.setPartitioned(true);
        await this.#sleep(random.below(5000));
        return this.#network.setPartitioned(false);
    }
  }

  async #restart(dies: () => void, name: string): Promise<void> {
    this.#count(name);
    this.#broker!.kill();
    dies();
    await this.#sleep(this.#random.below(500));
    await this.#startBroker();
  }

  #complain(process: SimulatedProcess, message: string, context: object): void {
    if (!process.isAlive) return;
    const { error } = context as { readonly error?: Error };
    this.#complaints.push(
      `the broker says: ${message}${error === undefined ? '' : `: ${error.stack ?? error.message}`}`,
    );
  }

  // --- clients: each session is one producer, which ends by itself or by an error

  async #produce(session: string): Promise<void> {
    await this.#asClient(async (client) => {
      const producer = client.producer({ deliveryTimeoutMs: 20_000 });
      const counts = [0, 0];
      const underWay: Promise<void>[] = [];
      const sends = 5 + this.#random.below(30);
      for (let i = 0; i < sends && !this.#over.signal.aborted; i++) {
        const partition = this.#random.below(2);
        const records: Sent[] = Array.from({ length: 1 + this.#random.below(4) }, () => {
          const n = counts[partition]!++;
          return {
            session,
            topic: 'plain',
            partition,
            n,
            value: `${session}/${partition}/${n}`,
            outcome: 'pending',
            offset: -1,
          };
        });
        this.#history.sent.push(...records);
        underWay.push(
          producer
            .send(
              plain,
              records.map(({ value }) => ({ key: session, value, partition })),
            )
            .then(
              (positions) =>
                records.forEach((record, at) => {
                  record.outcome = 'acknowledged';
                  record.offset = positions[at]!.offset;
                }),
              () => records.forEach((record) => void (record.outcome = 'failed')),
            ),
        );
        await this.#sleep(this.#random.below(50));
      }
      await Promise.all(underWay);
    });
  }

  async #transact(n: number): Promise<void> {
    await this.#asClient(async (client) => {
      const producer = client.transactionalProducer({ transactionalId: 'tx', transactionTimeoutMs: 5000 });
      const count = 3 + this.#random.below(10);
      for (let i = 0; i < count && !this.#over.signal.aborted; i++) {
        const values = Array.from({ length: 1 + this.#random.below(6) }, (_, at) => ({
          topic: 'transactional',
          partition: this.#random.below(2),
          value: `t${n}/${i}/${at}`,
        }));
        const sent: SentTransaction = { values, outcome: 'pending' };
        this.#history.transactions.push(sent);
        const willAbort = this.#random.chance(0.3);
        let reachedEnd = false;
        try {
          await producer.transaction(async (transaction) => {
            await transaction.send(
              transactional,
              values.map(({ value, partition }) => ({ key: 'k', value, partition })),
            );
            reachedEnd = true;
            if (willAbort) throw new Deliberate();
          });
          sent.outcome = 'committed';
        } catch (error) {
          // Before its end was asked for, a transaction can only be aborted; afterwards nobody knows.
          if (error instanceof Deliberate || !reachedEnd) sent.outcome = 'aborted';
          if (!(error instanceof Deliberate)) throw error;
        }
      }
    });
  }

  async #updateKeys(n: number): Promise<void> {
    await this.#asClient(async (client) => {
      const producer = client.producer({ deliveryTimeoutMs: 20_000 });
      const count = 5 + this.#random.below(40);
      for (let i = 0; i < count && !this.#over.signal.aborted; i++) {
        const key = `key${this.#random.below(5)}`;
        const value = `c${n}/${i} ${'x'.repeat(this.#random.below(200))}`;
        const state = this.#history.keys.get(key) ?? { acknowledged: undefined, maybe: new Set<string>() };
        this.#history.keys.set(key, state);
        state.maybe.add(value);
        await producer.send(compacted, { key, value, partition: 0 });
        state.acknowledged = value;
        state.maybe.clear(); // what failed before it can no longer come after it
      }
    });
  }

  async #consume(): Promise<void> {
    await this.#asClient(async (client) => {
      const consumer = client.consumer({
        groupId: 'readers',
        topics: [plain],
        enableAutoCommit: false,
        sessionTimeoutMs: 3000,
        signal: this.#over.signal,
      });
      let left = 3 + this.#random.below(10);
      for await (const batch of consumer.batches()) {
        await consumer.commit(batch);
        const commits = this.#history.commits.get(batch.partition) ?? [];
        this.#history.commits.set(batch.partition, commits);
        commits.push(batch.lastOffset + 1);
        if (--left === 0 || this.#over.signal.aborted) break;
      }
    });
  }

  // --- the end

  /** A writer that died in a transaction leaves it open: its successor aborts it, as its next start would. */
  async #abortOpenTransactions(): Promise<void> {
    await this.#asClient(async (client) => {
      const producer = client.transactionalProducer({ transactionalId: 'tx' });
      await producer.transaction(() => Promise.resolve());
    });
  }

  async #readAll(): Promise<readonly LogRecord[]> {
    const records: LogRecord[] = [];
    await this.#asClient(async (client) => {
      for (const one of topics) {
        for await (const { topic: name, partition, offset, key, value } of client.records(one, { to: 'end' })) {
          records.push({ topic: name, partition, offset, key, value });
        }
      }
    });
    return records;
  }

  // --- helpers

  #world(): Platform {
    return { clock: this.#clock, random: this.#random, files: this.#files, network: this.#network };
  }

  async #asClient(work: (client: Client) => Promise<void>): Promise<void> {
    const client = await Client.connect(`${host}:${port}`, { platform: this.#world(), requestTimeoutMs: 5000 });
    try {
      await work(client);
    } finally {
      await client.close();
    }
  }

  /** Sessions one after the other; one that fails is followed by another, as a supervisor would have it. */
  async #untilOver(session: (n: number) => Promise<void>): Promise<void> {
    for (let n = 0; !this.#over.signal.aborted; n++) {
      try {
        await session(n);
      } catch {
        this.#count('sessions failed');
      }
      await this.#sleep(this.#random.below(200));
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#clock.after(ms, resolve));
  }

  #count(event: string): void {
    this.#events[event] = (this.#events[event] ?? 0) + 1;
  }
}

class Deliberate extends Error {}

/** FNV-1a: to tell two runs apart, not to protect anything. */
function fingerprint(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, '0');
}

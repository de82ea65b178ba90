import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@millrace/client';
import { createTopics as createFlightTopics, FlightData, processedCount, topology } from '@millrace/flights';
import { checkEntries, checkFlights, checkPlain, isCopied } from './check.ts';
import { Supervised, spawnScript, spawnWorker } from './supervised.ts';
import { copies, entries, plain } from './topics.ts';

export interface ChaosOptions {
  readonly seconds: number;
  /** Between two kills, about. */
  readonly killEveryMs: number;
  readonly onKill?: ((name: string) => void) | undefined;
}

export interface ChaosReport {
  readonly kills: Readonly<Record<string, number>>;
  readonly exits: Readonly<Record<string, number>>;
  readonly entryCount: number;
  readonly plainCount: number;
  /** What was lost, doubled, out of order or wrong. Empty: nothing. */
  readonly problems: readonly string[];
}

/**
 * A broker on a real disk, the flights pipeline, a transactional and an idempotent writer, and a group of copiers; every few
 * seconds one of them is killed with SIGKILL and started again. Then everything is let finish, and the log is compared with
 * what was acknowledged and with the recomputed result.
 */
export async function chaos(options: ChaosOptions): Promise<ChaosReport> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-chaos-'));
  const address = `127.0.0.1:${await freePort()}`;
  const entriesFile = join(directory, 'entries.txt');
  const plainFile = join(directory, 'plain.txt');
  const broker = new Supervised('broker', () =>
    spawnScript('packages/cli/bin/millrace.js', [
      ...['broker', '--data', join(directory, 'data'), '--port', address.split(':')[1]!],
    ]),
  );
  const started: Supervised[] = [broker];
  try {
    {
      await using client = await connect(address);
      await client.admin.createTopics([entries, copies, plain]);
      await createFlightTopics(client);
    }
    const writer = new Supervised('transactional writer', () =>
      spawnWorker('#transactional-writer', { address, acknowledgedFile: entriesFile }),
    );
    const idempotent = new Supervised('idempotent writer', () =>
      spawnWorker('#idempotent-writer', { address, acknowledgedFile: plainFile }),
    );
    const copiers = [1, 2].map((n) => new Supervised(`copier ${n}`, () => spawnWorker('#copier', { address })));
    const pipeline = new Supervised('flights pipeline', () =>
      spawnScript('apps/flights/dist/main.js', ['--broker', address, '--exit']),
    );
    started.push(writer, idempotent, ...copiers, pipeline);

    const untilMs = performance.now() + options.seconds * 1000;
    while (performance.now() < untilMs) {
      await sleep(options.killEveryMs * (0.5 + Math.random()));
      const victim = started[Math.floor(Math.random() * started.length)]!;
      options.onKill?.(victim.name);
      victim.kill();
    }

    // Writers first; then what they wrote is copied and counted to its end.
    await writer.stop();
    await idempotent.stop();
    await using client = await connect(address);
    await until('every entry has its copy', () => isCopied(client));
    await until('the flights are counted', async () => {
      const flightCount = (await FlightData.read('20k')).length;
      return (await processedCount(client, topology.applicationId)) === flightCount;
    });
    for (const one of [...copiers, pipeline]) await one.stop();
    const problems = [
      ...(await checkEntries(client, entriesFile)),
      ...(await checkPlain(client, plainFile)),
      ...(await checkFlights(client)),
    ];
    return {
      kills: Object.fromEntries(started.map(({ name, killCount }) => [name, killCount])),
      exits: Object.fromEntries(started.map(({ name, exitCount }) => [name, exitCount])),
      entryCount: await count(client, entries.name),
      plainCount: await count(client, plain.name),
      problems,
    };
  } finally {
    for (const one of started.toReversed()) await one.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The broker may just be starting: asks until it answers, for half a minute at most. */
async function connect(address: string): Promise<Client> {
  const untilMs = performance.now() + 30_000;
  for (;;) {
    try {
      return await Client.connect(address, { clientId: 'chaos' });
    } catch (error) {
      if (performance.now() > untilMs) throw error;
      await sleep(100);
    }
  }
}

async function count(client: Client, topic: string): Promise<number> {
  return (await client.admin.listOffsets(topic, 'latest')).reduce((sum, { offset }) => sum + offset, 0);
}

async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const untilMs = performance.now() + 120_000;
  while (!(await isTrue())) {
    if (performance.now() > untilMs) throw new Error(`gave up after two minutes: ${what}`);
    await sleep(200);
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

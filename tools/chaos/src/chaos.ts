import { join } from 'node:path';
import type { Client } from '@millrace/client';
import {
  createTopics as createFlightTopics,
  FlightData,
  flights,
  processedCount,
  topology,
  type Rows,
} from '@millrace/flights';
import { checkEntries, checkFlights, checkPlain, isCopied } from './check.ts';
import { killing, pausing, Scene, strikeAll, type ChaosReport } from './scene.ts';
import { spawnScript, spawnWorker, Supervised } from './supervised.ts';
import { copies, entries, plain } from './topics.ts';
import { until } from './waiting.ts';

export interface ChaosOptions {
  readonly seconds: number;
  /** Between two blows, about. */
  readonly everyMs: number;
  /** Which flights. They are fed at a rate that lasts as long as the run. */
  readonly rows: Rows;
  readonly onBlow?: ((name: string) => void) | undefined;
}

/** Longer than a member's session (6 s). */
const pauseMs = 8000;

/**
 * A broker on a real disk, the flights pipeline in two processes, a transactional and an idempotent writer, and a group of
 * copiers; every few seconds one of them is killed with SIGKILL and started again, or stopped until its group has forgotten it.
 * Then everything is let finish, and the log is compared with what was acknowledged and with the recomputed result.
 */
export async function chaos(options: ChaosOptions): Promise<ChaosReport> {
  await using scene = await Scene.open();
  const { address, broker, directory } = scene;
  const entriesFile = join(directory, 'entries.txt');
  const plainFile = join(directory, 'plain.txt');
  const data = await FlightData.read(options.rows);
  {
    await using client = await scene.connect();
    await client.admin.createTopics([entries, copies, plain]);
    await createFlightTopics(client);
  }
  const worker = (name: string, module: string, own: object = {}): Supervised =>
    scene.add(new Supervised(name, () => spawnWorker(module, { address, ...own })));
  const writer = worker('transactional writer', '#transactional-writer', { acknowledgedFile: entriesFile });
  const idempotent = worker('idempotent writer', '#idempotent-writer', { acknowledgedFile: plainFile });
  const copiers = [1, 2].map((n) => worker(`copier ${n}`, '#copier'));
  const helper = worker('flights helper', '#flights-helper');
  const rate = String(Math.ceil(data.length / options.seconds));
  const pipeline = scene.add(
    new Supervised('flights pipeline', () =>
      spawnScript(
        'apps/flights/dist/main.js',
        `--broker ${address} --rows ${options.rows} --rate ${rate} --instance main --exit`.split(' '),
      ),
    ),
  );

  const blows = await strikeAll(
    [
      killing(broker, 3),
      killing(writer),
      killing(idempotent),
      ...copiers.map((copier) => killing(copier)),
      killing(pipeline, 2),
      killing(helper),
      ...(options.seconds > 3 * (pauseMs / 1000) ? [pausing(copiers[0]!, pauseMs), pausing(helper, pauseMs)] : []),
    ],
    options,
  );

  // Writers first; then what they wrote is copied and counted to its end.
  await writer.stop();
  await idempotent.stop();
  await using client = await scene.connect();
  const problems: string[] = [];
  try {
    await until('every entry has its copy', () => isCopied(client));
    await until(
      'the flights are counted',
      async () => (await processedCount(client, topology.applicationId)) === data.length,
      120_000 + 1000 * options.seconds, // what the blows have delayed is still fed at its rate
    );
  } catch (error) {
    problems.push(String(error), ...(await whereTheyAre(client)));
  }
  for (const one of [...copiers, pipeline, helper]) await one.stop();
  return {
    blows,
    ownEnds: scene.ownEnds(),
    counts: {
      'offsets of transactions': await offsets(client, entries.name),
      'plain records': await offsets(client, plain.name),
      flights: data.length,
    },
    problems: [
      ...problems,
      ...scene.brokerProblems(),
      ...(await checkEntries(client, entriesFile)),
      ...(await checkPlain(client, plainFile)),
      ...(await checkFlights(client, data)),
    ],
  };
}

async function offsets(client: Client, topic: string): Promise<number> {
  return (await client.admin.listOffsets(topic, 'latest')).reduce((sum, { offset }) => sum + offset, 0);
}

/** Why something is not finished: how far the groups are, and who is in them. */
async function whereTheyAre(client: Client): Promise<string[]> {
  const lines: string[] = [];
  for (const groupId of [topology.applicationId, 'chaos-copiers']) {
    lines.push(`${groupId}: ${JSON.stringify(await client.admin.listConsumerGroupOffsets(groupId))}`);
    lines.push(`${groupId}: ${JSON.stringify(await client.admin.describeConsumerGroups([groupId]))}`);
  }
  for (const topic of [flights.name, entries.name]) {
    lines.push(`${topic}: ${JSON.stringify(await client.admin.listOffsets(topic, 'latest'))}`);
  }
  return lines;
}

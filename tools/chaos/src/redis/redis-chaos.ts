import type { Client } from '@millrace/client';
import getPort from 'get-port';
import { Redis } from 'ioredis';
import { killing, pausing, Scene, strikeAll, type ChaosReport } from '../scene.ts';
import { spawnCommand, spawnWorker, Supervised } from '../supervised.ts';
import { sleep, until } from '../waiting.ts';
import { checkClicks, checkRedis } from './check-clicks.ts';
import { clicks, clicksTopology, seconds, totals } from './clicks.ts';

export interface RedisChaosOptions {
  readonly seconds: number;
  /** Between two blows, about. */
  readonly everyMs: number;
  readonly onBlow?: ((name: string) => void) | undefined;
}

const userCount = 2000;
const clicksPerSend = 25;
const sendEveryMs = 20;
/** Longer than an instance's session (6 s). */
const pauseMs = 8000;

/**
 * A pipeline in two processes whose stores are in Redis. The processes, the broker and Redis are killed, Redis is emptied, and
 * an owner is stopped until its partitions are another's, and comes back. Then outputs and Redis are compared with the input.
 */
export async function redisChaos(options: RedisChaosOptions): Promise<ChaosReport> {
  await using scene = await Scene.open();
  const { address } = scene;
  const redisPort = await getPort({ host: '127.0.0.1' });
  const redisUrl = `redis://127.0.0.1:${redisPort}`;
  // Without persistence: started again, it is empty.
  const server = scene.add(
    new Supervised('redis', () =>
      spawnCommand('redis-server', `--port ${redisPort} --bind 127.0.0.1 --save  --appendonly no`.split(' ')),
    ),
  );
  await using client = await scene.connect();
  await client.admin.createTopics([clicks, totals, seconds]);
  const instances = [1, 2].map((n) =>
    scene.add(
      new Supervised(`pipeline ${n}`, () =>
        spawnWorker('#redis-pipeline', { address, redisUrl, instance: `pipeline-${n}` }),
      ),
    ),
  );
  const redis = new Redis(redisUrl, { maxRetriesPerRequest: 0, lazyConnect: true });
  redis.on('error', () => {}); // it is away now and then: that is the point
  try {
    const feeding = new AbortController();
    const fed = feed(client, feeding.signal);
    fed.catch(() => {}); // thrown below
    const blows = await strikeAll(
      [
        killing(scene.broker, 2),
        killing(server, 2),
        ...instances.map((instance) => killing(instance, 2)),
        ...instances.flatMap((instance) =>
          options.seconds > 3 * (pauseMs / 1000) ? [pausing(instance, pauseMs)] : [],
        ),
        {
          name: 'FLUSHALL',
          weight: 3,
          strike: () =>
            redis.flushall().then(
              () => true,
              () => false, // Redis is just starting
            ),
        },
      ],
      options,
    );
    // What is lost in Redis shows when it is next used.
    await sleep(1000);
    feeding.abort();
    const fedCount = await fed;

    const problems: string[] = [...scene.brokerProblems()];
    try {
      await until('every click is counted', () => isAllProcessed(client));
    } catch (error) {
      problems.push(
        `${String(error)}: ${JSON.stringify(await client.admin.listConsumerGroupOffsets(clicksTopology.applicationId))}`,
      );
    }
    let checked = await checkClicks(client);
    // A transaction's offsets may be seen a moment before the last of its results.
    for (let tries = 0; checked.problems.length > 0 && tries < 5; tries++) {
      await sleep(1000);
      checked = await checkClicks(client);
    }
    problems.push(...checked.problems, ...(await checkRedis(redisUrl, checked.counts)));
    for (const instance of instances) await instance.stop();
    return {
      blows,
      ownEnds: scene.ownEnds(),
      counts: { clicks: fedCount, 'users in Redis': checked.counts.size, 'closed seconds': checked.closedCount },
      problems,
    };
  } finally {
    redis.disconnect();
  }
}

/** Clicks of users at random until told to stop. Gives how many. The producer keeps them in order whatever the broker does. */
async function feed(client: Client, signal: AbortSignal): Promise<number> {
  const producer = client.producer();
  const startMs = Date.now();
  let next = 0;
  while (!signal.aborted) {
    const records = Array.from({ length: clicksPerSend }, () => {
      const n = next++;
      return { key: `u${Math.floor(Math.random() * userCount)}`, value: { n }, timestampMs: startMs + n };
    });
    await producer.send(clicks, records);
    await sleep(sendEveryMs);
  }
  return next;
}

async function isAllProcessed(client: Client): Promise<boolean> {
  const ends = await client.admin.listOffsets(clicks.name, 'latest');
  const committed = await client.admin.listConsumerGroupOffsets(clicksTopology.applicationId);
  return ends.every(({ partition, offset }) =>
    committed.some((each) => each.topic === clicks.name && each.partition === partition && each.offset === offset),
  );
}

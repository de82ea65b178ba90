import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Broker } from '@millrace/broker';
import { Client } from '@millrace/client';
import { int64, string, topic, windowed } from '@millrace/serde';
import { StreamsBuilder } from '../dsl/builder.ts';
import { tumbling } from '../dsl/windows.ts';
import type { Topology } from '../plan/topology.ts';
import { CrashingEndpoint, type Crash } from '../testing/crashing-endpoint.ts';
import { Streams, type StreamsOptions } from './app.ts';

const lines = topic('lines', { key: string, value: string, numPartitions: 2 });
const copies = topic('copies', { key: string, value: string, numPartitions: 2 });
const counts = topic('word-counts', { key: string, value: int64, numPartitions: 2 });
const windows = topic('windows', { key: windowed(string, { sizeMs: 10 }), value: int64, numPartitions: 2 });

/** Everything that can go wrong on the way: a copy, state behind a repartition topic, windows that close once. */
function everything(): Topology {
  const builder = new StreamsBuilder('words');
  const line$ = builder.stream(lines);
  line$.to(copies);
  line$
    .flatMapValues((line) => line.split(' '))
    .groupBy((word) => word, { name: 'by-word', key: string })
    .count({ name: 'counts' })
    .to(counts);
  line$
    .groupByKey()
    .windowedBy(tumbling({ sizeMs: 10, graceMs: 0 }))
    .count({ name: 'windowed' })
    .final()
    .to(windows);
  return builder.build();
}

/** Without a repartition topic: at least once, what comes twice there is counted twice behind it. */
function countsOnly(): Topology {
  const builder = new StreamsBuilder('words');
  builder.stream(lines).groupByKey().count({ name: 'counts' }).to(counts);
  return builder.build();
}

function copiesOnly(): Topology {
  const builder = new StreamsBuilder('words');
  builder.stream(lines).to(copies);
  return builder.build();
}

const words = ['ash', 'beech', 'cedar', 'elm', 'fir'];
const input = Array.from({ length: 60 }, (_, i) => ({
  key: `k${i % 4}`,
  value: `${words[i % 5]} ${words[(i * 3) % 5]} ${i}`,
  timestampMs: i,
}));

async function withBroker<T>(data: string, run: (broker: Broker, client: Client) => Promise<T>): Promise<T> {
  await using broker = await Broker.open({ data });
  await using client = await Client.connect(broker);
  await client.admin.createTopics([lines, copies, counts, windows]);
  // In parts, so that there are several fetches and commits.
  const producer = client.producer();
  for (let from = 0; from < input.length; from += 6) await producer.send(lines, input.slice(from, from + 6));
  return await run(broker, client);
}

const options = (cluster: StreamsOptions['cluster'], more: Partial<StreamsOptions> = {}): StreamsOptions => ({
  cluster,
  commitIntervalMs: 1,
  bufferedRecordsPerPartition: 5,
  groupInstanceId: 'instance', // so that its next run need not wait for a session to end
  ...more,
});

/** Resolves when the group has read all there is of its inputs, or the app has ended. */
async function caughtUp(app: Streams, client: Client, groupId: string, topics: readonly string[]): Promise<void> {
  let isOver = false;
  const over = app.done.finally(() => (isOver = true));
  while (!isOver) {
    const offsets = await client.admin.listConsumerGroupOffsets(groupId);
    const isRead = async (name: string): Promise<boolean> => {
      const ends = await client.admin.listOffsets(name, 'latest');
      return ends.every(({ partition, offset }) => {
        const committed = offsets.find((o) => o.topic === name && o.partition === partition)?.offset ?? 0;
        // What the app writes itself ends with the marker of its transaction.
        return committed >= offset - (name.endsWith('-repartition') && offset > 0 ? 1 : 0);
      });
    };
    if ((await Promise.all(topics.map(isRead))).every(Boolean)) return;
    await Promise.race([over, new Promise((resolve) => setImmediate(resolve))]);
  }
}

async function read<K, V>(client: Client, from: Parameters<Client['records']>[0]): Promise<(readonly [K, V])[]> {
  const rows: (readonly [K, V])[] = [];
  for await (const { key, value } of client.records(from, { to: 'end' })) rows.push([key as K, value as V]);
  return rows;
}

const expectedCounts = new Map<string, number>();
for (const word of input.flatMap(({ value }) => value.split(' '))) {
  expectedCounts.set(word, (expectedCounts.get(word) ?? 0) + 1);
}
/** Stream time of a partition is 59 or 58 at the end: windows up to [40, 50) have closed. */
const expectedWindows = ['k0', 'k1', 'k2', 'k3'].flatMap((key) =>
  [0, 10, 20, 30, 40].map((startMs) => {
    const count = input.filter((r) => r.key === key && r.timestampMs >= startMs && r.timestampMs < startMs + 10).length;
    return [`${key}@${startMs}`, count] as const;
  }),
);

/** Runs until the crash, then again until all is read. */
async function crashAndRestart(
  broker: Broker,
  client: Client,
  crash: Crash,
  plan: () => Topology,
  more: Partial<StreamsOptions> = {},
) {
  const endpoint = new CrashingEndpoint(broker, crash);
  const first = Streams.start(plan(), options(endpoint, more));
  const failed = first.done.then(
    () => undefined,
    (error: unknown) => error,
  );
  const topics = plan === everything ? ['lines', 'words-by-word-repartition'] : ['lines'];
  await Promise.race([endpoint.crashed, caughtUp(first, client, 'words', topics)]);
  endpoint.kill();
  dead.push(first.close({ timeoutMs: 0 }), failed); // it cannot do any more harm, and takes a second to see that

  const second = Streams.start(plan(), options(broker, more));
  try {
    await caughtUp(second, client, 'words', topics);
  } finally {
    await second.close();
  }
}

const dead: Promise<unknown>[] = [];
afterAll(() => Promise.all(dead));

async function expectExact(client: Client, context: string): Promise<void> {
  const copied = await read<string, string>(client, copies);
  const inOrder = (rows: readonly (readonly [string, string])[], key: string): string[] =>
    rows.filter(([k]) => k === key).map(([, value]) => value);
  for (const key of ['k0', 'k1', 'k2', 'k3']) {
    expect(inOrder(copied, key), `copies of ${key}, ${context}`).toEqual(
      inOrder(
        input.map(({ key: k, value }) => [k, value] as const),
        key,
      ),
    );
  }
  const updates = await read<string, number>(client, counts);
  const last = new Map<string, number>();
  for (const [word, count] of updates) {
    expect(count, `updates of ${word} rise, ${context}`).toBeGreaterThan(last.get(word) ?? 0);
    last.set(word, count);
  }
  expect(last, `counts, ${context}`).toEqual(expectedCounts);
  const closed = await read<{ key: string; window: { startMs: number } }, number>(client, windows);
  const named = closed.map(([{ key, window }, count]) => [`${key}@${window.startMs}`, count] as const);
  expect(named, `windows, ${context}`).toHaveLength(expectedWindows.length);
  expect(new Map(named), `windows, ${context}`).toEqual(new Map(expectedWindows));
}

describe('an app that is killed', () => {
  it('commits the same results as one that is not, at whatever request it dies', async () => {
    const frameCount = await withBroker('memory', async (broker, client) => {
      const endpoint = new CrashingEndpoint(broker);
      const app = Streams.start(everything(), options(endpoint));
      await caughtUp(app, client, 'words', ['lines', 'words-by-word-repartition']);
      await app.close();
      await expectExact(client, 'no crash');
      return endpoint.frameCount;
    });
    expect(frameCount).toBeGreaterThan(50);
    for (let atFrame = 3; atFrame < frameCount; atFrame += 7) {
      for (const isDelivered of [false, true]) {
        await withBroker('memory', async (broker, client) => {
          await crashAndRestart(broker, client, { atFrame, isDelivered }, everything);
          await expectExact(
            client,
            `died at frame ${atFrame} of ${frameCount}, ${isDelivered ? 'after' : 'before'} sending it`,
          );
        });
      }
    }
  }, 120_000);

  it('at least once: counts each input once in its state, though its outputs may come twice', async () => {
    const more = { processingGuarantee: 'at_least_once' } as const;
    const countOf = new Map<string, number>();
    for (const { key } of input) countOf.set(key, (countOf.get(key) ?? 0) + 1);
    for (let atFrame = 30; atFrame < 80; atFrame += 3) {
      await withBroker('memory', async (broker, client) => {
        await crashAndRestart(broker, client, { atFrame, isDelivered: atFrame % 2 === 0 }, countsOnly, more);
        const last = new Map(await read<string, number>(client, counts));
        expect(last, `died at frame ${atFrame}`).toEqual(countOf);
        const third = Streams.start(countsOnly(), options(broker, more)); // what the changelog says to the next one
        await third.running;
        const rows = [];
        for await (const row of third.view<any, any>({ storeName: 'counts' }).all()) rows.push(row);
        await third.close();
        expect(new Map(rows), `state after frame ${atFrame}`).toEqual(countOf);
      });
    }
  }, 60_000);

  it('at least once: loses no input, at whatever request it dies', async () => {
    const more = { processingGuarantee: 'at_least_once' } as const;
    const frameCount = await withBroker('memory', async (broker, client) => {
      const endpoint = new CrashingEndpoint(broker);
      const app = Streams.start(copiesOnly(), options(endpoint, more));
      await caughtUp(app, client, 'words', ['lines']);
      await app.close();
      return endpoint.frameCount;
    });
    for (let atFrame = 3; atFrame < frameCount; atFrame += 2) {
      await withBroker('memory', async (broker, client) => {
        await crashAndRestart(broker, client, { atFrame, isDelivered: atFrame % 4 === 1 }, copiesOnly, more);
        const copied = new Set((await read<string, string>(client, copies)).map((row) => row.join(': ')));
        expect(copied, `died at frame ${atFrame} of ${frameCount}`).toEqual(
          new Set(input.map(({ key, value }) => `${key}: ${value}`)),
        );
      });
    }
  }, 60_000);

  it('goes on from a broker that was closed and opened again on its directory', async () => {
    const data = mkdtempSync(join(tmpdir(), 'millrace-crash-'));
    try {
      await withBroker(data, async (broker) => {
        const endpoint = new CrashingEndpoint(broker, { atFrame: 60, isDelivered: true });
        const app = Streams.start(everything(), options(endpoint));
        const failed = app.done.catch(() => undefined);
        await endpoint.crashed;
        dead.push(app.close({ timeoutMs: 0 }), failed);
      });
      await using broker = await Broker.open({ data });
      await using client = await Client.connect(broker);
      const app = Streams.start(everything(), options(broker));
      await caughtUp(app, client, 'words', ['lines', 'words-by-word-repartition']);
      await app.close();
      await expectExact(client, 'broker restarted');
      await expect(app.done).resolves.toBeUndefined();
    } finally {
      rmSync(data, { recursive: true });
    }
  }, 30_000);
});

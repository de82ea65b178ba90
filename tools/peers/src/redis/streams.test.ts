import { Broker } from '@millrace/broker';
import { Client } from '@millrace/client';
import { decider, handleCommands, openCommandBus, projection } from '@millrace/eventsourcing';
import { json, string, topic } from '@millrace/serde';
import { openView, redis as redisStore } from '@millrace/stores/redis';
import { Streams, StreamsBuilder, tumbling, type Topology } from '@millrace/streams';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { available } from '../services/availability.ts';
import { startRedis, type RedisServer } from '../services/redis.ts';

const words = topic('words', { key: string, value: json<{ n: number }>(), numPartitions: 2 });
const counts = topic('counts', { key: string, value: json<number>(), numPartitions: 2 });

function counting(): Topology {
  const builder = new StreamsBuilder('counting');
  builder.stream(words).groupByKey().count({ name: 'totals', emit: 'update' }).to(counts);
  return builder.build();
}

describe.runIf(available('redis'))('an app with its state in Redis', () => {
  let server: RedisServer;
  let redis: Redis;
  let broker: Broker;
  let client: Client;
  beforeEach(async () => {
    server = await startRedis();
    redis = new Redis(server.url, { maxRetriesPerRequest: null });
    broker = await Broker.open({ data: 'memory' });
    client = await Client.connect(broker);
    await client.admin.createTopics([words, counts]);
  });
  afterEach(async () => {
    redis.disconnect();
    await client.close();
    await broker.close();
    await server.stop();
  });
  /** The least cache there is: what a batch needs is read from Redis. */
  const start = (topology: Topology): Streams =>
    Streams.start(topology, {
      cluster: broker,
      store: redisStore({ url: server.url }),
      statestoreCacheMaxBytes: 0,
      commitIntervalMs: 5,
    });
  const view = () =>
    openView({ url: server.url, applicationId: 'counting', store: 'totals', key: string, value: json<number>() });

  it('counts each record once, whatever happens to Redis and the app meanwhile', async () => {
    const keys = Array.from({ length: 20 }, (_, k) => `k${k}`);
    const producer = client.producer();
    const total = 3000;
    let app = start(counting());
    await app.running;
    await using totals = await view(); // it outlives what happens to Redis
    let last = await producer.send(words, { key: 'k0', value: { n: 0 } });
    for (let n = 1; n < total; n++) {
      last = await producer.send(words, { key: keys[n % keys.length]!, value: { n } });
      if (n % 700 === 100) await redis.flushall();
      if (n % 700 === 300) await redis.script('FLUSH');
      if (n % 700 === 450) await server.restart();
      if (n % 700 === 600) {
        await app.close(n % 1400 === 600 ? { timeoutMs: 0 } : {}); // now and then without a last commit
        app = start(counting());
      }
    }
    await using ended = app;
    await ended.running;
    const key = keys[(total - 1) % keys.length]!;
    expect((await totals.get(key, { after: last, timeoutMs: 15_000 })).value).toBe(total / keys.length);
    const outputs = new Map<string, number[]>(keys.map((name) => [name, []]));
    let seen = 0;
    for await (const record of client.records(counts)) {
      outputs.get(record.key)?.push(record.value);
      if (++seen === total) break;
    }
    const expected = Array.from({ length: total / keys.length }, (_, i) => i + 1);
    for (const name of keys) expect(outputs.get(name), name).toEqual(expected);
    for (const name of keys) expect((await totals.get(name, { timeoutMs: 15_000 })).value, name).toBe(expected.length);
  }, 60_000);

  it('keeps windows there, and takes them away when they have closed', async () => {
    const builder = new StreamsBuilder('windows');
    builder
      .stream(words)
      .groupByKey()
      .windowedBy(tumbling({ sizeMs: 1000, graceMs: 0 }))
      .count({ name: 'per-second', value: json<number>() })
      .final()
      .map((count, { key, window }) => ({ key: `${key}@${window.startMs}`, value: count }), {
        name: 'closed',
        key: string,
      })
      .to(counts);
    await using app = start(builder.build());
    await app.running;
    const producer = client.producer();
    for (const timestampMs of [0, 10, 1500, 1600, 5000]) {
      await producer.send(words, { key: 'a', value: { n: 1 }, timestampMs });
    }
    const closed: unknown[] = [];
    for await (const { key, value } of client.records(counts)) {
      closed.push([key, value]);
      if (closed.length === 2) break;
    }
    expect(closed).toEqual([
      ['a@0', 2],
      ['a@1000', 2],
    ]);
  }, 30_000);

  it('serves commands, and lets another process read what was written', async () => {
    const counter = decider({
      name: 'counter',
      command: json<{ type: 'add'; n: number }>(),
      event: json<{ type: 'added'; n: number }>(),
      state: json<{ sum: number }>(),
      stateVersion: 1,
      initialState: () => ({ sum: 0 }),
      decide: (_, { n }) => [{ type: 'added', n }],
      evolve: ({ sum }, { n }) => ({ sum: sum + n }),
    });
    const builder = new StreamsBuilder('counters');
    const { events } = handleCommands(builder, counter);
    projection(builder, {
      name: 'sums',
      version: 1,
      from: events,
      initial: () => ({ sum: 0, count: 0 }),
      on: { added: (row, { n }) => ({ sum: row.sum + n, count: row.count + 1 }) },
    });
    await client.admin.createTopics([counter.commands, counter.events]);
    await using bus = await openCommandBus(client);
    await using app = Streams.start(builder.build(), {
      cluster: broker,
      store: redisStore({ url: server.url }),
      statestoreCacheMaxBytes: 0,
      commit: 'eager',
    });
    await app.running;
    await using sums = await openView({
      url: server.url,
      applicationId: 'counters',
      store: 'sums-v1',
      key: string,
      value: json<{ sum: number; count: number }>(),
    });
    for (let n = 1; n <= 20; n++) {
      if (n === 10) await redis.flushall();
      const commandId = `c${n}`;
      const reply = await bus.send(counter, 'x', { type: 'add', n }, { commandId });
      const again = await bus.send(counter, 'x', { type: 'add', n }, { commandId });
      expect([reply.version, again.version]).toEqual([n, n]);
      expect((await sums.get('x', { after: again.position })).value).toEqual({ sum: (n * (n + 1)) / 2, count: n });
    }
  }, 30_000);

  it('brings back what Redis has lost while there is nothing to do, so that readers need not wait for a record', async () => {
    await using app = start(counting());
    await app.running;
    await using totals = await view();
    const last = await client.producer().send(words, { key: 'a', value: { n: 1 } });
    expect((await totals.get('a', { after: last })).value).toBe(1);
    await redis.flushall();
    expect((await totals.get('a', { after: last })).value).toBe(1);
    await server.restart(); // empty
    expect((await totals.get('a')).value).toBe(1);
  }, 30_000);

  it("runs the stores' example", async () => {
    const lines: unknown[][] = [];
    const log = console.log;
    console.log = (...line: unknown[]) => void lines.push(line);
    process.env['REDIS_URL'] = server.url;
    try {
      await import(new URL('../../../../packages/stores/examples/loyalty.ts', import.meta.url).href);
    } finally {
      console.log = log;
      delete process.env['REDIS_URL'];
    }
    expect(lines).toEqual([[{ orders: 2, cents: 600 }], ['bob', 1]]);
  });
});

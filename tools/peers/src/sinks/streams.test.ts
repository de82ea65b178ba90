import { Broker } from '@millrace/broker';
import { Client } from '@millrace/client';
import { json, string, topic } from '@millrace/serde';
import { postgres } from '@millrace/sinks/postgres';
import { redisSink } from '@millrace/sinks/redis';
import { Streams, StreamsBuilder, type Topology } from '@millrace/streams';
import { Redis } from 'ioredis';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { available } from '../services/availability.ts';
import { startPostgres, type PostgresServer } from '../services/postgres.ts';
import { startRedis, type RedisServer } from '../services/redis.ts';

describe.runIf(available('redis') && available('postgres'))('an app with sinks', () => {
  let redisServer: RedisServer;
  let postgresServer: PostgresServer;
  let redis: Redis;
  let pool: pg.Pool;
  beforeAll(async () => {
    redisServer = await startRedis();
    postgresServer = await startPostgres();
    redis = new Redis(redisServer.url, { maxRetriesPerRequest: null });
    pool = new pg.Pool({ connectionString: postgresServer.url });
    pool.on('error', () => undefined); // the server is restarted under it
  });
  afterAll(async () => {
    redis?.disconnect();
    await pool?.end();
    await redisServer?.stop();
    await postgresServer?.stop();
  });

  it('has each record once in both, though the app dies and the database restarts', async () => {
    const items = topic('items', { key: string, value: json<{ n: number }>(), numPartitions: 2 });
    await pool.query('create table items (id text, n int, primary key (id, n))');
    await pool.query('create table items_writes (id text, n int)');
    await pool.query(`create function items_audit() returns trigger language plpgsql as
      $$ begin insert into items_writes values (new.id, new.n); return new; end $$`);
    await pool.query(
      'create trigger audit after insert or update on items for each row execute function items_audit()',
    );
    const plan = (): Topology => {
      const builder = new StreamsBuilder('effects');
      const item$ = builder.stream(items);
      item$.sink(
        postgres({ url: postgresServer.url, table: 'items', key: ['id', 'n'], row: ({ n }, id) => ({ id, n }) }),
      );
      item$.sink(
        redisSink({
          url: redisServer.url,
          commands: ({ n }, id) => [
            ['RPUSH', `items:${id}`, n],
            ['INCR', 'items:seen'],
          ],
        }),
      );
      return builder.build();
    };
    await using broker = await Broker.open({ data: 'memory' });
    await using client = await Client.connect(broker);
    await client.admin.createTopics([items]);
    const start = (): Streams => Streams.start(plan(), { cluster: broker, commitIntervalMs: 20 });
    const producer = client.producer();
    let app = start();
    await app.running;
    const total = 1200;
    for (let n = 0; n < total; n++) {
      await producer.send(items, { key: `k${n % 10}`, value: { n } });
      if (n === 500) await postgresServer.restart();
      if (n % 400 === 150) {
        await app.close({ timeoutMs: 0 }); // without a last commit: what the sinks have is ahead of it
        app = start();
        await app.running;
      }
    }
    while ((await redis.get('items:seen')) !== String(total)) await redis.ping();
    await app.close();
    const expected = Array.from({ length: total }, (_, n) => n);
    const written = await pool.query<{ n: number }>('select n from items_writes order by n');
    expect(written.rows.map(({ n }) => n)).toEqual(expected);
    for (let k = 0; k < 10; k++) {
      const own = expected.filter((n) => n % 10 === k).map(String);
      expect(await redis.lrange(`items:k${k}`, 0, -1)).toEqual(own);
    }
  }, 60_000);

  it('goes on after the offsets of its group were reset, with what both have already left alone', async () => {
    const parts = topic('parts', { key: string, value: json<{ n: number }>(), numPartitions: 1 });
    await pool.query('create table parts (id text primary key, n int)');
    const builder = new StreamsBuilder('parts');
    const part$ = builder.stream(parts);
    part$.sink(postgres({ url: postgresServer.url, table: 'parts', key: ['id'], row: ({ n }, id) => ({ id, n }) }));
    part$.sink(redisSink({ url: redisServer.url, commands: ({ n }) => [['RPUSH', 'parts', n]] }));
    const topology = builder.build();
    await using broker = await Broker.open({ data: 'memory' });
    await using client = await Client.connect(broker);
    await client.admin.createTopics([parts]);
    const producer = client.producer();
    const warnings: unknown[] = []; // such as that it begins again, refused by a sink
    const warn = (context: object, message: string): void => void warnings.push([message, context]);
    const logger = { debug() {}, info() {}, warn, error: warn };
    const start = (): Streams => Streams.start(topology, { cluster: broker, commitIntervalMs: 5, logger });
    for (let n = 0; n < 3; n++) {
      // Each time it changes hands a few times: what the targets remember of that must not be in its way.
      for (let owner = 0; owner < 2; owner++) {
        await using app = start();
        await app.running;
      }
      await using app = start();
      await producer.send(parts, { key: `p${n}`, value: { n } });
      while ((await redis.llen('parts')) < n + 1) await Promise.race([app.done, redis.ping()]);
      await app.close();
      await client.admin.deleteConsumerGroups(['parts']);
    }
    expect(warnings).toEqual([]);
    expect(await redis.lrange('parts', 0, -1)).toEqual(['0', '1', '2']);
    expect((await pool.query<{ id: string }>('select id from parts order by id')).rows.map(({ id }) => id)).toEqual([
      'p0',
      'p1',
      'p2',
    ]);
  }, 60_000);

  it("runs the sinks' example", async () => {
    await pool.query('create table invoices (id text primary key, customer_id text, cents int)');
    process.env['REDIS_URL'] = redisServer.url;
    process.env['DATABASE_URL'] = postgresServer.url;
    try {
      await import(new URL('../../../../packages/sinks/examples/invoices.ts', import.meta.url).href);
    } finally {
      delete process.env['REDIS_URL'];
      delete process.env['DATABASE_URL'];
    }
    expect((await pool.query('select * from invoices order by id')).rows).toEqual([
      { id: 'i1', customer_id: 'ada', cents: 250 },
      { id: 'i2', customer_id: 'bob', cents: 300 },
    ]);
    expect(await redis.zrevrange('best-customers', 0, -1, 'WITHSCORES')).toEqual(['ada', '750', 'bob', '300']);
  });
});

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

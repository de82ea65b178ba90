import { SeededRandom } from '@millrace/platform/simulated';
import { redisSink } from '@millrace/sinks/redis';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { available } from '../services/availability.ts';
import { breakSaving, startRedis, type RedisServer } from '../services/redis.ts';
import { startTcpProxy } from '../services/tcp-proxy.ts';
import { batchOf, feedThroughFaults, taskOf } from '../sinks/sink-fixture.ts';

describe.runIf(available('redis'))('the Redis sink', () => {
  let server: RedisServer;
  let redis: Redis;
  beforeAll(async () => {
    server = await startRedis();
    redis = new Redis(server.url, { maxRetriesPerRequest: null });
  });
  afterAll(async () => {
    redis?.disconnect();
    await server?.stop();
  });
  /** Not idempotent on purpose: a command that ran twice shows. */
  const counter = (name: string, url = server.url) =>
    redisSink<string, number>({ url, name, commands: (n, key) => [['INCRBY', `${name}:${key}`, n]] });

  it('runs the commands of each record once, in order, and says where it stands', async () => {
    const sink = redisSink<string, string>({
      url: server.url,
      name: 'lists',
      commands: (value, key) => [
        ['RPUSH', `list:${key}`, value],
        ['SET', 'last', Buffer.from([0, 255])],
      ],
    });
    const writer = await sink.open(taskOf(1));
    expect(writer.nextOffset).toBe(0);
    await writer.write(
      batchOf(0, 9, [
        [0, 'a', 'x'],
        [4, 'a', 'y'],
        [4, 'b', 'z'],
      ]),
    );
    await writer.write(batchOf(10, 10, [[10, 'a', 'w']]));
    await writer.flush();
    await writer.close();
    expect(await redis.lrange('list:a', 0, -1)).toEqual(['x', 'y', 'w']);
    expect(await redis.lrange('list:b', 0, -1)).toEqual(['z']);
    expect(await redis.getBuffer('last')).toEqual(Buffer.from([0, 255]));
    const next = await sink.open(taskOf(2));
    expect(next.nextOffset).toBe(11);
    await next.close();
    const otherPartition = await sink.open(taskOf(1, { partition: 1 }));
    expect(otherPartition.nextOffset).toBe(0);
    await otherPartition.close();
  });

  it('does nothing for a batch that it has', async () => {
    const writer = await counter('replay').open(taskOf(1));
    await writer.write(
      batchOf(0, 1, [
        [0, 'a', 1],
        [1, 'a', 2],
      ]),
    );
    await writer.write(
      batchOf(0, 1, [
        [0, 'a', 1],
        [1, 'a', 2],
      ]),
    );
    await writer.write(
      batchOf(1, 2, [
        [1, 'a', 2],
        [2, 'a', 4],
      ]),
    ); // half of it is known
    expect(await redis.get('replay:a')).toBe('7');
    await writer.close();
  });

  it('applies a batch once when its reply is lost', async () => {
    await using proxy = await startTcpProxy(server.port);
    const writer = await counter('lost-reply', `redis://127.0.0.1:${proxy.port}`).open(taskOf(1));
    await writer.write(batchOf(0, 0, [[0, 'a', 1]]));
    const lost = proxy.cutNextReply();
    const written = writer.write(batchOf(1, 1, [[1, 'a', 2]]));
    await lost;
    await written;
    expect(await redis.get('lost-reply:a')).toBe('3');
    await writer.close();
  });

  it('refuses an owner that was replaced, to write and to open', async () => {
    const zombie = await counter('fence').open(taskOf(4));
    const owner = await counter('fence').open(taskOf(5));
    await expect(zombie.write(batchOf(0, 0, [[0, 'a', 1]]))).rejects.toMatchObject({
      code: 'FENCED',
      context: { epoch: 4, storedEpoch: 5 },
    });
    await expect(counter('fence').open(taskOf(4))).rejects.toMatchObject({ code: 'FENCED' });
    await owner.write(batchOf(0, 0, [[0, 'a', 2]]));
    expect(await redis.get('fence:a')).toBe('2');
    await zombie.close();
    await owner.close();
  });

  it('goes on behind a command that Redis refused, without running again what ran before it', async () => {
    let isMended = false;
    const sink = redisSink<string, number>({
      url: server.url,
      name: 'refusal',
      commands: (n, key) => [
        ['INCRBY', 'refusal:sum', n],
        ['HSET', n === 2 && !isMended ? 'refusal:text' : `refusal:${key}`, 'n', n],
      ],
    });
    await redis.set('refusal:text', 'no hash');
    const writer = await sink.open(taskOf(1));
    const batch = batchOf(0, 2, [
      [0, 'a', 1],
      [1, 'b', 2],
      [2, 'c', 4],
    ]);
    const refusal = { code: 'SINK_REFUSED', context: { offset: 1, command: 'HSET' } };
    await expect(writer.write(batch)).rejects.toMatchObject(refusal);
    await expect(writer.write(batch)).rejects.toMatchObject(refusal);
    expect(await redis.get('refusal:sum')).toBe('3');
    isMended = true;
    await writer.write(batch);
    expect(await redis.get('refusal:sum')).toBe('7');
    expect(await redis.hgetall('refusal:b')).toEqual({ n: '2' });
    await writer.close();
  });

  it('refuses a command of more parts than a script can call, and does nothing of its batch', async () => {
    const sink = redisSink<string, number>({
      url: server.url,
      name: 'wide',
      commands: (n, key) => [
        ['INCR', 'wide:count'],
        ['RPUSH', `wide:${key}`, ...Array.from({ length: n }, (_, i) => i)],
      ],
    });
    const writer = await sink.open(taskOf(1));
    await writer.write(batchOf(0, 0, [[0, 'a', 7997]]));
    expect(await redis.llen('wide:a')).toBe(7997);
    const batch = batchOf(1, 2, [
      [1, 'b', 1],
      [2, 'c', 7998],
    ]);
    await expect(writer.write(batch)).rejects.toMatchObject({
      code: 'SINK_REFUSED',
      message: expect.stringContaining('of 8000 parts'),
      context: { offset: 2 },
    });
    expect(await redis.get('wide:count')).toBe('1');
    await writer.close();
  });

  it('does not go on where its target has gone back, as after a failover to a replica that lags', async () => {
    const writer = await counter('went-back').open(taskOf(1));
    await writer.write(batchOf(0, 4, [[0, 'a', 1]]));
    await redis.hset('millrace:{app/went-back/orders/0}:position', 'next', 3);
    await expect(writer.write(batchOf(5, 5, [[5, 'a', 2]]))).rejects.toMatchObject({ code: 'SINK_POSITION_LOST' });
    expect(await redis.get('went-back:a')).toBe('1');
    await writer.close();
  });

  it('is busy, and has done nothing, while Redis cannot save', async () => {
    await using own = await startRedis({ save: '3600 1', dbfilename: 'dump.rdb' });
    const direct = new Redis(own.url);
    const writer = await counter('misconf', own.url).open(taskOf(1));
    await breakSaving(direct);
    await expect(writer.write(batchOf(0, 0, [[0, 'a', 1]]))).rejects.toMatchObject({ code: 'SINK_BUSY' });
    await expect(counter('misconf', own.url).open(taskOf(2))).rejects.toMatchObject({ code: 'SINK_BUSY' });
    await direct.config('SET', 'stop-writes-on-bgsave-error', 'no');
    await writer.write(batchOf(0, 0, [[0, 'a', 1]]));
    expect(await direct.get('misconf:a')).toBe('1');
    await writer.close();
    direct.disconnect();
  });

  it('leaves a primary that was demoted, and writes to whoever answers at its address', async () => {
    await using own = await startRedis();
    await using proxy = await startTcpProxy(own.port);
    const direct = new Redis(own.url);
    const writer = await counter('demoted', `redis://127.0.0.1:${proxy.port}`).open(taskOf(1));
    const clients = async (): Promise<number> =>
      (await direct.info('stats')).match(/total_connections_received:(\d+)/)![1] as never;
    const before = Number(await clients());
    await direct.replicaof('127.0.0.1', 1);
    const written = writer.write(batchOf(0, 0, [[0, 'a', 1]]));
    while (Number(await clients()) === before) await direct.ping();
    await direct.replicaof('NO', 'ONE');
    await written.catch((error: unknown) => expect(error).toMatchObject({ code: 'SINK_BUSY' }));
    await writer.write(batchOf(0, 0, [[0, 'a', 1]]));
    expect(await direct.get('demoted:a')).toBe('1');
    await writer.close();
    direct.disconnect();
  });

  it('stops waiting for Redis when its partition is taken away', async () => {
    await using own = await startRedis();
    const partition = new AbortController();
    const writer = await counter('taken', own.url).open(taskOf(1, { signal: partition.signal }));
    own.freeze();
    const written = writer.write(batchOf(0, 0, [[0, 'a', 1]]));
    partition.abort(new Error('taken away'));
    await expect(written).rejects.toThrow('taken away');
    await writer.close();
    own.resume();
  });

  it('is busy, and has done nothing, while Redis is out of memory', async () => {
    const writer = await counter('oom').open(taskOf(1));
    await redis.config('SET', 'maxmemory', 1);
    await expect(writer.write(batchOf(0, 0, [[0, 'a', 1]]))).rejects.toMatchObject({ code: 'SINK_BUSY' });
    await redis.config('SET', 'maxmemory', 0);
    await writer.write(batchOf(0, 0, [[0, 'a', 1]]));
    expect(await redis.get('oom:a')).toBe('1');
    await writer.close();
  });

  it('stops when its position is gone, rather than guess', async () => {
    const writer = await counter('emptied').open(taskOf(1));
    await writer.write(batchOf(0, 0, [[0, 'a', 1]]));
    await redis.del('millrace:{app/emptied/orders/0}:position');
    await expect(writer.write(batchOf(1, 1, [[1, 'a', 1]]))).rejects.toMatchObject({ code: 'SINK_POSITION_LOST' });
    expect(await redis.get('emptied:a')).toBe('1');
    await writer.close();
  });

  it('cuts a batch of more than 5,000 results between source records', async () => {
    const writer = await counter('many').open(taskOf(1));
    await redis.config('RESETSTAT');
    const records = Array.from({ length: 10_003 }, (_, i) => [Math.floor(i / 3), `k${i % 10}`, 1] as const);
    await writer.write(batchOf(0, 4000, records));
    const sums = await redis.mget(Array.from({ length: 10 }, (_, i) => `many:k${i}`));
    expect(sums.reduce((sum, n) => sum + Number(n), 0)).toBe(10_003);
    expect(await redis.hgetall('millrace:{app/many/orders/0}:position')).toEqual({
      epoch: '1',
      next: '4001',
      done: '0',
    });
    await writer.close();
  });

  it('has each input once after crashes and zombies, whatever their order', async () => {
    const random = new SeededRandom(7);
    const inputs = Array.from({ length: 600 }, (_, n) => [`k${n % 5}`, n] as const);
    const sink = redisSink<string, number>({
      url: server.url,
      name: 'faults',
      commands: (n, key) => [['RPUSH', `faults:${key}`, n]],
    });
    const run = await feedThroughFaults(sink, inputs, () => random.next());
    for (let k = 0; k < 5; k++) {
      const expected = inputs.filter(([key]) => key === `k${k}`).map(([, n]) => String(n));
      expect(await redis.lrange(`faults:k${k}`, 0, -1)).toEqual(expected);
    }
    expect(run.crashes).toBeGreaterThan(5);
    expect(run.zombieWritesRefused).toBeGreaterThan(2);
  });
});

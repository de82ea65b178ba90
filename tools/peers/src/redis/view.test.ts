import { partitionOf } from '@millrace/client/bytes';
import { VirtualClock } from '@millrace/platform/simulated';
import { json, recordHeaders, string, windowed } from '@millrace/serde';
import { openView, redis as redisBackend, type RedisViewOptions } from '@millrace/stores/redis';
import type { BackendStore, StateStoreBackend } from '@millrace/streams/state';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { available } from '../services/availability.ts';
import { startRedis, type RedisServer } from '../services/redis.ts';
import { claimOf, commitOf, fresh, specOf } from './store-fixture.ts';

describe.runIf(available('redis'))('a view on a store in Redis', () => {
  let server: RedisServer;
  let backend: StateStoreBackend;
  let redis: Redis;
  beforeAll(async () => {
    server = await startRedis();
    backend = redisBackend({ url: server.url }) as StateStoreBackend;
    redis = new Redis(server.url);
  });
  afterAll(async () => {
    redis?.disconnect();
    await backend?.close();
    await server?.stop();
  });

  const partitionCount = 3;
  /** A store of three partitions, claimed and whole. */
  const stores = (name: string): Promise<BackendStore[]> =>
    Promise.all(
      Array.from({ length: partitionCount }, async (_, partition) => {
        const store = await backend.openStore(specOf(name, { partition, partitionCount }));
        return await fresh(store);
      }),
    );
  const optionsOf = (store: string): RedisViewOptions<string, number> => ({
    url: server.url,
    applicationId: 'app',
    store,
    key: string,
    value: json<number>(),
  });
  const ownerOf = (owners: readonly BackendStore[], key: string): BackendStore =>
    owners[partitionOf(Buffer.from(key), partitionCount)]!;

  it('finds each key in its partition, and says how old the answer is', async () => {
    const owners = await stores('keys');
    for (const [n, key] of ['a', 'b', 'c', 'd', 'e', '\0f'].entries()) {
      const owner = ownerOf(owners, key);
      await owner.commit(commitOf(0, 0, n + 1, { [key]: String(n) }, { timestampMs: 1000 + n }));
    }
    await using view = await openView(optionsOf('keys'));
    for (const [n, key] of ['a', 'b', 'c', 'd', 'e', '\0f'].entries()) {
      expect(await view.get(key)).toMatchObject({ value: n, timestampMs: 7 });
    }
    expect(await view.get('\0f')).toEqual({ value: 5, timestampMs: 7, asOfMs: 1005 });
    expect(await view.get('nobody')).toMatchObject({ value: undefined, timestampMs: undefined });
  });

  it('finds a window in the partition of its key', async () => {
    const owners = await stores('windows');
    const key = windowed(string, { sizeMs: 10 });
    const windows = ['a', 'b', 'c', 'd', 'e'].map((name) => ({ key: name, window: { startMs: 10, endMs: 20 } }));
    for (const [n, window] of windows.entries()) {
      const bytes = key.serialize(window, { topic: 't', part: 'key', headers: recordHeaders([]) });
      const commit = commitOf(0, 0, n + 1, { [Buffer.from(bytes).toString()]: '1' });
      await ownerOf(owners, window.key).commit(commit);
    }
    await using view = await openView({ ...optionsOf('windows'), key });
    for (const window of windows) expect(await view.get(window)).toMatchObject({ value: 1 });
  });

  it('reads all rows, or those of a range, bounds included, and never a mark', async () => {
    const owners = await stores('rows');
    const keys = Array.from({ length: 1000 }, (_, n) => `k${String(n).padStart(3, '0')}`);
    for (const owner of owners) {
      const own = keys.filter((key) => ownerOf(owners, key) === owner);
      await owner.commit(commitOf(0, 0, own.length, Object.fromEntries(own.map((key) => [key, key.slice(1)]))));
    }
    await using view = await openView({ ...optionsOf('rows'), value: string });
    const rows = new Map<string, string>();
    for await (const [key, value] of view.all()) rows.set(key, value);
    expect([...rows.keys()].toSorted()).toEqual(keys);
    const some: string[] = [];
    for await (const [key] of view.range('k010', 'k012')) some.push(key);
    expect(some.toSorted()).toEqual(['k010', 'k011', 'k012']);
  });

  it('waits until the store reflects a position: that record, not the one before', async () => {
    const [owner] = await stores('after');
    const positionsAt = (offset: number) => ({ positions: [{ topic: 'orders', partition: 1, offset }] });
    const clock = new VirtualClock();
    await using view = await openView({ ...optionsOf('after'), clock });
    const key = ['a', 'b', 'c', 'd', 'e', 'f'].find((name) => partitionOf(Buffer.from(name), partitionCount) === 0)!;
    await owner!.commit(commitOf(0, 0, 1, { [key]: '1' }, positionsAt(5))); // all before offset 5 is in

    const at = (offset: number) => ({ topic: 'orders', partition: 1, offset });
    expect(await view.get(key, { after: at(4) })).toMatchObject({ value: 1 });
    let answer: unknown;
    const waiting = view.get(key, { after: at(5) }).then((found) => (answer = found.value));
    await redis.ping();
    await clock.step();
    await redis.ping();
    expect(answer).toBeUndefined();
    await owner!.commit(commitOf(0, 1, 2, { [key]: '2' }, positionsAt(6)));
    while (answer === undefined) {
      await redis.ping();
      await clock.step();
    }
    expect(await waiting).toBe(2);
  });

  it('times out, and says what it waited for', async () => {
    await stores('timeout');
    await using view = await openView(optionsOf('timeout'));
    const after = { topic: 'orders', partition: 0, offset: 7 };
    await expect(view.get('a', { after, timeoutMs: 20 })).rejects.toMatchObject({
      code: 'VIEW_TIMEOUT',
      message: expect.stringContaining('orders-0@7 within 20 ms'),
    });
  });

  it('times out while Redis does not answer, and opening it can be given up', async () => {
    await using own = await startRedis();
    const ownBackend = redisBackend({ url: own.url }) as StateStoreBackend;
    try {
      await ownBackend.openStore(specOf('frozen'));
      await using view = await openView({ ...optionsOf('frozen'), url: own.url });
      own.freeze();
      await expect(view.get('a', { timeoutMs: 20 })).rejects.toMatchObject({ code: 'VIEW_TIMEOUT' });
      const controller = new AbortController();
      const opening = openView({ ...optionsOf('frozen'), url: own.url, signal: controller.signal });
      controller.abort(new Error('given up'));
      await expect(opening).rejects.toThrow('given up');
    } finally {
      own.resume();
      await ownBackend.close();
    }
  });

  it('does not read a store that is being rebuilt', async () => {
    const owners = await stores('building');
    await using view = await openView(optionsOf('building'));
    const owner = ownerOf(owners, 'a');
    await owner.commit(commitOf(0, 0, 1, { a: '1' }));
    expect(await view.get('a')).toMatchObject({ value: 1 });
    await redis.flushall();
    await expect(view.get('a', { timeoutMs: 20 })).rejects.toMatchObject({ code: 'VIEW_TIMEOUT' });
    await owner.claim(claimOf(9, { changelogEndOffset: 9 }));
    await owner.reset(9);
    await owner.commit(commitOf(9, 0, 5, { a: '1' }));
    await expect(view.get('a', { timeoutMs: 20 })).rejects.toMatchObject({ code: 'VIEW_TIMEOUT' });
    await owner.commit(commitOf(9, 5, 9, { a: '2' }));
    expect(await view.get('a')).toMatchObject({ value: 2 });
  });

  it('refuses a store that is not there, of windows, or of another layout, and says which there are', async () => {
    await stores('known');
    await backend.openStore(specOf('windowed', { kind: 'window', windowMs: 1000 }));
    await expect(openView(optionsOf('unknown'))).rejects.toMatchObject({
      code: 'STORE_NOT_FOUND',
      message: expect.stringMatching(/it has .*known.*windowed/),
    });
    await expect(openView(optionsOf('windowed'))).rejects.toThrow(/holds windows/);
    await expect(openView({ ...optionsOf('known'), applicationId: 'other' })).rejects.toThrow(/has none here/);
    await redis.hset('millrace:app:stores', 'newer', JSON.stringify({ layout: 2, kind: 'keyValue', partitions: 1 }));
    await expect(openView(optionsOf('newer'))).rejects.toThrow(/layout is 2, this version reads 1/);
  });

  it('is closed by its signal, and then says so', async () => {
    await stores('closing');
    const controller = new AbortController();
    const view = await openView({ ...optionsOf('closing'), signal: controller.signal });
    controller.abort();
    await expect(view.get('a')).rejects.toMatchObject({ code: 'CLOSED' });
  });
});

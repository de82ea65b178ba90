import { redis as redisBackend, EvictionEnabledError } from '@millrace/stores/redis';
import type { BackendStore, StateStoreBackend, StoreKey, StoredValue } from '@millrace/streams/state';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { available } from '../services/availability.ts';
import { breakSaving, startRedis, type RedisServer } from '../services/redis.ts';
import { startTcpProxy } from '../services/tcp-proxy.ts';
import { claimOf, commitOf, fresh, keyAt, read, specOf, writesOf } from './store-fixture.ts';

describe.runIf(available('redis'))('a store in Redis', () => {
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

  it('is there for the next owner: data, offset and stream time', async () => {
    const one = await fresh(await backend.openStore(specOf('handover')));
    expect(await one.commit(commitOf(0, 0, 3, { a: '1', b: '2' }, { streamTimeMs: 77 }))).toEqual({
      verdict: 'applied',
    });
    expect(await one.commit(commitOf(0, 3, 5, { a: null, c: '3' }, { streamTimeMs: 99 }))).toEqual({
      verdict: 'applied',
    });
    await one.close();

    const next = await backend.openStore(specOf('handover'));
    expect(await next.claim(claimOf(5))).toEqual({ verdict: 'claimed', nextOffset: 5, streamTimeMs: 99 });
    expect(await next.prefetch([keyAt('a'), keyAt('b'), keyAt('c')], [])).toEqual({
      verdict: 'current',
      values: [null, { value: Buffer.from('2'), timestampMs: 7 }, { value: Buffer.from('3'), timestampMs: 7 }],
      windows: [],
    });
    expect(await scanned(next)).toEqual({ '0/b': '2', '0/c': '3' });
  });

  it('keeps keys that look like its own marks', async () => {
    const store = await fresh(await backend.openStore(specOf('odd-keys')));
    const keys = ['\0i', '\0', '', '\0\0', '\0o'];
    await store.commit(commitOf(0, 0, 5, Object.fromEntries(keys.map((key, i) => [key, `v${i}`]))));
    expect(await read(store, ...keys.map((key) => keyAt(key)))).toEqual(['v0', 'v1', 'v2', 'v3', 'v4']);
    expect(Object.keys(await scanned(store)).toSorted()).toEqual(keys.map((key) => `0/${key}`).toSorted());
  });

  it('reads what was committed before the read, without waiting for it', async () => {
    const store = await fresh(await backend.openStore(specOf('pipelined')));
    const commits = [store.commit(commitOf(0, 0, 1, { a: '1' })), store.commit(commitOf(0, 1, 2, { a: '2' }))];
    expect(await read(store, keyAt('a'))).toEqual(['2']);
    expect(await Promise.all(commits)).toEqual([{ verdict: 'applied' }, { verdict: 'applied' }]);
  });

  describe('a commit', () => {
    it('is applied from any offset within its range, and from no other', async () => {
      // The store stands at 10: ranges that end before it, touch it, hold it, begin at it, begin behind it.
      const cases: readonly (readonly [number, number, object])[] = [
        [5, 9, { verdict: 'replay' }],
        [5, 10, { verdict: 'replay' }],
        [5, 11, { verdict: 'applied' }],
        [9, 11, { verdict: 'applied' }],
        [10, 11, { verdict: 'applied' }],
        [11, 12, { verdict: 'gap', nextOffset: 10 }],
      ];
      for (const [prev, next, expected] of cases) {
        const store = await fresh(await backend.openStore(specOf(`range-${prev}-${next}`)));
        await store.commit(commitOf(0, 0, 10, { a: 'old' }));
        expect(await store.commit(commitOf(0, prev, next, { a: 'new' })), `[${prev}, ${next})`).toEqual(expected);
        const isApplied = (expected as { verdict: string }).verdict === 'applied';
        expect(await redis.hget(`millrace:{app/range-${prev}-${next}/0}:d0`, 'a')).toContain(isApplied ? 'new' : 'old');
      }
    });

    it('of an empty range brings positions where the data stands, and nowhere else', async () => {
      const store = await fresh(await backend.openStore(specOf('positions')));
      const positionsAt = (offset: number) => ({ positions: [{ topic: 'orders', partition: 0, offset }] });
      const stored = (): Promise<string | null> => redis.hget('millrace:{app/positions/0}:d0', '\0p');
      await store.commit(commitOf(0, 0, 3, { a: '1' }, positionsAt(5)));
      expect(await store.commit(commitOf(0, 3, 3, {}, positionsAt(6)))).toEqual({ verdict: 'replay' });
      expect(await stored()).toBe('{"orders-0":6}');
      await store.commit(commitOf(0, 2, 2, {}, positionsAt(7)));
      expect(await store.commit(commitOf(0, 4, 4, {}, positionsAt(8)))).toEqual({ verdict: 'gap', nextOffset: 3 });
      expect(await stored()).toBe('{"orders-0":6}');
      expect(await read(store, keyAt('a'))).toBe('it stands at 3, its owner left it at 4');
    });

    it('of more than 5,000 changes is cut into ranges of the changelog, and none is lost', async () => {
      const store = await fresh(await backend.openStore(specOf('large')));
      await redis.config('RESETSTAT');
      const changes = Object.fromEntries(Array.from({ length: 12_001 }, (_, i) => [`k${i}`, `${i}`]));
      expect(await store.commit(commitOf(0, 0, 12_001, changes))).toEqual({ verdict: 'applied' });
      expect(/cmdstat_evalsha:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1]).toBe('3');
      expect(await read(store, keyAt('k0'), keyAt('k4999'), keyAt('k5000'), keyAt('k12000'))).toEqual([
        '0',
        '4999',
        '5000',
        '12000',
      ]);
      expect(await redis.hlen('millrace:{app/large/0}:d0')).toBe(12_001 + 7); // marks i, o, c, e, t, m, u
      const gone = Object.fromEntries(Array.from({ length: 12_001 }, (_, i) => [`k${i}`, null]));
      expect(await store.commit(commitOf(0, 12_001, 24_002, gone))).toEqual({ verdict: 'applied' });
      expect(await redis.hlen('millrace:{app/large/0}:d0')).toBe(7);
    });

    it('of a replay may hold a key several times: the last write counts', async () => {
      const store = await fresh(await backend.openStore(specOf('repeated')));
      const writes = [...writesOf({ a: '1', b: null }), ...writesOf({ a: null, b: '2' }), ...writesOf({ c: '3' })];
      const offsets = writes.map((_, i) => i);
      await store.commit(commitOf(0, 0, 5, {}, { writes, offsets }));
      expect(await scanned(store)).toEqual({ '0/b': '2', '0/c': '3' });
    });

    it('that was cut in the middle is gone on with from where it stands', async () => {
      const store = await fresh(await backend.openStore(specOf('cut')));
      await store.commit(commitOf(0, 0, 2, { a: '1', b: '1' }));
      const successor = await backend.openStore(specOf('cut'));
      expect(await successor.claim(claimOf(9))).toMatchObject({ nextOffset: 2 });
      // The predecessor's commit was [0, 4): its rest comes from the changelog, cut elsewhere.
      expect(await successor.commit(commitOf(9, 1, 4, { b: '1', c: '1', d: '1' }))).toEqual({ verdict: 'applied' });
      expect(await scanned(successor)).toEqual({ '0/a': '1', '0/b': '1', '0/c': '1', '0/d': '1' });
    });

    it('whose reply was lost is sent again, and applied once', async () => {
      await using proxy = await startTcpProxy(server.port);
      const through = redisBackend({ url: `redis://127.0.0.1:${proxy.port}` }) as StateStoreBackend;
      try {
        const store = await fresh(await through.openStore(specOf('lost-reply')));
        const lost = proxy.cutNextReply();
        const answer = store.commit(commitOf(0, 0, 1, { a: '1' }));
        await lost;
        expect(await answer).toEqual({ verdict: 'replay' });
        expect(await read(store, keyAt('a'))).toEqual(['1']);
        expect(await store.commit(commitOf(0, 1, 2, { a: '2' }))).toEqual({ verdict: 'applied' });
      } finally {
        await through.close();
      }
    });
  });

  it('whose server has forgotten the scripts gives no old value for a new one', async () => {
    const store = await fresh(await backend.openStore(specOf('script-flush')));
    await store.commit(commitOf(0, 0, 1, { a: '1' }));
    for (let n = 2; n < 10; n++) {
      await redis.script('FLUSH');
      // The commit is refused, and its source sent behind the read: which sees the old value under the old mark.
      const commit = store.commit(commitOf(0, n - 1, n, { a: `${n}` }));
      expect(await read(store, keyAt('a'))).toEqual([`${n}`]);
      expect(await commit).toEqual({ verdict: 'applied' });
    }
  });

  it('is read when a commit that Redis has refused for now has got through, and is not taken for lost before', async () => {
    await using own = await startRedis();
    const ownRedis = new Redis(own.url);
    const ownBackend = redisBackend({ url: own.url }) as StateStoreBackend;
    try {
      const store = await fresh(await ownBackend.openStore(specOf('full')));
      await store.commit(commitOf(0, 0, 1, { a: '1' }));
      await ownRedis.config('SET', 'maxmemory', '1');
      const commit = store.commit(commitOf(0, 1, 2, { a: '2' }));
      let isRead = false;
      const reading = read(store, keyAt('a')).finally(() => (isRead = true));
      for (let i = 0; i < 100; i++) await ownRedis.ping(); // in which the first read is answered, with the old marks
      expect(isRead).toBe(false);
      await ownRedis.config('SET', 'maxmemory', '0');
      expect(await commit).toEqual({ verdict: 'applied' });
      expect(await reading).toEqual(['2']);
    } finally {
      ownRedis.disconnect();
      await ownBackend.close();
    }
  });

  it('is lost, not stale, after FLUSHALL: for reads, commits and claims alike', async () => {
    const store = await fresh(await backend.openStore(specOf('flushed')));
    await store.commit(commitOf(0, 0, 1, { a: '1' }));
    await redis.flushall();
    expect(await read(store, keyAt('a'))).toBe('its data is gone');
    expect(await store.commit(commitOf(0, 1, 2, { b: '2' }))).toMatchObject({ verdict: 'lost' });
    expect(await store.claim(claimOf(0))).toEqual({ verdict: 'lost', reason: 'there is nothing' });
    await store.reset(0);
    expect(await redis.hkeys('millrace:app:stores')).toEqual(['flushed']); // readers find it again
    expect(await store.commit(commitOf(0, 0, 2, { a: '1', b: '2' }))).toEqual({ verdict: 'applied' });
    expect(await read(store, keyAt('a'), keyAt('b'))).toEqual(['1', '2']);
  });

  it.each(['keyValue', 'window'] as const)('asked for nothing says whether its data (%s) is there', async (kind) => {
    const store = await fresh(await backend.openStore(specOf(`asked-${kind}`, { kind })));
    await store.commit(commitOf(0, 0, 1, { a: '1' }));
    expect(await store.prefetch([], [])).toEqual({ verdict: 'current', values: [], windows: [] });
    await redis.flushall();
    expect(await store.prefetch([], [])).toEqual({ verdict: 'stale', reason: 'its data is gone' });
  });

  it('is lost after a restart without persistence', async () => {
    await using own = await startRedis();
    const ownBackend = redisBackend({ url: own.url }) as StateStoreBackend;
    try {
      const store = await fresh(await ownBackend.openStore(specOf('restarted')));
      await store.commit(commitOf(0, 0, 1, { a: '1' }));
      await own.restart();
      expect(await store.commit(commitOf(0, 1, 2, { a: '2' }))).toMatchObject({ verdict: 'lost' });
    } finally {
      await ownBackend.close();
    }
  });

  it('that fell behind, as after a failover to a replica that lags, is noticed before anything is read from it', async () => {
    const store = await fresh(await backend.openStore(specOf('lagging')));
    await store.commit(commitOf(0, 0, 5, { a: 'old' }));
    const replica = await redis.dumpBuffer('millrace:{app/lagging/0}:d0');
    await store.commit(commitOf(0, 5, 8, { a: 'new' }));
    await redis.restore('millrace:{app/lagging/0}:d0', 0, replica, 'REPLACE');
    expect(await read(store, keyAt('a'))).toBe('it stands at 5, its owner left it at 8');
    expect(await store.commit(commitOf(0, 8, 9, { b: '1' }))).toEqual({ verdict: 'gap', nextOffset: 5 });
    expect(await store.claim(claimOf(0))).toMatchObject({ verdict: 'claimed', nextOffset: 5 });
    expect(await store.commit(commitOf(0, 5, 9, { a: 'new', b: '1' }))).toEqual({ verdict: 'applied' });
    expect(await read(store, keyAt('a'), keyAt('b'))).toEqual(['new', '1']);
  });

  it('refuses a zombie: its commits, its claims, and what it would read', async () => {
    const zombie = await fresh(await backend.openStore(specOf('zombie')));
    await zombie.commit(commitOf(0, 0, 1, { a: '1' }));
    const owner = await backend.openStore(specOf('zombie'));
    await owner.claim(claimOf(2));
    expect(await zombie.commit(commitOf(0, 1, 2, { a: 'wrong' }))).toEqual({ verdict: 'fenced', epoch: 2 });
    await owner.commit(commitOf(2, 1, 4, { a: '2' }));
    expect(await read(zombie, keyAt('a'))).toBe('it stands at 4, its owner left it at 2');
    expect(await zombie.claim(claimOf(0))).toEqual({ verdict: 'fenced', epoch: 2 });
    await expect(zombie.reset(0)).rejects.toMatchObject({ code: 'FENCED', context: { epoch: 0, storedEpoch: 2 } });
    expect(await read(owner, keyAt('a'))).toEqual(['2']);
  });

  describe('a claim', () => {
    let claimed = 0;
    /** A store at offset 10, last moved at 1000, by an owner of epoch 3. */
    const left = async (): Promise<BackendStore> => {
      const spec = specOf(`claim-${claimed++}`);
      const store = await backend.openStore(spec);
      await store.claim(claimOf(3));
      await store.reset(3);
      await store.commit(commitOf(3, 0, 10, { a: '1' }, { timestampMs: 1000 }));
      return store;
    };

    it('by a barrier that was written after that of a later epoch was seen, and lies before it, finds the log cut short', async () => {
      const spec = specOf('claim-truncated');
      const store = await backend.openStore(spec);
      await store.claim(claimOf(100));
      await store.reset(100);
      await store.commit(commitOf(100, 0, 110, { a: '1' }));
      // The broker was brought back from a backup: its log goes on at 50, of the same topic.
      const first = await backend.openStore(spec);
      const second = await backend.openStore(spec);
      expect(await first.claim(claimOf(50))).toEqual({ verdict: 'fenced', epoch: 100 });
      // Its barrier may be older than that of epoch 100: it proves nothing.
      expect(await second.claim(claimOf(52))).toEqual({ verdict: 'fenced', epoch: 100 });
      const third = await backend.openStore(spec);
      expect(await third.claim(claimOf(54))).toMatchObject({ verdict: 'lost' });
      await third.reset(54);
      await third.commit(commitOf(54, 0, 55, { a: '2' }));
      expect(await read(third, keyAt('a'))).toEqual(['2']);
      const other = redisBackend({ url: server.url }) as StateStoreBackend;
      const ofAnother = await other.openStore(spec);
      await ofAnother.claim(claimOf(60));
      expect(await third.claim(claimOf(54))).toEqual({ verdict: 'fenced', epoch: 60 });
      await expect(third.reset(54)).rejects.toMatchObject({ code: 'FENCED' });
      await other.close();
    });

    it('refuses what is of another changelog', async () => {
      const answer = await (await left()).claim(claimOf(3, { changelogTopicId: 'topic-2' }));
      expect(answer).toMatchObject({ verdict: 'lost', reason: expect.stringContaining('another changelog') });
    });

    it.each([
      [9, 'lost'],
      [10, 'claimed'],
    ])('of a changelog that ends at %i finds a store at 10 %s', async (changelogEndOffset, verdict) => {
      expect(await (await left()).claim(claimOf(4, { changelogEndOffset }))).toMatchObject({ verdict });
    });

    it.each([
      [10, 'claimed'],
      [11, 'lost'],
    ])('of a changelog that begins at %i finds a store at 10 %s', async (changelogStartOffset, verdict) => {
      expect(await (await left()).claim(claimOf(20, { changelogStartOffset }))).toMatchObject({ verdict });
    });

    it.each([
      [2000, 11, 'claimed'], // 1,000 ms: as long as tombstones are kept
      [2001, 11, 'lost'],
      [2001, 10, 'claimed'], // nothing was missed
    ])('at time %i to replay up to %i finds a store at 10, of time 1000, %s', async (nowMs, end, verdict) => {
      const times = { nowMs, deleteRetentionMs: 1000 };
      // By the next owner, and by one that has long been there.
      for (const epoch of [end, 3]) {
        const answer = await (await left()).claim(claimOf(epoch, { ...times, changelogEndOffset: end }));
        expect(answer).toMatchObject({ verdict });
      }
    });
  });

  it('tells readers that it is being rebuilt until the end of the changelog at its claim is reached', async () => {
    const store = await backend.openStore(specOf('building'));
    await store.claim(claimOf(5, { changelogStartOffset: 2, changelogEndOffset: 5 }));
    await store.reset(5);
    const building = (): Promise<string | null> => redis.hget('millrace:{app/building/0}:d0', '\0s');
    expect(await building()).toBe('building:5');
    await store.commit(commitOf(5, 2, 4, { a: '1' }));
    expect(await building()).toBe('building:5');
    await store.commit(commitOf(5, 4, 5, { b: '1' }));
    expect(await building()).toBeNull();

    // Its owner has gone far beyond its barrier when the data is lost: the rebuild is as far.
    await redis.flushall();
    await store.claim(claimOf(5, { changelogStartOffset: 2, changelogEndOffset: 20 }));
    await store.reset(5);
    await store.commit(commitOf(5, 2, 6, { a: '1' }));
    expect(await building()).toBe('building:20');
    const successor = await backend.openStore(specOf('building'));
    await successor.claim(claimOf(21, { changelogStartOffset: 2, changelogEndOffset: 21 }));
    await successor.commit(commitOf(21, 6, 19, { b: '1' }));
    expect(await building()).toBe('building:20');
    await successor.commit(commitOf(21, 19, 21, { c: '1' }));
    expect(await building()).toBeNull();
  });

  it('is being rebuilt until the last of the pieces that a commit was cut into', async () => {
    const store = await backend.openStore(specOf('building-large'));
    await store.claim(claimOf(0, { changelogEndOffset: 5001 }));
    await store.reset(0);
    await using watched = await watchBuilding(server.url);
    const changes = Object.fromEntries(Array.from({ length: 5001 }, (_, i) => [`k${i}`, `${i}`]));
    await store.commit(commitOf(0, 0, 5001, changes));
    expect(await watched.marks(2)).toEqual(['building:5001', '']);
  });

  it('tells who scans it that it was lost or replaced meanwhile', async () => {
    const stale = { code: 'STORE_STALE', retriable: true };
    const store = await fresh(await backend.openStore(specOf('scan-flushed')));
    await store.commit(commitOf(0, 0, 1, { a: '1' }));
    const windowed = await fresh(await backend.openStore(specOf('scan-windows', { kind: 'window', windowMs: 1000 })));
    await windowed.commit(commitOf(0, 0, 2, { '0/a': '1', '1000/a': '1' }));
    await redis.del('millrace:{app/scan-windows/0}:w1');
    await expect(scanned(windowed)).rejects.toMatchObject(stale);
    await redis.flushall();
    await expect(scanned(store)).rejects.toMatchObject(stale);
    await expect(scanned(windowed)).rejects.toMatchObject(stale);
  });

  it('takes no more than 8 MiB of changes in a script, but one change whatever its size', async () => {
    const store = await fresh(await backend.openStore(specOf('heavy')));
    const valueOf = (mebibytes: number): string => 'x'.repeat(mebibytes * 1024 * 1024);
    await redis.config('RESETSTAT');
    const changes = { a: valueOf(3), b: valueOf(4), c: valueOf(2), d: valueOf(9), e: '1' };
    expect(await store.commit(commitOf(0, 0, 5, changes))).toEqual({ verdict: 'applied' });
    expect(/cmdstat_evalsha:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1]).toBe('4'); // a b, c, d, e
    expect(await read(store, ...Object.keys(changes).map((key) => keyAt(key)))).toEqual(Object.values(changes));
  });

  it('waits while Redis is out of memory, and goes on in order', async () => {
    await using own = await startRedis({ 'maxmemory-policy': 'noeviction' });
    const warned: string[] = [];
    let onWarning: (() => void) | undefined;
    const logger = {
      debug() {},
      info() {},
      error() {},
      warn(_: object, message: string) {
        warned.push(message);
        onWarning?.();
      },
    };
    const ownBackend = redisBackend({ url: own.url, logger }) as StateStoreBackend;
    const direct = new Redis(own.url);
    try {
      const store = await fresh(await ownBackend.openStore(specOf('oom')));
      const refused = new Promise<void>((resolve) => void (onWarning = resolve));
      await direct.config('SET', 'maxmemory', 1); // less than it uses: every write is refused
      const commits = [store.commit(commitOf(0, 0, 1, { a: '1' })), store.commit(commitOf(0, 1, 2, { a: '2' }))];
      await refused;
      expect(await direct.hget('millrace:{app/oom/0}:d0', 'a')).toBeNull();
      await direct.config('SET', 'maxmemory', 0);
      expect(await Promise.all(commits)).toEqual([{ verdict: 'applied' }, { verdict: 'applied' }]);
      expect(await read(store, keyAt('a'))).toEqual(['2']);
      expect(warned).toContain('Redis refused a commit for now');
    } finally {
      direct.disconnect();
      await ownBackend.close();
    }
  });

  it('waits while Redis takes no writes, as it cannot save', async () => {
    // `stop-writes-on-bgsave-error` is Redis's default: a full disk refuses every write until there is room.
    await using own = await startRedis({ save: '3600 1', dbfilename: 'dump.rdb' });
    const ownBackend = redisBackend({ url: own.url }) as StateStoreBackend;
    const direct = new Redis(own.url);
    try {
      const store = await fresh(await ownBackend.openStore(specOf('misconf')));
      await breakSaving(direct);
      const commit = store.commit(commitOf(0, 0, 1, { a: '1' }));
      const claimed = store.claim(claimOf(0));
      const opened = ownBackend.openStore(specOf('misconf-opened'));
      expect(await Promise.race([commit, claimed, opened, direct.info('server').then(() => 'refused')])).toBe(
        'refused',
      );
      await direct.config('SET', 'stop-writes-on-bgsave-error', 'no');
      expect(await commit).toEqual({ verdict: 'applied' });
      expect(await claimed).toMatchObject({ nextOffset: 1 });
      await opened;
    } finally {
      direct.disconnect();
      await ownBackend.close();
    }
  });

  it.each([
    ['allkeys-lru', EvictionEnabledError.name],
    ['allkeys-random', EvictionEnabledError.name],
    ['volatile-lru', 'opened'],
    ['noeviction', 'opened'],
  ])('under maxmemory-policy %s gives: %s', async (policy, expected) => {
    await using own = await startRedis({ 'maxmemory-policy': policy });
    const ownBackend = redisBackend({ url: own.url }) as StateStoreBackend;
    try {
      const outcome = await ownBackend.openStore(specOf('policy')).then(
        () => 'opened',
        (error: Error) => error.name,
      );
      expect(outcome).toBe(expected);
    } finally {
      await ownBackend.close();
    }
  });

  describe('of windows', () => {
    const windows = (name: string): Promise<BackendStore> =>
      backend.openStore(specOf(name, { kind: 'window', windowMs: 1000 }));

    it('reads entries and whole windows', async () => {
      const store = await fresh(await windows('windows'));
      await store.commit(commitOf(0, 0, 4, { '0/a': '1', '500/a': '2', '1000/a': '3', '1000/b': '4' }));
      expect(
        await read(store, keyAt('a', 0), keyAt('a', 500), keyAt('b', 500), keyAt('b', 1000), keyAt('a', 9000)),
      ).toEqual(['1', '2', null, '4', null]);
      const answer = await store.prefetch([], [500, 1000, 2000]);
      expect(answer.verdict === 'current' && answer.windows.map((entries) => entries.map(shown).toSorted())).toEqual([
        ['500/a=2'],
        ['1000/a=3', '1000/b=4'],
        [],
      ]);
      expect(await scanned(store)).toEqual({ '0/a': '1', '500/a': '2', '1000/a': '3', '1000/b': '4' });
    });

    it('forgets windows that begin before the expiry, to the millisecond, and their hashes once empty', async () => {
      const store = await fresh(await windows('expiry'));
      await store.commit(commitOf(0, 0, 4, { '0/a': '1', '1499/a': '2', '1500/a': '3', '2000/a': '4' }));
      await store.commit(commitOf(0, 4, 5, {}, { expireBeforeMs: 1500 }));
      expect(await scanned(store)).toEqual({ '1500/a': '3', '2000/a': '4' });
      expect(await read(store, keyAt('a', 0), keyAt('a', 1499), keyAt('a', 1500))).toEqual([null, null, '3']);
      expect(await redis.keys('millrace:{app/expiry/0}:*')).toHaveLength(3); // main, 1000 to 1999, 2000 to 2999

      const next = await windows('expiry');
      await next.claim(claimOf(6));
      expect(await scanned(next)).toEqual({ '1500/a': '3', '2000/a': '4' });
      await next.commit(commitOf(6, 5, 7, { '1499/a': 'late', '1500/a': '5' }, { expireBeforeMs: 1500 }));
      expect(await scanned(next)).toEqual({ '1500/a': '5', '2000/a': '4' });
    });

    it('notices that one hash of several is gone', async () => {
      const store = await fresh(await windows('partly-gone'));
      await store.commit(commitOf(0, 0, 2, { '0/a': '1', '1000/a': '2' }));
      await redis.del('millrace:{app/partly-gone/0}:w1');
      expect(await read(store, keyAt('a', 0))).toEqual(['1']);
      expect(await read(store, keyAt('a', 1000))).toBe('its data is gone');
      const whole = await store.prefetch([], [1000]);
      expect(whole).toEqual({ verdict: 'stale', reason: 'its data is gone' });
      expect(await store.commit(commitOf(0, 2, 3, { '1000/b': '1' }))).toMatchObject({ verdict: 'lost' });
      expect(await store.claim(claimOf(0))).toEqual({ verdict: 'lost', reason: 'its segment 1 is gone' });
      await store.reset(0);
      expect(await redis.keys('millrace:{app/partly-gone/0}:*')).toEqual(['millrace:{app/partly-gone/0}:d0']);
    });

    it('keeps nothing of a hash that outlived the main one', async () => {
      const store = await fresh(await windows('main-gone'));
      await store.commit(commitOf(0, 0, 2, { '0/a': '1', '0/old': '2' }));
      await redis.del('millrace:{app/main-gone/0}:d0');
      expect(await store.claim(claimOf(0))).toMatchObject({ verdict: 'lost' });
      await store.reset(0);
      await store.commit(commitOf(0, 0, 3, { '0/a': '3' }));
      expect(await scanned(store)).toEqual({ '0/a': '3' });
    });

    it('takes a commit that is sent again although a later one has expired what it touched', async () => {
      await using proxy = await startTcpProxy(server.port);
      const through = redisBackend({ url: `redis://127.0.0.1:${proxy.port}` }) as StateStoreBackend;
      try {
        const store = await fresh(await through.openStore(specOf('resent', { kind: 'window', windowMs: 1000 })));
        await store.commit(commitOf(0, 0, 1, { '0/a': '1' }));
        const lost = proxy.cutNextReply();
        const commits = [
          store.commit(commitOf(0, 1, 2, { '0/a': '2' })),
          store.commit(commitOf(0, 2, 3, { '1000/a': '3' }, { expireBeforeMs: 1000 })),
        ];
        await lost;
        expect((await Promise.all(commits)).map(({ verdict }) => verdict)).not.toContain('lost');
        expect(await scanned(store)).toEqual({ '1000/a': '3' });
      } finally {
        await through.close();
      }
    });
  });
});

/** The building marks that commits bring from now on: '' takes it away. */
async function watchBuilding(url: string): Promise<AsyncDisposable & { marks(count: number): Promise<string[]> }> {
  const redis = new Redis(url);
  const monitor = await redis.monitor();
  const marks: string[] = [];
  let onMark: (() => void) | undefined;
  monitor.on('monitor', (_time: string, args: string[]) => {
    const keyCount = Number(args[2]);
    if (args[0]?.toLowerCase() !== 'evalsha') return;
    marks.push(args[2 + keyCount + 9]!);
    onMark?.();
  });
  return {
    async marks(count) {
      while (marks.length < count) await new Promise<void>((resolve) => void (onMark = resolve));
      return marks;
    },
    [Symbol.asyncDispose]() {
      monitor.disconnect();
      redis.disconnect();
      return Promise.resolve();
    },
  };
}

function shown({ startMs, key, value }: StoreKey & StoredValue): string {
  return `${startMs}/${Buffer.from(key).toString()}=${Buffer.from(value).toString()}`;
}

async function scanned(store: BackendStore): Promise<Record<string, string>> {
  const entries: Record<string, string> = {};
  await store.scan(({ startMs, key, value }) => {
    entries[`${startMs}/${Buffer.from(key).toString()}`] = Buffer.from(value).toString();
  });
  return entries;
}

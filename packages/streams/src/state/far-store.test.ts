import assert from 'node:assert/strict';
import { int64, json, nullable, string, topic, windowed } from '@millrace/serde';
import { VirtualClock } from '@millrace/platform/simulated';
import { describe, expect, it } from 'vitest';
import { StreamsBuilder, tumbling, type Topology } from '../index.ts';
import { planOf } from '../plan/topology.ts';
import { createTask, type Task } from '../task/task.ts';
import { controlKey, controlKindOf, startOfChangelogKey, windowedChangelogKey } from './index.ts';
import type { BackendStore, PrefetchAnswer, StoreCommit, StoredValue, StoreKey } from './index.ts';

/** A store in another process, as it looks from here: every read is a round trip. */
class FarStore implements BackendStore {
  readonly isSynchronous = false;
  readonly entries = new Map<string, StoreKey & StoredValue>();
  readonly prefetches: number[] = [];
  isStale = false;

  claim(): Promise<never> {
    return Promise.reject(new Error('the runtime claims'));
  }
  reset(): Promise<void> {
    this.entries.clear();
    return Promise.resolve();
  }
  get(): never {
    throw new Error('it is far');
  }
  prefetch(keys: readonly StoreKey[], windowStarts: readonly number[]): Promise<PrefetchAnswer> {
    this.prefetches.push(keys.length);
    if (this.isStale) return Promise.resolve({ verdict: 'stale', reason: 'test' });
    const values = keys.map((key) => this.entries.get(idOf(key)) ?? null);
    const windows = windowStarts.map((startMs) =>
      [...this.entries.values()].filter((entry) => entry.startMs === startMs),
    );
    return Promise.resolve({ verdict: 'current', values, windows });
  }
  scan(visit: (entry: StoreKey & StoredValue) => void): Promise<void> {
    this.entries.forEach(visit);
    return Promise.resolve();
  }
  commit(batch: StoreCommit): Promise<{ verdict: 'applied' }> {
    for (const { startMs, key, value, timestampMs } of batch.writes) {
      if (value === null) this.entries.delete(idOf({ startMs, key }));
      else this.entries.set(idOf({ startMs, key }), { startMs, key, value, timestampMs });
    }
    return Promise.resolve({ verdict: 'applied' });
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}
const idOf = ({ startMs, key }: StoreKey): string => `${startMs} ${Buffer.from(key).toString('hex')}`;

const input = topic('input', { key: string, value: json<any>() });
const output = topic('output', { key: string, value: json<any>() });

type Row = readonly [key: string | null, value: unknown, timestampMs: number];

/** Tasks of one sub-topology over one far store for each of its stores, one life after the other. */
class Life {
  readonly stores = new Map<string, FarStore>();
  readonly sent: { topic: string; key: string; value: unknown }[] = [];
  /** What the changelogs hold once they are compacted, by key as latin1. */
  readonly logged = new Map<string, unknown>();
  readonly topology: Topology;
  task!: Task;
  #offset = 0;
  #streamTimes = new Map<string, number>();

  constructor(topology: Topology) {
    this.topology = topology;
  }

  async begin(): Promise<void> {
    this.task = createTask(
      planOf(this.topology),
      { subtopology: 0, partition: 0 },
      {
        applicationId: 'far',
        collector: {
          partitionCount: () => 1,
          send: (name, _partition, _time, key, value) => {
            const isLogged = name.endsWith('-changelog') && controlKindOf(key!) === undefined;
            if (isLogged) this.logged.set(Buffer.from(key!).toString('latin1'), value);
            if (!name.endsWith('-changelog'))
              this.sent.push({ topic: name, key: text(key), value: value === null ? null : JSON.parse(text(value)) });
          },
        },
        sink: () => {},
        globalStores: new Map(),
        clock: new VirtualClock(),
        onProgress: () => {},
      },
    );
    for (const store of this.task.stores) {
      const far = this.stores.get(store.plan.name) ?? new FarStore();
      this.stores.set(store.plan.name, far);
      store.attach(far, this.#streamTimes.get(store.plan.name) ?? -1);
      await store.open();
    }
    this.task.start(-1);
  }

  batch(...records: readonly Row[]): Promise<void> {
    return this.batchFrom(0, ...records);
  }

  /** @param source place in the sub-topology's sources */
  async batchFrom(source: number, ...records: readonly Row[]): Promise<void> {
    const inputs = records.map(([key, value, timestampMs]) => ({
      offset: this.#offset++,
      timestampMs,
      key: key === null ? null : Buffer.from(key),
      value: Buffer.from(JSON.stringify(value)),
      headers: [],
    }));
    for (const record of inputs) this.task.announce(source, 'input', record);
    assert.deepEqual(await this.task.prefetch(), { verdict: 'current' });
    for (const record of inputs) this.task.process(source, 'input', record);
  }

  async commit(): Promise<void> {
    this.task.flush();
    for (const store of this.task.stores) {
      const taken = store.takeCommit();
      this.#streamTimes.set(store.plan.name, taken.streamTimeMs);
      await this.stores
        .get(store.plan.name)!
        .commit({ ...taken, epoch: 1, prevOffset: 0, nextOffset: 1, offsets: [], positions: [], timestampMs: 0 });
      store.release(taken);
      store.evict(0);
    }
  }
}
const text = (bytes: Uint8Array | null): string => (bytes === null ? '' : Buffer.from(bytes).toString());

describe('a far store', () => {
  it('is asked once a batch, for what the cache has not, and goes on where it was', async () => {
    const builder = new StreamsBuilder('far');
    builder
      .stream(input)
      .filter(() => true)
      .groupByKey()
      .count({ name: 'n' })
      .to(output);
    const life = new Life(builder.build());
    await life.begin();
    expect(life.task.needsPrefetch).toBe(true);
    await life.batch(['a', 1, 0], ['b', 1, 0], ['a', 1, 0]);
    await life.batch(['a', 1, 0], ['c', 1, 0]);
    expect(life.stores.get('n')!.prefetches).toEqual([2, 1]);
    await life.commit();
    expect(life.task.stores[0]!.entryCount).toBe(3); // fetched lately: what they were fetched for may be yet to come
    await life.begin();
    await life.batch(['a', 1, 0]);
    await life.commit();
    expect(life.sent.map(({ key, value }) => [key, value])).toEqual([
      ['a', 3],
      ['b', 1],
      ['c', 1],
      ['a', 4],
    ]);
  });

  it('lets clean entries go when asked to, the longest unused first, and fetches them again', async () => {
    const builder = new StreamsBuilder('far');
    builder.stream(input).groupByKey().count({ name: 'n' }).to(output);
    const life = new Life(builder.build());
    await life.begin();
    const [store] = life.task.stores;
    await life.batch(['a', 1, 0], ['b', 1, 0]);
    for (let i = 0; i < 3; i++) {
      await life.commit();
      await life.batch(['c', 1, 0]);
    }
    await life.batch(['b', 1, 0]);
    expect(store!.entryCount).toBe(3);
    life.task.flush();
    const inFlight = store!.takeCommit();
    store!.evict(0);
    expect(store!.entryCount).toBe(2); // 'b' and 'c' are on their way to the backend
    store!.release(inFlight);
    await life.batch(['a', 1, 0]);
    await life.commit();
    expect(life.sent.filter(({ key }) => key === 'a').at(-1)?.value).toBe(2);
  });

  it('lets an eighth more go than it has to, and measures entries by what was read as by what was written', async () => {
    const builder = new StreamsBuilder('far');
    builder
      .stream(input)
      .groupByKey()
      .reduce((_, value) => value, { name: 'last' });
    const life = new Life(builder.build());
    await life.begin();
    const big = 'x'.repeat(100_000);
    for (let i = 0; i < 16; i++) await life.batch([`k${i}`, big, 0]);
    const [before] = life.task.stores;
    life.task.flush();
    const taken = before!.takeCommit();
    await life.stores
      .get('last')!
      .commit({ ...taken, epoch: 1, prevOffset: 0, nextOffset: 1, offsets: [], positions: [], timestampMs: 0 });
    before!.release(taken);
    for (let i = 0; i < 4; i++) {
      life.task.announce(0, 'input', { offset: 0, timestampMs: 0, key: Buffer.from('k0'), value: null, headers: [] });
      await life.task.prefetch();
    }
    const evicted = (limit: number): number => {
      before!.evict(limit);
      return before!.entryCount;
    };
    expect([evicted(16), evicted(8)]).toEqual([16, 7]);

    await life.begin();
    await life.batch(['k0', 'small', 0]);
    expect(life.task.stores[0]!.meanEntryBytes).toBeGreaterThan(400_000);
  });

  it('a key that was not fetched is an error, never a wrong answer', async () => {
    const builder = new StreamsBuilder('far');
    const names = builder.keyValueStore({ name: 'names', key: string, value: json<string>() });
    const asks = (keys: boolean) => ({
      name: keys ? 'declared' : 'undeclared',
      stores: { names },
      keys: keys ? (value: any) => ({ names: [value.of as string] }) : undefined,
      onRecord: (value: any, key: string, { stores }: any) => {
        stores.names.put(key, value.name);
        return [stores.names.get(value.of) ?? 'nobody'];
      },
    });
    builder
      .stream(input)
      .mapValues((v) => ({ ...v, of: v.friend }))
      .process(asks(true))
      .to(output);
    const life = new Life(builder.build());
    await life.begin();
    await life.batch(['a', { name: 'Ada', friend: 'b' }, 0], ['b', { name: 'Bob', friend: 'a' }, 0]);
    await life.commit();
    expect(life.sent.map(({ value }) => value)).toEqual(['nobody', 'Ada']);

    for (const onError of ['fail', 'skip', { deadLetter: 'dead' }, { retries: 1 }] as const) {
      const other = new StreamsBuilder('far', { onError });
      const store = other.keyValueStore({ name: 'names', key: string, value: json<string>() });
      other
        .stream(input)
        .process({ name: 'blind', stores: { store }, onRecord: (_v, _k, { stores }) => void stores.store.get('else') });
      const blind = new Life(other.build());
      await blind.begin();
      await expect(blind.batch(['a', 1, 0])).rejects.toMatchObject({ cause: { code: 'KEY_NOT_DECLARED' } });
    }
  });

  it('closes windows whose entries it has not in memory', async () => {
    const builder = new StreamsBuilder('far');
    const out = topic('output', { key: windowed(string, { sizeMs: 10 }), value: json<number>() });
    builder
      .stream(input)
      .groupByKey()
      .windowedBy(tumbling({ sizeMs: 10, graceMs: 0 }))
      .count({ name: 'n' })
      .final()
      .to(out);
    const life = new Life(builder.build());
    await life.begin();
    await life.batch(['a', 1, 0], ['b', 1, 5]);
    await life.commit();
    await life.begin();
    await life.batch(['c', 1, 10]);
    expect(life.sent.map(({ key, value }) => [key.slice(0, 1), value])).toEqual([
      ['a', 1],
      ['b', 1],
    ]);
  });

  it('deletes windows in the changelog when retention takes them, whose entries it has not in memory', async () => {
    const builder = new StreamsBuilder('far');
    builder
      .stream(input)
      .groupByKey()
      .windowedBy(tumbling({ sizeMs: 10, graceMs: 0 }))
      .count({ name: 'n', retentionMs: 10 });
    const life = new Life(builder.build());
    await life.begin();
    await life.batch(['a', 1, 0], ['b', 1, 5], ['a', 1, 15]);
    await life.commit();
    await life.begin();
    const held = (): string[] =>
      [...life.logged]
        .filter(([, value]) => value !== null)
        .map(([key]) => `${key.slice(0, 1)}@${startOfChangelogKey(Buffer.from(key, 'latin1'))}`);
    await life.batch(['c', 1, 19]);
    await life.commit();
    expect(held()).toEqual(['a@0', 'b@0', 'a@10', 'c@10']);
    await life.batch(['c', 1, 20]);
    await life.commit();
    expect(held()).toEqual(['a@10', 'c@10', 'c@20']);
  });

  it('finds its timers again, and fetches what they read', async () => {
    const builder = new StreamsBuilder('far');
    const words = builder.keyValueStore({ name: 'words', key: string, value: json<string>() });
    builder
      .stream(input)
      .process({
        name: 'p',
        stores: { words },
        onRecord(word: string, key, { stores, timers, timestampMs }) {
          stores.words.put(key, word);
          timers.set('t', { atMs: timestampMs + 10 });
        },
        onTimer: (_timer, key, { stores }) => [stores.words.get(key) ?? 'nothing'],
      })
      .to(output);
    const life = new Life(builder.build());
    await life.begin();
    await life.batch(['a', 'hello', 0]);
    await life.commit();
    await life.begin();
    await life.batch(['b', 'x', 10]);
    expect(life.sent.map(({ key, value }) => [key, value])).toEqual([['a', 'hello']]);
  });

  it('a record that waits for a match knows of the one it gets after its buffer was written back and the cache emptied', async () => {
    const builder = new StreamsBuilder('far');
    const other = topic('other', { key: string, value: json<any>() });
    builder
      .stream(input)
      .leftJoin(builder.stream(other), (left, right) => `${left}+${right ?? '-'}`, {
        name: 'pairs',
        beforeMs: 10,
        afterMs: 10,
        graceMs: 0,
      })
      .to(output);
    const life = new Life(builder.build());
    await life.begin();
    await life.batch(['a', 'left', 0]);
    for (let i = 0; i < 5; i++) {
      await life.commit();
      await life.batch(['b', 'x', 1]);
    }
    await life.batchFrom(1, ['a', 'right', 5]);
    await life.commit();
    await life.batch(['c', 'late enough', 100]);
    expect(life.sent.filter(({ key }) => key === 'a').map(({ value }) => value)).toEqual(['left+right']);
  });

  it('an entry outlives the age of an older value of its key, though the cache was emptied in between', async () => {
    const builder = new StreamsBuilder('far');
    builder
      .stream(input)
      .groupByKey()
      .reduce((_, value) => value, { name: 'last', ttlMs: 100 })
      .to(output);
    const life = new Life(builder.build());
    await life.begin();
    await life.batch(['a', 'old', 0]);
    for (let i = 0; i < 5; i++) {
      await life.commit();
      await life.batch(['b', i, 1]);
    }
    await life.batch(['a', 'new', 90]);
    await life.commit();
    await life.batch(['c', 1, 120]);
    await life.commit();
    expect(life.sent.filter(({ key }) => key === 'a').map(({ value }) => value)).toEqual(['old', 'new']);
  });

  it('closes idle windows whose entries it has not in memory', async () => {
    const builder = new StreamsBuilder('far');
    const out = topic('output', { key: windowed(string, { sizeMs: 10 }), value: json<number>() });
    builder
      .stream(input)
      .groupByKey()
      .windowedBy(tumbling({ sizeMs: 10, graceMs: 0, idleCloseMs: 1000 }))
      .count({ name: 'n' })
      .final()
      .to(out);
    const life = new Life(builder.build());
    await life.begin();
    await life.batch(['a', 1, 0], ['b', 1, 5]);
    await life.commit();
    await life.begin();
    life.task.announceIdle(1000);
    expect(await life.task.prefetch()).toEqual({ verdict: 'current' });
    life.task.closeIdle(1000);
    expect(life.sent.map(({ key, value }) => [key.slice(0, 1), value])).toEqual([
      ['a', 1],
      ['b', 1],
    ]);
  });

  it('fetches for the timers that a record without a key makes due', async () => {
    const builder = new StreamsBuilder('far');
    const words = builder.keyValueStore({ name: 'words', key: string, value: json<string>() });
    builder
      .stream(topic('input', { key: nullable(string), value: json<string>() }))
      .process({
        name: 'p',
        stores: { words },
        onRecord(word, key, { stores, timers, timestampMs }) {
          stores.words.put(key!, word);
          timers.set('t', { atMs: timestampMs + 10 });
        },
        onTimer: (_timer, key, { stores }) => [stores.words.get(key!) ?? 'nothing'],
      })
      .to(topic('output', { key: nullable(string), value: json<string>() }));
    const life = new Life(builder.build());
    await life.begin();
    await life.batch(['a', 'hello', 0]);
    for (let i = 0; i < 5; i++) {
      await life.commit();
      await life.batch(['b', 'x', 1]);
    }
    await life.batch([null, 'nobody', 10]);
    expect(life.sent.map(({ key, value }) => [key, value])).toEqual([['a', 'hello']]);
  });

  it("asks for a record's key in the encoding of each store, and not where it can be none", async () => {
    const builder = new StreamsBuilder('far');
    const byId = builder.keyValueStore({ name: 'by-id', key: int64, value: json<string>() });
    const seen = builder.keyValueStore({ name: 'seen', key: json<string>(), value: json<number>() });
    builder
      .stream(input)
      .process({
        name: 'p',
        stores: { byId, seen },
        keys: (value: any) => ({ byId: [value.id as number] }),
        onRecord(value: any, key, { stores }) {
          const before = stores.byId.get(value.id as number) ?? '-';
          stores.byId.put(value.id as number, key);
          const count = (stores.seen.get(key) ?? 0) + 1;
          stores.seen.put(key, count);
          return [`${before} ${count}`];
        },
      })
      .to(output);
    const life = new Life(builder.build());
    await life.begin();
    await life.batch(['12345678', { id: 7 }, 0]);
    await life.commit();
    await life.begin();
    await life.batch(['12345678', { id: 7 }, 0]);
    expect(life.sent.map(({ value }) => value)).toEqual(['- 1', '12345678 2']);
  });

  it('that is behind is told, and what was announced is forgotten', async () => {
    const builder = new StreamsBuilder('far');
    builder.stream(input).groupByKey().count({ name: 'n' });
    const life = new Life(builder.build());
    await life.begin();
    life.stores.get('n')!.isStale = true;
    life.task.announce(0, 'input', {
      offset: 0,
      timestampMs: 0,
      key: Buffer.from('a'),
      value: Buffer.from('1'),
      headers: [],
    });
    expect(await life.task.prefetch()).toEqual({ verdict: 'stale', store: life.task.stores[0] });
    expect(await life.task.prefetch()).toEqual({ verdict: 'current' });
  });
});

describe('a changelog', () => {
  it('has keys with the start of their window, as Kafka Streams writes them', () => {
    const key = windowedChangelogKey(Buffer.from('ab'), 2 ** 40 + 1);
    expect(Buffer.from(key).toString('hex')).toBe('6162' + '0000010000000001');
    expect(startOfChangelogKey(key)).toBe(2 ** 40 + 1);
  });

  it.each(['barrier', 'time'] as const)('knows its %s records from entries', (kind) => {
    expect(controlKindOf(controlKey(kind))).toBe(kind);
    expect(controlKindOf(new Uint8Array([...controlKey(kind), 0]))).toBeUndefined();
    expect(controlKindOf(controlKey(kind).subarray(1))).toBeUndefined();
  });

  it('takes no text, number or UUID for one', () => {
    for (const key of ['', 'barrier', 'ÿÿmillrace:barrier']) expect(controlKindOf(Buffer.from(key))).toBeUndefined();
    expect(controlKindOf(new Uint8Array(8).fill(255))).toBeUndefined();
  });
});

import { firstValueFrom, take, toArray } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { Broker } from '@millrace/broker';
import { Client } from '@millrace/client';
import { isMillraceError, MillraceError } from '@millrace/platform';
import { int64, json, string, topic, type Topic } from '@millrace/serde';
import { deadLetterOf, deadLetters } from '../dead-letters.ts';
import { StreamsBuilder } from '../dsl/builder.ts';
import { tumbling } from '../dsl/windows.ts';
import { SinkBusyError, type Sink, type SinkBatch } from '../sink.ts';
import { Streams, type StreamsOptions, type StreamsState } from './app.ts';
import type { RestoreProgress } from './restore.ts';

const orders = topic('orders', { key: string, value: json<{ cents: number }>(), numPartitions: 4 });
const users = topic('users', { key: string, value: string, numPartitions: 4 });
const totals = topic('totals', { key: string, value: json<number>(), numPartitions: 4 });
const named = topic('named', { key: string, value: string, numPartitions: 4 });
const late = topic('late', { key: string, value: json<{ cents: number }>(), numPartitions: 1 });

interface World {
  readonly broker: Broker;
  readonly client: Client;
}

/** A broker with these topics, for as long as `run` takes. */
async function withTopics(topics: readonly Topic<any, any>[], run: (world: World) => Promise<void>): Promise<void> {
  await using broker = await Broker.open({ data: 'memory' });
  await using client = await Client.connect(broker);
  await client.admin.createTopics(topics);
  await run({ broker, client });
}

/** The first `count` records of a topic, as [key, value]. */
async function read<K, V>(client: Client, from: Topic<K, V>, count: number): Promise<(readonly [K, V])[]> {
  const rows: (readonly [K, V])[] = [];
  if (count === 0) return rows;
  for await (const { key, value } of client.records(from)) {
    rows.push([key, value]);
    if (rows.length === count) break;
  }
  return rows;
}

const sumPerUser = () => {
  const builder = new StreamsBuilder('shop');
  const table = builder
    .stream(orders)
    .groupByKey()
    .aggregate(
      () => 0,
      (sum, { cents }) => sum + cents,
      { name: 'totals' },
    );
  table.to(totals);
  return { topology: builder.build(), table };
};

describe.each(['exactly_once_v2', 'at_least_once'] as const)('%s', (processingGuarantee) => {
  const start = (broker: Broker, topology: Parameters<typeof Streams.start>[0], more: Partial<StreamsOptions> = {}) =>
    Streams.start(topology, { cluster: broker, processingGuarantee, commitIntervalMs: 10, ...more });

  it('aggregates behind a repartition topic', async () => {
    await withTopics([orders, totals], async ({ broker, client }) => {
      const builder = new StreamsBuilder('shop');
      builder
        .stream(orders)
        .groupBy((_, user) => user[0]!, { name: 'by-initial', key: string })
        .aggregate(
          () => 0,
          (sum, { cents }) => sum + cents,
          { name: 'totals', emit: 'update' },
        )
        .to(totals);
      await using app = start(broker, builder.build());
      await app.running;
      await client.producer().send(orders, [
        { key: 'ada', value: { cents: 1 } },
        { key: 'ada', value: { cents: 10 } },
        { key: 'bob', value: { cents: 100 } },
      ]);
      const rows = await read(client, totals, 3);
      expect(rows.filter(([key]) => key === 'a')).toEqual([
        ['a', 1],
        ['a', 11],
      ]);
      expect(rows.filter(([key]) => key === 'b')).toEqual([['b', 100]]);
    });
  });

  it('joins a stream with a table and with a global table', async () => {
    const prices = topic('prices', { key: string, value: json<number>(), numPartitions: 2 });
    await withTopics([orders, users, named, prices], async ({ broker, client }) => {
      const producer = client.producer();
      await producer.send(users, [
        { key: 'u1', value: 'Ada', timestampMs: 0 },
        { key: 'u2', value: 'Bob', timestampMs: 0 },
      ]);
      await producer.send(prices, [{ key: '5', value: 500 }]);
      const builder = new StreamsBuilder('shop');
      const user = builder.table(users, { name: 'users' });
      const price = builder.globalTable(prices, { name: 'prices' });
      builder
        .stream(orders)
        .join(user, ({ cents }, name) => `${name} ${cents}`)
        .leftJoin(price, (text, found) => `${text} ${found ?? '-'}`, { on: (text) => text.split(' ')[1] })
        .to(named);
      await using app = start(broker, builder.build());
      await app.running;
      await producer.send(orders, [
        { key: 'u1', value: { cents: 5 } },
        { key: 'u2', value: { cents: 6 } },
        { key: 'nobody', value: { cents: 7 } },
      ]);
      expect(await read(client, named, 2).then((rows) => rows.toSorted(([a], [b]) => (a < b ? -1 : 1)))).toEqual([
        ['u1', 'Ada 5 500'],
        ['u2', 'Bob 6 -'],
      ]);
    });
  });

  it('sends late records aside and counts them', async () => {
    await withTopics([orders, late], async ({ broker, client }) => {
      const builder = new StreamsBuilder('shop');
      builder
        .stream(orders)
        .groupByKey()
        .windowedBy(tumbling({ sizeMs: 10, graceMs: 5 }))
        .late((records) => records.to(late))
        .count({ name: 'windows' });
      await using app = start(broker, builder.build());
      await app.running;
      const at = (timestampMs: number) => ({ key: 'u', value: { cents: timestampMs }, timestampMs });
      await client.producer().send(orders, [at(3), at(14), at(4), at(15), at(5)]);
      expect(await read(client, late, 1)).toEqual([['u', { cents: 5 }]]);
      expect((await firstValueFrom(app.metrics$)).lateRecords).toBe(1);
    });
  });

  it('gives each partition to one of two instances, moves them when one comes or goes, and loses and doubles nothing', async () => {
    await withTopics([orders, totals], async ({ broker, client }) => {
      const producer = client.producer();
      const sent = new Map<string, number>();
      const send = async (from: number): Promise<void> => {
        const records = Array.from({ length: 200 }, (_, i) => ({
          key: `u${(from + i) % 23}`,
          value: { cents: 1 + (i % 7) },
        }));
        for (const { key, value } of records) sent.set(key, (sent.get(key) ?? 0) + value.cents);
        await producer.send(orders, records);
      };
      const { topology, table } = sumPerUser();
      const one = start(broker, topology);
      await one.running;
      await send(0);
      const two = start(broker, topology);
      await send(1000);
      await two.running;
      await send(2000);
      const share = (app: Streams): Promise<readonly unknown[]> =>
        firstValueFrom(app.metrics$).then(({ stores }) => Object.keys(stores));
      while ((await share(two)).length === 0) await send(3000);
      await send(4000);
      await one.close();
      await send(5000);

      const rows = new Map<string, number>();
      for (;;) {
        rows.clear();
        try {
          for await (const [key, sum] of two.view(table).all()) rows.set(key, sum);
        } catch (error) {
          if (!isMillraceError(error, 'NO_OWNER')) throw error;
        }
        if ([...rows.values()].reduce((a, b) => a + b, 0) >= [...sent.values()].reduce((a, b) => a + b, 0)) break;
        await Promise.race([two.done, new Promise((resolve) => setImmediate(resolve))]);
      }
      expect(rows).toEqual(sent);
      await two.close();
      const last = new Map<string, number>();
      for await (const { key, value } of client.records(totals, { to: 'end' })) last.set(key, value);
      expect(last).toEqual(sent);
    });
  }, 60_000);

  it('restores its stores from their changelogs, and tells how far it is', async () => {
    await withTopics([orders, totals], async ({ broker, client }) => {
      const { topology, table } = sumPerUser();
      const records = Array.from({ length: 500 }, (_, i) => ({ key: `u${i}`, value: { cents: i } }));
      const first = start(broker, topology);
      await client.producer().send(orders, records);
      await read(client, totals, 500);
      await first.close();

      const second = start(broker, topology);
      const progress: RestoreProgress[] = [];
      second.restore$.subscribe((step) => progress.push(step));
      await second.running;
      const restored = new Map<number, RestoreProgress>();
      for (const step of progress) {
        expect(step.restoredRecords).toBeGreaterThanOrEqual(restored.get(step.partition)?.restoredRecords ?? 0);
        restored.set(step.partition, step);
      }
      expect([...restored.keys()].toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3]);
      for (const { store, restoredRecords, totalRecords, recordsPerSecond } of restored.values()) {
        expect(store).toBe('totals');
        expect(restoredRecords).toBe(totalRecords);
        expect(recordsPerSecond).toBeGreaterThan(0);
      }
      expect((await second.view(table).get('u321')).value).toBe(321);
      await second.close();
    });
  });

  it('puts a record that fails into the dead letters, and goes on', async () => {
    const letters = deadLetters('letters');
    await withTopics([orders, totals, letters], async ({ broker, client }) => {
      const builder = new StreamsBuilder('shop', { onError: { deadLetter: letters.name } });
      builder
        .stream(orders)
        .mapValues(
          ({ cents }) => {
            if (cents < 0) throw new RangeError('negative');
            return cents;
          },
          { name: 'check' },
        )
        .to(totals);
      await using app = start(broker, builder.build());
      const failure = firstValueFrom(app.failures$);
      await client.producer().send(orders, [
        { key: 'u', value: { cents: 1 } },
        { key: 'u', value: { cents: -1 }, headers: { trace: 't1' } },
        { key: 'u', value: { cents: 2 } },
      ]);
      expect(await read(client, totals, 2)).toEqual([
        ['u', 1],
        ['u', 2],
      ]);
      for await (const record of client.records(letters)) {
        expect(new TextDecoder().decode(record.value!)).toBe('{"cents":-1}');
        expect(record.headers.text('trace')).toBe('t1');
        const letter = deadLetterOf(record);
        expect(letter).toMatchObject({
          applicationId: 'shop',
          node: 'check',
          source: { topic: 'orders', offset: 1 },
          error: { name: 'RangeError', message: 'negative' },
        });
        break;
      }
      expect(await failure).toMatchObject({ node: 'check', outcome: 'deadLettered', source: { offset: 1 } });
    });
  });

  it('gives a sink each result once, also when it is busy', async () => {
    await withTopics([orders], async ({ broker, client }) => {
      const batches: SinkBatch<string, number>[] = [];
      const events: string[] = [];
      const epochs: number[] = [];
      let refusals = 2;
      const sink: Sink<string, number> = {
        name: 'target',
        tier: 'guarded',
        async open({ topic: name, partition, epoch }) {
          events.push(`open ${name}`);
          epochs.push(epoch);
          return {
            nextOffset: partition === 0 ? 1 : undefined,
            write: async (batch) => {
              if (refusals-- > 0) throw new SinkBusyError({ retryAfterMs: 1 });
              batches.push(batch);
            },
            flush: async () => void events.push('flush'),
            close: async () => void events.push('close'),
          };
        },
      };
      const one = topic('one', { key: string, value: json<number>(), numPartitions: 1 });
      await client.admin.createTopics([one]);
      const builder = new StreamsBuilder('shop');
      builder.stream(one).sink(sink);
      const topology = builder.build();
      await client.producer().send(
        one,
        [0, 1, 2].map((value) => ({ key: 'k', value })),
      );
      const app = start(broker, topology);
      while (batches.length === 0) await Promise.race([app.done, new Promise((resolve) => setImmediate(resolve))]);
      await app.close();
      expect(
        batches.flatMap(({ records }) => records.map(({ value, offset, ordinal }) => [value, offset, ordinal])),
      ).toEqual([
        [1, 1, 0],
        [2, 2, 0],
      ]);
      expect([batches[0]!.firstOffset, batches.at(-1)!.lastOffset]).toEqual([1, 2]);
      expect(events[0]).toBe('open one');
      expect(events.at(-1)).toBe('close');
      const again = start(broker, topology);
      await again.running;
      await again.close();
      expect(epochs).toEqual([expect.any(Number), expect.any(Number)]);
      expect(epochs[1]).toBeGreaterThan(epochs[0]!);
    });
  });
});

describe('a sink that another owner has opened', () => {
  const one = topic('one', { key: string, value: json<number>(), numPartitions: 1 });

  it.each([
    ['stop', 'fail' as const],
    ['let records go', 'skip' as const],
  ])('is opened anew, and no record is lost, whether its policy is to %s', async (_, onError) => {
    await withTopics([one], async ({ broker, client }) => {
      const written: number[] = [];
      let openCount = 0;
      const sink: Sink<string, number> = {
        name: 'target',
        tier: 'guarded',
        async open() {
          openCount++;
          return {
            nextOffset: undefined,
            write: async ({ records }) => {
              if (openCount === 1) throw new FencedError('written by another', { retriable: true });
              written.push(...records.map(({ value }) => value));
            },
            flush: async () => {},
            close: async () => {},
          };
        },
      };
      const builder = new StreamsBuilder('shop');
      builder.stream(one).sink(sink, { onError });
      await using app = Streams.start(builder.build(), { cluster: broker, commitIntervalMs: 10 });
      await client.producer().send(
        one,
        [0, 1, 2].map((value) => ({ key: 'k', value })),
      );
      while (written.length < 3) await Promise.race([app.done, new Promise((resolve) => setImmediate(resolve))]);
      expect(written).toEqual([0, 1, 2]);
      expect(openCount).toBe(2);
    });
  });
});

describe('a sink whose target says that it has all before 3', () => {
  const one = topic('one', { key: string, value: json<number>(), numPartitions: 1 });
  const startWith = async (recordCount: number, run: (app: Streams, offsets: number[]) => Promise<void>) => {
    await withTopics([one], async ({ broker, client }) => {
      const producer = client.producer();
      for (let value = 0; value < recordCount; value++) await producer.send(one, { key: 'k', value });
      const offsets: number[] = [];
      const sink: Sink<string, number> = {
        name: 'target',
        tier: 'transactional',
        open: async () => ({
          nextOffset: 3,
          write: async ({ records }) => void offsets.push(...records.map(({ offset }) => offset)),
          flush: async () => {},
          close: async () => {},
        }),
      };
      const builder = new StreamsBuilder('shop');
      builder.stream(one).sink(sink);
      await using app = Streams.start(builder.build(), { cluster: broker, commitIntervalMs: 10 });
      await run(app, offsets);
    });
  };

  it('goes on there, if the topic has as much', async () => {
    await startWith(3, async (app) => await app.running);
    await startWith(4, async (app, offsets) => {
      while (offsets.length === 0) await Promise.race([app.done, new Promise((resolve) => setImmediate(resolve))]);
      expect(offsets).toEqual([3]);
    });
  });

  it('ends the app if the topic has less, as one that was made anew, rather than to drop what is new', async () => {
    await startWith(2, async (app) => {
      await expect(app.done).rejects.toMatchObject({
        code: 'SINK_AHEAD',
        context: { sink: 'target', topic: 'one', partition: 0, nextOffset: 3, endOffset: 2 },
      });
    });
  });
});

class FencedError extends MillraceError {
  readonly code = 'FENCED';
}

describe('views', () => {
  it('answer what is committed, after a position if asked, through repartition topics too', async () => {
    await withTopics([orders], async ({ broker, client }) => {
      const builder = new StreamsBuilder('shop');
      const table = builder
        .stream(orders)
        .groupBy((_, user) => user[0]!, { name: 'by-initial', key: string })
        .count({ name: 'counts' });
      await using app = Streams.start(builder.build(), { cluster: broker, commitIntervalMs: 10 });
      await app.running;
      const producer = client.producer();
      for (let i = 1; i <= 20; i++) {
        const after = await producer.send(orders, { key: `a${i}`, value: { cents: i } });
        const answer = await app.view(table).get('a', { after });
        expect(answer.value).toBe(i);
        expect(answer.from).toBeUndefined();
      }
      const changes = firstValueFrom(app.view(table).changes$.pipe(take(1)));
      await producer.send(orders, { key: 'b', value: { cents: 1 } });
      expect(await changes).toMatchObject({ key: 'b', oldValue: undefined, newValue: 1 });
      expect(await all(app.view(table).all())).toEqual(
        expect.arrayContaining([
          ['a', 20],
          ['b', 1],
        ]),
      );
    });
  });

  it('time out where the position is never reached, and say so where nobody owns it', async () => {
    await withTopics([orders], async ({ broker }) => {
      const builder = new StreamsBuilder('shop');
      const table = builder.stream(orders).groupByKey().count({ name: 'counts' });
      const app = Streams.start(builder.build(), { cluster: broker });
      await app.running;
      const after = { topic: 'orders', partition: 0, offset: 99 };
      const key = await keyOf(0);
      await expect(app.view(table).get(key, { after, timeoutMs: 20 })).rejects.toMatchObject({ code: 'VIEW_TIMEOUT' });
      const elsewhere = { topic: 'no-input', partition: 0, offset: 1 };
      await expect(app.view(table).get('k', { after: elsewhere })).rejects.toMatchObject({ code: 'NO_OWNER' });
      await app.close();
      await expect(app.view(table).get('k')).rejects.toMatchObject({ code: 'CLOSED' });
    });
  });
});

async function all<T>(rows: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const row of rows) collected.push(row);
  return collected;
}

async function keyOf(partition: number): Promise<string> {
  const { partitionForKey } = await import('@millrace/client');
  for (let i = 0; ; i++) if (partitionForKey(Buffer.from(`k${i}`), 4) === partition) return `k${i}`;
}

describe('an app', () => {
  it('goes through its states, and ends with NOT_RUNNING', async () => {
    await withTopics([orders, totals], async ({ broker }) => {
      const app = Streams.start(sumPerUser().topology, { cluster: broker });
      const states = firstValueFrom(app.state$.pipe(toArray()));
      await app.running;
      app.pause();
      await firstValueFrom(app.state$.pipe(take(2), toArray()));
      app.resume();
      await firstValueFrom(app.state$.pipe(take(2), toArray()));
      await app.close();
      await app.done;
      const expected: StreamsState[] = [
        'REBALANCING',
        'RESTORING',
        'RUNNING',
        'PAUSED',
        'RUNNING',
        'PENDING_SHUTDOWN',
        'NOT_RUNNING',
      ];
      expect(await states).toEqual(expected);
    });
  });

  it('fails with the record that failed, and commits nothing of it', async () => {
    await withTopics([orders, totals], async ({ broker, client }) => {
      const builder = new StreamsBuilder('shop');
      builder
        .stream(orders)
        .mapValues(({ cents }) => {
          if (cents === 13) throw new Error('unlucky');
          return cents;
        })
        .to(totals);
      const app = Streams.start(builder.build(), { cluster: broker, commitIntervalMs: 60_000 });
      await client.producer().send(orders, [
        { key: 'u', value: { cents: 12 } },
        { key: 'u', value: { cents: 13 } },
      ]);
      await expect(app.done).rejects.toMatchObject({ code: 'RECORD_FAILED', context: { offset: 1 } });
      const rows = [];
      for await (const row of client.records(totals, { to: 'end' })) rows.push(row);
      expect(rows).toEqual([]);
      expect(await firstValueFrom(app.state$.pipe(toArray()))).toEqual(['ERROR']);
    });
  });

  it('shows what passes a point of its plan, once it is committed', async () => {
    await withTopics([orders, totals], async ({ broker, client }) => {
      const builder = new StreamsBuilder('shop');
      let fails = true;
      const big = builder.stream(orders).filter(({ cents }) => cents > 5);
      big
        .mapValues(({ cents }) => {
          if (cents === 7 && fails) throw new Error('not yet');
          return cents;
        })
        .to(totals);
      const topology = builder.build();
      const failing = Streams.start(topology, { cluster: broker, commitIntervalMs: 5 });
      const seen: number[] = [];
      failing.records$(big).subscribe(({ value }) => seen.push(value.cents));
      await client.producer().send(
        orders,
        [1, 6, 7].map((cents) => ({ key: 'u', value: { cents } })),
      );
      await expect(failing.done).rejects.toMatchObject({ code: 'RECORD_FAILED' });
      expect(seen).toEqual([]); // the batch was not committed

      fails = false;
      const app = Streams.start(topology, { cluster: broker, commitIntervalMs: 5 });
      const shown = firstValueFrom(app.records$(big).pipe(take(2), toArray()));
      await app.running;
      expect((await shown).map(({ key, value, topic: name, offset }) => [name, offset, key, value.cents])).toEqual([
        ['orders', 1, 'u', 6],
        ['orders', 2, 'u', 7],
      ]);
      await app.close();
    });
  });

  it('says which topics are missing', async () => {
    await withTopics([totals], async ({ broker }) => {
      const app = Streams.start(sumPerUser().topology, { cluster: broker });
      await expect(app.running).rejects.toMatchObject({ code: 'MISSING_TOPIC', context: { topics: ['orders'] } });
    });
  });

  it('refuses to go on from the state of another plan, also when it has made no commit but the first', async () => {
    await withTopics([orders, totals], async ({ broker }) => {
      const first = Streams.start(sumPerUser().topology, { cluster: broker });
      await first.running;
      await first.close();
      const builder = new StreamsBuilder('shop');
      builder
        .stream(orders)
        .groupByKey()
        .count({ name: 'totals', value: int64 })
        .toStream()
        .peek(() => {});
      const second = Streams.start(builder.build(), { cluster: broker });
      await expect(second.done).rejects.toMatchObject({ code: 'INCOMPATIBLE_PLAN' });
      await using third = Streams.start(builder.build(), { cluster: broker, applicationId: 'shop-2' });
      await third.running;
    });
  });

  it('closes promptly while idle, and answers a lone record at once when it commits eagerly', async () => {
    await withTopics([orders, totals], async ({ broker, client }) => {
      const app = Streams.start(sumPerUser().topology, { cluster: broker, commit: 'eager', commitIntervalMs: 30_000 });
      await app.running;
      const sentMs = performance.now();
      await client.producer().send(orders, { key: 'u', value: { cents: 1 } });
      await read(client, totals, 1);
      expect(performance.now() - sentMs).toBeLessThan(1000);
      const closingMs = performance.now();
      await app.close();
      expect(performance.now() - closingMs).toBeLessThan(1000);
    });
  });

  it('refuses options that cannot work', () => {
    const start = (more: Partial<StreamsOptions>) => () =>
      Streams.start(sumPerUser().topology, { cluster: 'localhost:1', ...more });
    expect(start({ commitIntervalMs: 0 })).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG' }));
    expect(start({ commitIntervalMs: 1.5 })).toThrow('commitIntervalMs');
    expect(start({ bufferedRecordsPerPartition: 0 })).toThrow('bufferedRecordsPerPartition');
    expect(start({ applicationId: 'a b' })).toThrow('applicationId');
    expect(start({ stores: { nothing: { kind: 'memory' } } })).toThrow('nothing');
  });
});

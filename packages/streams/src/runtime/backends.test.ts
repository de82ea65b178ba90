import { describe, expect, it } from 'vitest';
import { Broker } from '@millrace/broker';
import { Client } from '@millrace/client';
import { json, string, topic } from '@millrace/serde';
import { StreamsBuilder } from '../dsl/builder.ts';
import { tumbling } from '../dsl/windows.ts';
import { CrashingEndpoint } from '../testing/crashing-endpoint.ts';
import { FarBackend } from '../testing/far-backend.ts';
import { Streams, type StreamsOptions } from './app.ts';
import type { RestoreProgress } from './restore.ts';

const clicks = topic('clicks', { key: string, value: json<number>(), numPartitions: 2 });
const users = topic('users', { key: string, value: string, numPartitions: 2, config: { 'cleanup.policy': 'compact' } });
const sums = topic('sums', { key: string, value: string, numPartitions: 2 });

function plan() {
  const builder = new StreamsBuilder('far');
  const user = builder.table(users, { name: 'users' });
  const byKey = builder.stream(clicks).groupByKey();
  const table = byKey.reduce((a, b) => a + b, { name: 'sums', emit: 'update' });
  table
    .toStream()
    .join(user, (sum, name) => `${name}=${sum}`)
    .to(sums);
  byKey.windowedBy(tumbling({ sizeMs: 100, graceMs: 0 })).count({ name: 'windows', retentionMs: 1000 });
  return { topology: builder.build(), table };
}

const keys = ['a', 'b', 'c', 'd', 'e', 'f'];
const records = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => ({
    key: keys[(from + i) % keys.length]!,
    value: from + i,
    timestampMs: 1 + from + i,
  }));

/** What stands in the output when `count` records have been processed. */
function expected(count: number): Map<string, string[]> {
  const rows = new Map<string, string[]>();
  const totals = new Map<string, number>();
  for (const { key, value } of records(0, count)) {
    totals.set(key, (totals.get(key) ?? 0) + value);
    rows.set(key, [...(rows.get(key) ?? []), `${key.toUpperCase()}=${totals.get(key)}`]);
  }
  return rows;
}

async function expectOutput(client: Client, count: number): Promise<void> {
  let seen = 0;
  for await (const _ of client.records(sums)) if (++seen === count) break;
  const rows = new Map<string, string[]>();
  for await (const { key, value } of client.records(sums, { to: 'end' }))
    rows.set(key, [...(rows.get(key) ?? []), value]);
  expect(rows).toEqual(expected(count));
}

async function withBroker(run: (broker: Broker, client: Client) => Promise<void>): Promise<void> {
  await using broker = await Broker.open({ data: 'memory' });
  await using client = await Client.connect(broker);
  await client.admin.createTopics([clicks, users, sums]);
  await client.producer().send(
    users,
    keys.map((key) => ({ key, value: key.toUpperCase(), timestampMs: 0 })),
  );
  await run(broker, client);
}

describe.each([
  ['in this process', true],
  ['far away', false],
])('a store kept %s', (_, isSynchronous) => {
  const start = (cluster: StreamsOptions['cluster'], store: FarBackend, more: Partial<StreamsOptions> = {}) =>
    Streams.start(plan().topology, { cluster, store, commitIntervalMs: 5, groupInstanceId: 'one', ...more });

  it('is continued from its own offset, and read as it is committed', async () => {
    await withBroker(async (broker, client) => {
      const store = new FarBackend(isSynchronous);
      const first = start(broker, store);
      await first.running;
      await client.producer().send(clicks, records(0, 300));
      await expectOutput(client, 300);
      await first.close();

      const second = start(broker, store);
      const progress: RestoreProgress[] = [];
      second.restore$.subscribe((step) => progress.push(step));
      await second.running;
      // Only the new barrier was to be read.
      for (const { totalRecords } of progress) expect(totalRecords).toBeLessThanOrEqual(2);
      const { table } = plan();
      const total = records(0, 300).reduce((sum, { key, value }) => (key === 'c' ? sum + value : sum), 0);
      expect((await second.view(table).get('c')).value).toBe(total);
      const rows = [];
      for await (const [key] of second.view(table).range('b', 'd')) rows.push(key);
      expect(rows.toSorted((a, b) => (a < b ? -1 : 1))).toEqual(['b', 'c', 'd']);
      await client.producer().send(clicks, records(300, 50));
      await expectOutput(client, 350);
      await second.close();
      expect(store.events.filter(({ what }) => what === 'refused' || what === 'stale')).toEqual([]);
      expect(store.entryCount).toBeGreaterThan(keys.length * 2);
    });
  });

  it('is brought back from its changelog when it loses everything under way, before anything wrong is computed', async () => {
    await withBroker(async (broker, client) => {
      const store = new FarBackend(isSynchronous);
      const app = start(broker, store, { statestoreCacheMaxBytes: 0 });
      await app.running;
      for (let round = 0; round < 5; round++) {
        await client.producer().send(clicks, records(round * 60, 60));
        await expectOutput(client, round * 60 + 60);
        if (!isSynchronous) store.flushAll(); // a store in the process cannot lose its data without the process
      }
      await app.close();
      const lost = store.events.filter(({ what }) => what === 'stale' || what === 'refused');
      expect(lost.length > 0).toBe(!isSynchronous);
    });
  });

  it('has each change once, at whatever request its app is killed', async () => {
    const dead: Promise<unknown>[] = [];
    for (let atFrame = 40; atFrame < 110; atFrame += 9) {
      await withBroker(async (broker, client) => {
        await client.producer().send(clicks, records(0, 120));
        const store = new FarBackend(isSynchronous);
        const endpoint = new CrashingEndpoint(broker, { atFrame, isDelivered: atFrame % 2 === 0 });
        const first = start(endpoint, store, { bufferedRecordsPerPartition: 10 });
        const failed = first.done.catch(() => undefined);
        await Promise.race([endpoint.crashed, expectOutput(client, 120)]);
        endpoint.kill();
        dead.push(failed, first.close({ timeoutMs: 0 }));
        const second = start(broker, store);
        await second.running;
        await expectOutput(client, 120);
        await second.close();
        expect(store.entryCount).toBe(3 * keys.length + keys.length); // users, sums, and two windows of each key
      });
    }
    await Promise.all(dead);
  }, 60_000);
});

it('a store far away that loses everything while there is nothing to do is brought back within a second or two', async () => {
  await withBroker(async (broker, client) => {
    const store = new FarBackend(false);
    const { topology, table } = plan();
    await using app = Streams.start(topology, { cluster: broker, store, commitIntervalMs: 5 });
    await app.running;
    await client.producer().send(clicks, records(0, 60));
    await expectOutput(client, 60);
    const holds = async (entryCount: number): Promise<void> => {
      while (store.entryCount < entryCount) {
        await Promise.race([app.done, new Promise((resolve) => setImmediate(resolve))]);
      }
    };
    await holds(3 * keys.length); // users, sums, and a window of each key: the last commit is there
    store.flushAll();
    await holds(3 * keys.length);
    expect((await app.view(table).get('a')).value).toBe(270);
  });
});

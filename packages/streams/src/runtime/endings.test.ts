import { describe, expect, it } from 'vitest';
import { Broker } from '@millrace/broker';
import { Client } from '@millrace/client';
import { isMillraceError, nodePlatform, silentLogger, type Clock, type Logger } from '@millrace/platform';
import { json, string, topic } from '@millrace/serde';
import { StreamsBuilder } from '../dsl/builder.ts';
import type { BackendStore, StateStoreBackend, StoreSpec } from '../state/index.ts';
import { FarBackend } from '../testing/far-backend.ts';
import { Streams, type StreamsOptions } from './app.ts';
import { NoOwnerError } from './errors.ts';

const input = topic('input', { key: string, value: json<number>(), numPartitions: 1 });
const copies = topic('copies', { key: string, value: json<number>(), numPartitions: 1 });

async function withBroker(run: (broker: Broker, client: Client) => Promise<void>): Promise<void> {
  await using broker = await Broker.open({ data: 'memory' });
  await using client = await Client.connect(broker);
  await client.admin.createTopics([input, copies]);
  await run(broker, client);
}

const noting = (warn: (message: string) => void): Logger => ({
  ...silentLogger,
  warn: (_: unknown, message?: string) => warn(message ?? ''),
});

/** A far backend, but for what `change` puts in its stores' place. */
function changed(
  change: (store: BackendStore, spec: StoreSpec) => BackendStore | Promise<BackendStore>,
): StateStoreBackend {
  const far = new FarBackend(false);
  return {
    kind: far.kind,
    openStore: async (spec) => change(await far.openStore(spec), spec),
    close: () => far.close(),
  };
}

function counting(onRecord: () => void = () => {}) {
  const builder = new StreamsBuilder('app');
  const stream = builder.stream(input);
  stream.peek(onRecord).to(copies);
  const table = stream.groupByKey().reduce((a, b) => a + b, { name: 'sums' });
  return { topology: builder.build(), table };
}

describe('an app', () => {
  it('closes in the time it is given, though a store does not answer', async () => {
    await withBroker(async (broker, client) => {
      let told: () => void = () => {};
      const asked = new Promise<void>((resolve) => (told = resolve));
      const store = changed((far) => {
        const commit = far.commit.bind(far);
        far.commit = (batch) => {
          if (batch.writes.length === 0) return commit(batch);
          told();
          return new Promise(() => {});
        };
        return far;
      });
      const app = Streams.start(counting().topology, { cluster: broker, store, commitIntervalMs: 5 });
      await client.producer().send(input, { key: 'a', value: 1 });
      await asked;
      await app.close({ timeoutMs: 50 });
      await expect(app.done).resolves.toBeUndefined();
    });
  });

  it('ends with what keeps it from going on, when that has lasted for five minutes', async () => {
    await withBroker(async (broker) => {
      const platform = nodePlatform();
      let laterMs = 0;
      const clock: Clock = {
        now: () => platform.clock.now(),
        monotonic: () => platform.clock.monotonic() + laterMs,
        after: (delayMs, task) => platform.clock.after(delayMs, task),
        defer: (task) => platform.clock.defer(task),
      };
      const store = changed((_, { name }) => {
        laterMs += 150_000;
        throw new NoOwnerError(name, 0);
      });
      const app = Streams.start(counting().topology, { cluster: broker, store, platform: { ...platform, clock } });
      await expect(app.done).rejects.toMatchObject({ code: 'NO_OWNER' });
      expect(laterMs).toBe(450_000);
    });
  });

  it('that begins again keeps no reader waiting for a commit that will not come', async () => {
    await withBroker(async (broker, client) => {
      let hasFailed = false;
      const store = changed((far) => {
        const prefetch = far.prefetch.bind(far);
        far.prefetch = (keys, windows) => {
          if (hasFailed || !keys.some(({ key }) => Buffer.from(key).toString() === 'b')) return prefetch(keys, windows);
          hasFailed = true;
          return Promise.reject(new NoOwnerError('sums', 0));
        };
        return far;
      });
      let answered: (answer: unknown) => void = () => {};
      const answer = new Promise((resolve) => (answered = resolve));
      let processed: () => void = () => {};
      const first = new Promise<void>((resolve) => (processed = resolve));
      const { topology, table } = counting(() => processed());
      const logger = noting(() => {
        const rows = app.view(table).all()[Symbol.asyncIterator]();
        rows.next().then(answered, answered);
      });
      const options: StreamsOptions = { cluster: broker, store, commitIntervalMs: 60_000, logger };
      const app = Streams.start(topology, options);
      const producer = client.producer();
      await producer.send(input, { key: 'a', value: 1 });
      await first;
      await producer.send(input, { key: 'b', value: 1 });
      expect(await answer).toMatchObject({ code: 'NO_OWNER' });
      await app.close();
    });
  });

  it('shows nobody what is not committed', async () => {
    await withBroker(async (broker, client) => {
      let processed: () => void = () => {};
      const isProcessed = new Promise<void>((resolve) => (processed = resolve));
      const { topology, table } = counting(() => processed());
      const app = Streams.start(topology, { cluster: broker, commitIntervalMs: 600_000 });
      await client.producer().send(input, { key: 'a', value: 1 });
      await isProcessed;
      await expect(app.view(table).get('a', { timeoutMs: 50 })).rejects.toMatchObject({ code: 'VIEW_TIMEOUT' });
      await app.close();
    });
  });

  it('goes on where it first began, and tells its logger of records that were deleted meanwhile', async () => {
    await withBroker(async (broker, client) => {
      const copying = () => {
        const builder = new StreamsBuilder('app');
        builder.stream(input, { autoOffsetReset: 'latest' }).to(copies);
        return builder.build();
      };
      const producer = client.producer();
      await producer.send(input, { key: 'before', value: 0 });
      const first = Streams.start(copying(), { cluster: broker });
      await first.running;
      await first.close();
      await producer.send(
        input,
        [1, 2, 3].map((value) => ({ key: 'k', value })),
      );
      const copied = async (count: number): Promise<number[]> => {
        const values: number[] = [];
        for await (const { value } of client.records(copies)) if (values.push(value) === count) break;
        return values;
      };
      const second = Streams.start(copying(), { cluster: broker });
      expect(await copied(3)).toEqual([1, 2, 3]);
      await second.close();

      await producer.send(
        input,
        [4, 5].map((value) => ({ key: 'k', value })),
      );
      await client.admin.deleteRecords([{ topic: input.name, partition: 0, offset: 5 }]);
      const warnings: string[] = [];
      const third = Streams.start(copying(), { cluster: broker, logger: noting((text) => void warnings.push(text)) });
      await third.running;
      await third.close();
      expect(warnings).toEqual([expect.stringContaining('outside of the log')]);
    });
  });
});

it('at least once: what a former owner writes to a changelog gets into nobody’s state', async () => {
  await withBroker(async (broker, client) => {
    const { topology, table } = counting();
    const options: StreamsOptions = { cluster: broker, processingGuarantee: 'at_least_once', commitIntervalMs: 5 };
    const producer = client.producer();
    const warnings: string[] = [];
    const app = Streams.start(topology, { ...options, logger: noting((text) => void warnings.push(text)) });
    await app.running;
    const sum = async (of: Streams, key: string, after?: Awaited<ReturnType<typeof producer.send>>) => {
      for (;;) {
        try {
          return (await of.view(table).get(key, { after: after as never })).value;
        } catch (error) {
          if (!isMillraceError(error) || !error.retriable) throw error;
          await Promise.race([of.done, new Promise((resolve) => setImmediate(resolve))]);
        }
      }
    };
    await producer.send(input, { key: 'a', value: 1 });
    expect(await sum(app, 'b', await producer.send(input, { key: 'b', value: 2 }))).toBe(2);
    await producer.send(topic('app-sums-changelog', { key: string, value: json<number>() }), { key: 'a', value: 999 });
    expect(await sum(app, 'b', await producer.send(input, { key: 'b', value: 3 }))).toBe(5);
    expect([await sum(app, 'a'), warnings.length]).toEqual([1, 1]);
    await app.close();

    const heir = Streams.start(topology, options);
    await heir.running;
    expect([await sum(heir, 'a'), await sum(heir, 'b')]).toEqual([1, 5]);
    await heir.close();
  });
});

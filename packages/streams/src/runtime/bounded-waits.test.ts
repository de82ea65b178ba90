import { describe, expect, it } from 'vitest';
import { firstValueFrom } from 'rxjs';
import { Broker } from '@millrace/broker';
import { Client } from '@millrace/client';
import { nodePlatform, silentLogger, type Clock, type Logger, type Platform } from '@millrace/platform';
import { json, string, topic } from '@millrace/serde';
import { StreamsBuilder } from '../dsl/builder.ts';
import type { Sink } from '../sink.ts';
import type { StateStoreBackend } from '../state/index.ts';
import { FarBackend } from '../testing/far-backend.ts';
import { StallingEndpoint } from '../testing/stalling-endpoint.ts';
import { Streams } from './app.ts';

const input = topic('input', { key: string, value: json<number>(), numPartitions: 2 });
const records = ['a', 'b', 'c', 'd', 'e', 'f'].map((key) => ({ key, value: 1 }));

/** The machine's, but what waits for so long waits for a moment. */
function without(...limitsMs: readonly number[]): Platform {
  const platform = nodePlatform();
  const { clock } = platform;
  const hasty: Clock = {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    after: (delayMs, task) => clock.after(limitsMs.includes(delayMs) ? 20 : delayMs, task),
    defer: (task) => clock.defer(task),
  };
  return { ...platform, clock: hasty };
}

const closeGraceMs = 5_000;
const handOverMs = 50_000;
const failureGraceMs = 10_000;

/** Stores in a server that goes away: what it is told then is never answered. */
function leaving(): { readonly store: StateStoreBackend; readonly leave: () => void; readonly left: Promise<void> } {
  const far = new FarBackend(false);
  let isAway = false;
  let told: () => void = () => {};
  const left = new Promise<void>((resolve) => (told = resolve));
  const store: StateStoreBackend = {
    kind: far.kind,
    async openStore(spec) {
      const open = await far.openStore(spec);
      const commit = open.commit.bind(open);
      open.commit = (batch) => {
        if (!isAway) return commit(batch);
        told();
        return new Promise(() => {});
      };
      return open;
    },
    close: () => far.close(),
  };
  return { store, leave: () => (isAway = true), left };
}

function summing() {
  const builder = new StreamsBuilder('app');
  builder
    .stream(input)
    .groupByKey()
    .reduce((a, b) => a + b, { name: 'sums' });
  return builder.build();
}

/** Its `close` never settles. */
function stuckSink(write: () => Promise<void> = async () => {}): Sink<string, number> {
  return {
    name: 'stuck',
    tier: 'guarded',
    open: async () => ({
      nextOffset: undefined,
      write,
      flush: async () => {},
      close: () => new Promise<void>(() => {}),
    }),
  };
}

function sinking(sink: Sink<string, number>) {
  const builder = new StreamsBuilder('app');
  builder.stream(input).sink(sink, { name: 'target' });
  return builder.build();
}

const noting = (warnings: string[]): Logger => ({
  ...silentLogger,
  warn: (_: unknown, message?: string) => void warnings.push(message ?? ''),
});

/** A turn of the event loop. Rejects when the app has failed. */
async function turn(app: Streams): Promise<void> {
  await Promise.race([app.done, new Promise((resolve) => setImmediate(resolve))]);
}

/** Resolves when both instances have partitions. */
async function areShared(app: Streams, client: Client): Promise<void> {
  for (;;) {
    const [group] = await client.admin.describeConsumerGroups(['app']);
    if (group!.members.filter(({ assignment }) => assignment.length > 0).length === 2) return;
    await turn(app);
  }
}

async function withBroker(run: (broker: Broker, client: Client) => Promise<void>): Promise<void> {
  await using broker = await Broker.open({ data: 'memory', config: { 'group.min.session.timeout.ms': 100 } });
  await using client = await Client.connect(broker);
  await client.admin.createTopics([input]);
  await run(broker, client);
}

describe('another instance gets its part', () => {
  it('though the server of the stores does not answer for the last commit', async () => {
    await withBroker(async (broker, client) => {
      const { store, leave, left } = leaving();
      const warnings: string[] = [];
      const logger = noting(warnings);
      const platform = without(closeGraceMs);
      const one = Streams.start(summing(), { cluster: broker, store, commitIntervalMs: 5, platform, logger });
      await one.running;
      leave();
      await client.producer().send(input, records);
      await left;
      const two = Streams.start(summing(), { cluster: broker });
      await areShared(two, client);
      await two.running;
      expect(warnings).toEqual([expect.stringContaining('does not answer')]);
      await two.close();
      await one.close({ timeoutMs: 50 });
    });
  });

  it('though the loop waits for that server', async () => {
    await withBroker(async (broker, client) => {
      const { store, leave, left } = leaving();
      const warnings: string[] = [];
      const options = { store, commitIntervalMs: 5, platform: without(closeGraceMs, handOverMs) };
      const one = Streams.start(summing(), { cluster: broker, ...options, logger: noting(warnings) });
      await one.running;
      leave();
      const producer = client.producer();
      await producer.send(input, records);
      await left;
      await producer.send(input, records); // its commit waits for the one before
      const two = Streams.start(summing(), { cluster: broker });
      await areShared(two, client);
      await two.running;
      expect(warnings).toContain('The app begins again at its last commit.');
      await two.close();
      await one.close({ timeoutMs: 50 });
    });
  });

  it('though a sink does not close', async () => {
    await withBroker(async (broker, client) => {
      const warnings: string[] = [];
      const options = { commitIntervalMs: 5, platform: without(closeGraceMs), logger: noting(warnings) };
      const one = Streams.start(sinking(stuckSink()), { cluster: broker, ...options });
      await one.running;
      const two = Streams.start(sinking(stuckSink()), { cluster: broker, ...options });
      await areShared(two, client);
      await two.running;
      expect(warnings).toEqual([expect.stringContaining("'target' has not closed")]);
      await Promise.all([one.close(), two.close()]);
    });
  });
});

describe('a session that has failed', () => {
  it('ends, though a sink does not close', async () => {
    await withBroker(async (broker, client) => {
      const sink = stuckSink(() => Promise.reject(new Error('full')));
      const platform = without(closeGraceMs);
      const app = Streams.start(sinking(sink), { cluster: broker, platform, logger: silentLogger });
      await client.producer().send(input, records);
      await expect(app.done).rejects.toMatchObject({ code: 'SINK_FAILED' });
    });
  });

  it('ends, though its loop waits for a server that does not answer', async () => {
    await withBroker(async (broker, client) => {
      const { store, leave, left } = leaving();
      const endpoint = new StallingEndpoint(broker);
      const options = { store, commitIntervalMs: 5, sessionTimeoutMs: 300, groupInstanceId: 'one' };
      const platform = without(failureGraceMs);
      const one = Streams.start(summing(), { cluster: endpoint, ...options, platform });
      await one.running;
      leave();
      const producer = client.producer();
      await producer.send(input, records);
      await left;
      await producer.send(input, records);
      const committedCount = async (): Promise<number> =>
        (await client.admin.listConsumerGroupOffsets('app')).reduce((sum, { offset }) => sum + offset, 0);
      while ((await committedCount()) < 2 * records.length) await turn(one); // then the loop waits for the first commit
      endpoint.stall();
      const two = Streams.start(summing(), { cluster: broker, groupInstanceId: 'two' });
      await two.running;
      endpoint.goOn();
      while (!/^millrace_streams_recoveries_total\S* [1-9]/m.test((await firstValueFrom(one.metrics$)).prometheus())) {
        await turn(one);
      }
      await two.close();
      await one.close({ timeoutMs: 50 });
    });
  });
});

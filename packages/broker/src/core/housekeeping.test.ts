import type { PartitionLog } from '@millrace/log';
import { nodePlatform, silentLogger } from '@millrace/platform';
import { VirtualClock } from '@millrace/platform/simulated';
import { describe, expect, it } from 'vitest';
import { batchOf, endOffsetOf, valuesOf } from '../testing/batches.ts';
import { TestBroker } from '../testing/memory-broker.ts';
import { onVirtualTime } from '../testing/virtual-time.ts';
import { brokerConfigFrom } from './broker-config.ts';
import { Housekeeping } from './housekeeping.ts';

const config = { 'log.retention.check.interval.ms': 1000, 'log.cleaner.backoff.ms': 500 };

it('deletes what is past retention, at the next check and not before', async () => {
  const clock = new VirtualClock(1_000_000);
  const run = onVirtualTime(clock);
  const test = await run(TestBroker.open({ platform: { ...nodePlatform(), clock }, config }));
  await run(test.createTopic('orders', { configs: { 'retention.ms': '5000' } }));
  const record = (value: string): Uint8Array => batchOf([{ value, timestampMs: clock.now() }]);
  await run(test.produce('orders', record('old')));
  await clock.advance(4500);
  expect((await run(test.fetch('orders', 0))).logStartOffset).toBe(0);
  await clock.advance(1500);
  const fetched = await run(test.fetch('orders', 1));
  expect(fetched).toMatchObject({ errorCode: 0, logStartOffset: 1, highWatermark: 1 });
  await run(test.broker.close());
});

it('deletes what comes to be past retention at every check, not at the first alone', async () => {
  const clock = new VirtualClock(1_000_000);
  const run = onVirtualTime(clock);
  const test = await run(TestBroker.open({ platform: { ...nodePlatform(), clock }, config }));
  await run(test.createTopic('orders', { configs: { 'retention.ms': '5000' } }));
  for (const startOffset of [1, 2, 3]) {
    await run(test.produce('orders', batchOf([{ value: 'x', timestampMs: clock.now() }])));
    await clock.advance(7000);
    expect((await run(test.fetch('orders', startOffset))).logStartOffset).toBe(startOffset);
  }
  await run(test.broker.close());
});

it('compacts a topic that is dirty enough, and keeps the last value of each key at its offset', async () => {
  const clock = new VirtualClock(1_000_000);
  const run = onVirtualTime(clock);
  const test = await run(TestBroker.open({ platform: { ...nodePlatform(), clock }, config }));
  await run(test.createTopic('table', { configs: { 'cleanup.policy': 'compact', 'segment.bytes': '200' } }));
  for (let round = 0; round < 10; round++) {
    for (const key of ['a', 'b']) {
      const record = { key, value: `${key}${round}`, timestampMs: clock.now() };
      await run(test.produce('table', batchOf([record])));
    }
  }
  const before = test.broker.metrics().logBytes;
  await clock.advance(2000);
  expect(test.broker.metrics().logBytes).toBeLessThan(before);
  const values: (readonly [number, string | null])[] = [];
  for (let offset = 0; offset < 20;) {
    const { records } = await run(test.fetch('table', offset));
    values.push(...valuesOf(records));
    offset = endOffsetOf(records) ?? 20;
  }
  // The last segment is still written to, so it is not compacted.
  expect(values.slice(-2)).toEqual([
    [18, 'a9'],
    [19, 'b9'],
  ]);
  expect(values.length).toBeLessThan(10);
  await run(test.broker.close());
});

it('leaves alone what is not to be compacted, and compacts nothing where the cleaner is off', async () => {
  const clock = new VirtualClock(1_000_000);
  const run = onVirtualTime(clock);
  const off = { ...config, 'log.cleaner.enable': false };
  const test = await run(TestBroker.open({ platform: { ...nodePlatform(), clock }, config: off }));
  await run(test.createTopic('table', { configs: { 'cleanup.policy': 'compact', 'segment.bytes': '200' } }));
  for (let round = 0; round < 10; round++) {
    await run(test.produce('table', batchOf([{ key: 'a', value: String(round), timestampMs: clock.now() }])));
  }
  const before = test.broker.metrics().logBytes;
  await clock.advance(5000);
  expect(test.broker.metrics().logBytes).toBe(before);
  await run(test.broker.close());
});

describe('a compaction', () => {
  interface FakeLog {
    dirtyRatio: number | undefined;
    failure?: Error | undefined;
    cleanupPolicy?: string;
    gate?: Promise<void> | undefined;
  }

  /** Housekeeping over logs that note what is done to them: after a compaction, one is clean. */
  function keep(logs: Readonly<Record<string, FakeLog>>): {
    clock: VirtualClock;
    done: string[];
    close: () => Promise<void>;
  } {
    const clock = new VirtualClock();
    const done: string[] = [];
    const fakes = Object.entries(logs).map(([topic, log]) => ({
      topic,
      partition: 0,
      config: { cleanupPolicy: log.cleanupPolicy ?? 'compact', minCleanableDirtyRatio: 0.5 },
      get dirtyRatio() {
        return log.dirtyRatio;
      },
      enforceRetention: () => {},
      compact: async () => {
        done.push(topic);
        await log.gate;
        if (log.failure !== undefined) throw log.failure;
        log.dirtyRatio = 0;
        return { bytesBefore: 2, bytesAfter: 1 };
      },
    }));
    const housekeeping = new Housekeeping({
      clock,
      logger: silentLogger,
      config: brokerConfigFrom(config),
      logs: () => fakes as unknown as PartitionLog[],
      newCompactor: () => ({ run: () => Promise.reject(new Error('not asked')), close: () => Promise.resolve() }),
    });
    housekeeping.start();
    return { clock, done, close: () => housekeeping.close() };
  }

  it('begins with the dirtiest log, and goes on to all that are dirty enough', async () => {
    const { clock, done } = keep({
      some: { dirtyRatio: 0.5 },
      little: { dirtyRatio: 0.49 },
      most: { dirtyRatio: 0.9 },
      none: { dirtyRatio: undefined },
      more: { dirtyRatio: 0.7 },
      deleting: { dirtyRatio: 1, cleanupPolicy: 'delete' },
      both: { dirtyRatio: 0.6, cleanupPolicy: 'compact,delete' },
    });
    await clock.advance(499);
    expect(done).toEqual([]);
    await clock.advance(1);
    expect(done).toEqual(['most', 'more', 'both', 'some']);
    await clock.advance(10_000);
    expect(done).toHaveLength(4);
  });

  it('that fails keeps no other log from its own, and is tried again after ten pauses', async () => {
    const broken: FakeLog = { dirtyRatio: 0.9, failure: new Error('damaged') };
    const { clock, done } = keep({ broken, whole: { dirtyRatio: 0.8 } });
    await clock.advance(500);
    expect(done).toEqual(['broken', 'whole']);
    await clock.advance(4999);
    expect(done).toEqual(['broken', 'whole']);
    broken.failure = undefined;
    await clock.advance(501);
    expect(done).toEqual(['broken', 'whole', 'broken']);
  });

  it('is under way once at a time, and ends when the broker closes', async () => {
    let open = (): void => {};
    const slow: FakeLog = { dirtyRatio: 0.9, gate: new Promise((resolve) => (open = resolve)) };
    const { clock, done, close } = keep({ slow, next: { dirtyRatio: 0.8 } });
    await clock.advance(5000);
    expect(done).toEqual(['slow']);
    const closed = close();
    expect(clock.pendingCount).toBe(0);
    open();
    await closed;
    expect(done).toEqual(['slow']);
  });
});

import { nodePlatform } from '@millrace/platform';
import { VirtualClock } from '@millrace/platform/simulated';
import { expect, it } from 'vitest';
import { batchOf, endOffsetOf, valuesOf } from '../testing/batches.ts';
import { TestBroker } from '../testing/memory-broker.ts';
import { onVirtualTime } from '../testing/virtual-time.ts';

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

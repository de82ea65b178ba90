import { expect, it } from 'vitest';
import { Broker } from '@millrace/broker';
import { Client } from '@millrace/client';
import { nodePlatform, type Clock } from '@millrace/platform';
import { int64, string, topic } from '@millrace/serde';
import { StreamsBuilder } from '../dsl/builder.ts';
import { Streams } from './app.ts';

const words = topic('words', { value: string, numPartitions: 1 });
const counts = topic('counts', { key: string, value: int64, numPartitions: 1 });
const between = 'purged-by-word-repartition';
/** Another app's, by its name. */
const foreign = topic('purged-and-more-by-word-repartition', { value: string, numPartitions: 1 });

it('processed records of a repartition topic are deleted every 30 s, and none that is not committed', async () => {
  await using broker = await Broker.open({ data: 'memory' });
  await using client = await Client.connect(broker);
  await client.admin.createTopics([words, counts, foreign]);
  const builder = new StreamsBuilder('purged');
  builder
    .stream(words)
    .groupBy((word) => word, { name: 'by-word', key: string })
    .count({ name: 'counts', emit: 'update' })
    .to(counts);
  builder.stream(foreign).peek(() => {});

  let monotonicMs = 0;
  const platform = nodePlatform();
  const { clock } = platform;
  const steered: Clock = {
    now: () => clock.now(),
    monotonic: () => monotonicMs,
    after: (delayMs, task) => clock.after(delayMs, task),
    defer: (task) => clock.defer(task),
  };
  const app = Streams.start(builder.build(), {
    cluster: broker,
    commit: 'eager',
    platform: { ...platform, clock: steered },
  });
  await app.running;

  const producer = client.producer();
  await producer.send(foreign, { value: 'elm' });
  let sentCount = 0;
  const count = async (): Promise<void> => {
    await producer.send(words, { value: 'elm' });
    sentCount++;
    for await (const { value } of client.records(counts)) if (value === sentCount) return;
  };
  const startOffset = async (): Promise<number> => (await client.admin.listOffsets(between, 'earliest'))[0]!.offset;
  const committedOffset = async (): Promise<number> => {
    const offsets = await client.admin.listConsumerGroupOffsets('purged');
    return offsets.find((at) => at.topic === between)!.offset;
  };

  await count();
  monotonicMs = 29_999;
  await count();
  await count(); // a request of the last commit would have been answered by now
  expect(await startOffset()).toBe(0);

  const processedOffset = await committedOffset();
  monotonicMs = 30_000;
  await count(); // its own record is in the topic, and not read yet, when the first commit after the interval deletes
  while ((await startOffset()) === 0) {
    await Promise.race([app.done, new Promise((resolve) => setImmediate(resolve))]);
  }
  expect(await startOffset()).toBe(processedOffset);
  expect(await client.admin.listOffsets(foreign.name, 'earliest')).toMatchObject([{ offset: 0 }]);

  await count();
  expect(await startOffset()).toBe(processedOffset); // not before another 30 s
  await app.close();
});

import { Broker } from '@millrace/broker';
import { Client } from '@millrace/client';
import { json, string, topic } from '@millrace/serde';
import { expect, it } from 'vitest';
import { StreamsBuilder } from '../dsl/builder.ts';
import { Streams } from './app.ts';

it.each(['exactly_once_v2', 'at_least_once'] as const)(
  'positions are committed with the answers of the calls that a table’s changes make at the commit (%s)',
  async (processingGuarantee) => {
    await using broker = await Broker.open({ data: 'memory' });
    await using client = await Client.connect(broker);
    const clicks = topic('clicks', { key: string, value: json<number>(), numPartitions: 1 });
    const scores = topic('scores', { key: string, value: json<number>(), numPartitions: 1 });
    await client.admin.createTopics([clicks, scores]);
    const builder = new StreamsBuilder('calls');
    let answer: (score: number) => void = () => {};
    const called = new Promise<void>((resolve) => {
      builder
        .stream(clicks)
        .groupByKey()
        .count({ name: 'counts' })
        .updates()
        .mapAsync(
          () =>
            new Promise<number>((answered) => {
              answer = answered;
              resolve();
            }),
          { concurrency: 1, timeoutMs: 60_000 },
        )
        .to(scores);
    });
    await using app = Streams.start(builder.build(), { cluster: broker, processingGuarantee, commitIntervalMs: 1 });
    await app.running;
    const { offset } = await client.producer().send(clicks, { key: 'ada', value: 1 });
    await called;
    const committed = async (): Promise<number | undefined> =>
      (await client.admin.listConsumerGroupOffsets('calls')).find(({ topic: name }) => name === 'clicks')?.offset;
    expect(await committed()).toBe(offset); // where it began
    answer(7);
    for await (const { key, value } of client.records(scores)) {
      expect([key, value]).toEqual(['ada', 7]);
      break;
    }
    await app.close();
    expect(await committed()).toBeGreaterThan(offset);
  },
);

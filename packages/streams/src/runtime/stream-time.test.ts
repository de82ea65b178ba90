import { expect, it } from 'vitest';
import { Broker } from '@millrace/broker';
import { Client } from '@millrace/client';
import { json, string, topic } from '@millrace/serde';
import { StreamsBuilder } from '../dsl/builder.ts';
import { Streams } from './app.ts';

const input = topic('input', { key: string, value: json<number>(), numPartitions: 1 });
const times = topic('times', { key: string, value: json<number>(), numPartitions: 1 });

it.each(['exactly_once_v2', 'at_least_once'] as const)(
  '%s: a task goes on at the stream time of its last commit, whatever the time of its first record',
  async (processingGuarantee) => {
    await using broker = await Broker.open({ data: 'memory' });
    await using client = await Client.connect(broker);
    await client.admin.createTopics([input, times]);
    const builder = new StreamsBuilder('app');
    builder
      .stream(input)
      .process({ name: 'time', stores: {}, onRecord: (_value, _key, { streamTimeMs }) => [streamTimeMs] })
      .to(times);
    const topology = builder.build();
    const streamTimes: number[] = [];
    for (const timestampMs of [1000, 5]) {
      await using app = Streams.start(topology, { cluster: broker, processingGuarantee, commitIntervalMs: 5 });
      await app.running;
      await client.producer().send(input, { key: 'k', value: 0, timestampMs });
      streamTimes.length = 0;
      const count = timestampMs === 1000 ? 1 : 2;
      for await (const { value } of client.records(times)) if (streamTimes.push(value) === count) break;
    }
    expect(streamTimes).toEqual([1000, 1000]);
  },
);

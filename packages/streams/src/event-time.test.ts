import { Broker } from '@millrace/broker';
import { Client } from '@millrace/client';
import { json, string, topic } from '@millrace/serde';
import { expect, it } from 'vitest';
import { Streams, StreamsBuilder } from './index.ts';

it('outlives internal topics, also on a broker that stamps records with the time of their writing', async () => {
  const input = topic('input', { key: string, value: json<number>() });
  const output = topic('output', { key: string, value: json<number>() });
  await using broker = await Broker.open({
    data: 'memory',
    config: { 'log.message.timestamp.type': 'LogAppendTime' },
  });
  await using client = await Client.connect(broker);
  const config = { 'message.timestamp.type': 'CreateTime' } as const;
  await client.admin.createTopics([input, output].map(({ name }) => ({ name, numPartitions: 1, config })));
  const builder = new StreamsBuilder('event-time');
  builder.stream(input).repartition({ name: 'again' }).to(output);
  await using app = Streams.start(builder.build(), { cluster: broker, commit: 'eager' });
  await app.running;
  await client.producer().send(input, { key: 'k', value: 1, timestampMs: 1234 });
  for await (const { timestampMs } of client.records(output, { from: 'earliest' })) {
    expect(timestampMs).toBe(1234);
    break;
  }
});

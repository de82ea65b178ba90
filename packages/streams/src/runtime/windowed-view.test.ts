import { Broker } from '@millrace/broker';
import { Client } from '@millrace/client';
import { json, string, topic } from '@millrace/serde';
import { expect, it } from 'vitest';
import { StreamsBuilder } from '../dsl/builder.ts';
import { tumbling } from '../dsl/windows.ts';
import { Streams } from './app.ts';

it('a view of a table by windows finds a row on the partition of its key', async () => {
  await using broker = await Broker.open({ data: 'memory' });
  await using client = await Client.connect(broker);
  const clicks = topic('clicks', { key: string, value: json<number>(), numPartitions: 8 });
  await client.admin.createTopics([clicks]);
  const builder = new StreamsBuilder('views');
  const table = builder
    .stream(clicks)
    .groupByKey()
    .windowedBy(tumbling({ sizeMs: 10, graceMs: 0 }))
    .count({ name: 'counts' })
    .filter((count) => count > 0)
    .materialize({ name: 'busy' });
  await using app = Streams.start(builder.build(), { cluster: broker, commitIntervalMs: 10 });
  await app.running;
  const producer = client.producer();
  const keys = ['ada', 'bob', 'cyd', 'dan', 'eve'];
  const found = [];
  for (const key of keys) {
    const after = await producer.send(clicks, { key, value: 1, timestampMs: 20 });
    found.push((await app.view(table).get({ key, window: { startMs: 20, endMs: 30 } }, { after })).value);
  }
  expect(found).toEqual(keys.map(() => 1));
});

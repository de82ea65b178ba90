import { expect, it } from 'vitest';
import { Broker } from '@millrace/broker';
import { Client } from '@millrace/client';
import { int64, string, topic } from '@millrace/serde';
import { StreamsBuilder } from '../dsl/builder.ts';
import { Streams } from './app.ts';

const lines = topic('lines', { key: string, value: string, numPartitions: 2 });
const counts = topic('word-counts', { key: string, value: int64, numPartitions: 2 });

function wordCount() {
  const builder = new StreamsBuilder('word-count');
  builder
    .stream(lines)
    .flatMapValues((line) => line.toLowerCase().match(/\p{L}+/gu) ?? [])
    .groupBy((word) => word, { name: 'by-word', key: string })
    .count({ name: 'counts' })
    .to(counts);
  return builder.build();
}

it('counts words exactly once', async () => {
  await using broker = await Broker.open({ data: 'memory' });
  await using client = await Client.connect(broker);
  await client.admin.createTopics([lines, counts]);
  await using app = Streams.start(wordCount(), { cluster: broker });
  await app.running;
  await client.producer().send(lines, [
    { key: 'a', value: 'the quick brown fox' },
    { key: 'b', value: 'jumps over the lazy dog the' },
  ]);
  const seen = new Map<string, number>();
  for await (const record of client.records(counts)) {
    seen.set(record.key, record.value);
    if (seen.size === 8 && seen.get('the') === 3) break;
  }
  expect(seen.get('the')).toBe(3);
});

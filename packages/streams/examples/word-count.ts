/** Word count: a topic of lines in, a table of words out; here under the test driver, which is the same engine. */
import { int64, string, topic } from '@millrace/serde';
import { StreamsBuilder } from '@millrace/streams';
import { TestDriver } from '@millrace/streams/testing';

const lines = topic('lines', { value: string });
const counts = topic('word-counts', { key: string, value: int64, config: { 'cleanup.policy': 'compact' } });

const builder = new StreamsBuilder('word-count');
builder
  .stream(lines)
  .flatMapValues((line) => line.toLowerCase().match(/\p{L}+/gu) ?? [])
  .groupBy((word) => word, { name: 'by-word', key: string }) // a new key: its topic has a name
  .count({ name: 'counts' }) // state: its store has a name
  .to(counts);

export const topology = builder.build();

using driver = new TestDriver(topology);
driver.pipeInput(lines, { value: 'the quick brown fox' }, { value: 'the lazy dog' });
for (const { key, value } of driver.readRecords(counts)) console.log(key, value);

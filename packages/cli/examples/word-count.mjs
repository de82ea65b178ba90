/** How often each word was said: `millrace run packages/cli/examples/word-count.mjs`. */
import { string, topic } from '@millrace/serde';
import { StreamsBuilder } from '@millrace/streams';

export const lines = topic('lines', { value: string });
export const counts = topic('word-counts', { key: string, value: string });

const builder = new StreamsBuilder('word-count');
builder
  .stream(lines)
  .flatMapValues((line) => line.toLowerCase().match(/\p{L}+/gu) ?? [])
  .groupBy((word) => word, { name: 'by-word', key: string }) // a new key: its topic has a name
  .count({ name: 'counts' }) // state: its store has a name
  .mapValues((count) => String(count)) // as text, to be read in a terminal
  .to(counts);

export const topology = builder.build();

import { partitionForKey } from '@millrace/client';
import { json, string, topic, windowed, type Topic, type Windowed } from '@millrace/serde';
import { expect, it } from 'vitest';
import { StreamsBuilder, tumbling, type KStream, type WindowedKTable } from '../index.ts';
import { TestDriver } from '../testing/index.ts';

const input = topic('input', { key: string, value: json<number>(), numPartitions: 8 });
const window = windowed(string, { sizeMs: 10 });
const windows = topic('windows', { key: window, value: json<any>(), numPartitions: 8 });
const keys = ['ada', 'bob', 'cyd', 'dan', 'eve'];
const inputs = keys.flatMap((key) => [0, 10, 20].map((timestampMs) => ({ key, value: 1, timestampMs })));

function counting(): { builder: StreamsBuilder; counts: WindowedKTable<string, number> } {
  const builder = new StreamsBuilder('windowed');
  const counts = builder
    .stream(input)
    .groupByKey()
    .windowedBy(tumbling({ sizeMs: 10, graceMs: 1000 }))
    .count({ name: 'counts' });
  return { builder, counts };
}
function readPlaces(driver: TestDriver): Record<string, number[]> {
  const places: Record<string, number[]> = {};
  for (const { key, partition } of driver.readRecords(windows)) (places[key.key] ??= []).push(partition);
  return places;
}

// murmur2 of the key's UTF-8 alone, as Java's partitioner has it, by 8.
const expected = Object.fromEntries(keys.map((key) => [key, Array(3).fill(partitionForKey(Buffer.from(key), 8))]));

it.each<[string, (counts: WindowedKTable<string, number>) => void]>([
  ['a table', (counts) => counts.to(windows)],
  ['a stream', (counts) => counts.updates().to(windows)],
  ['a stream that names the topic by record', (counts) => counts.updates().to(() => windows)],
  ['a stream behind a repartition topic', (counts) => counts.updates().repartition({ name: 'again' }).to(windows)],
])('windows written by %s lie on the partition of their key', (_name, write) => {
  const { builder, counts } = counting();
  write(counts);
  using driver = new TestDriver(builder.build(), { numPartitions: 8 });
  driver.pipeInput(input, ...inputs);
  expect(readPlaces(driver)).toEqual(expected);
});

it('a partitioner that is given chooses all the same', () => {
  const { builder, counts } = counting();
  counts.updates().to(windows, { partitioner: () => 5 });
  using driver = new TestDriver(builder.build(), { numPartitions: 8 });
  driver.pipeInput(input, ...inputs);
  expect(Object.values(readPlaces(driver)).flat()).toEqual(Array(15).fill(5));
});

it('a table of windows meets the windows of another topic, whose keys it shares partitions with', () => {
  const wishes = topic('wishes', { key: string, value: json<{ of: string; startMs: number }>(), numPartitions: 8 });
  const { builder, counts } = counting();
  const asked: KStream<Windowed<string>, unknown> = builder
    .stream(wishes)
    .selectKey(({ of, startMs }) => ({ key: of, window: { startMs, endMs: startMs + 10 } }), {
      name: 'asked',
      key: window,
    });
  asked.join(counts, (_wish, count) => count).to(windows);
  using driver = new TestDriver(builder.build(), { numPartitions: 8 });
  driver.pipeInput(input, ...keys.map((key) => ({ key, value: 1, timestampMs: 0 })));
  driver.pipeInput(wishes, ...keys.map((of) => ({ key: 'me', value: { of, startMs: 0 } })));
  const met = Object.fromEntries(driver.readRecords(windows).map(({ key, value }) => [key.key, value]));
  expect(met).toEqual(Object.fromEntries(keys.map((key) => [key, 1])));
});

it('windows of two sizes do not meet, nor do those of keys in two encodings', () => {
  const other = topic('other', { key: windowed(string, { sizeMs: 20 }), value: json<number>() });
  const bytes = topic('bytes', { key: windowed(json<string>(), { sizeMs: 10 }), value: json<number>() });
  const join = (one: typeof windows, two: Topic<Windowed<string>, number>): unknown => {
    const builder = new StreamsBuilder('apart');
    builder
      .stream(one)
      .join(builder.table(two, { name: 'two' }), (a) => a)
      .to(windows);
    return builder.build();
  };
  expect(() => join(windows, other)).toThrow(/windowed\(string,10\).*windowed\(string,20\)/);
  expect(() => join(windows, bytes)).toThrow(/encoded differently/);
  const { builder, counts } = counting();
  builder
    .stream(bytes)
    .join(counts, (a) => a)
    .to(windows);
  expect(() => builder.build()).toThrow(
    /'input' \(string\) and 'bytes' \(windowed\(json,10\)\)|'bytes' .* and 'input'/,
  );
});

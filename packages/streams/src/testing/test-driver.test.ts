import { json, nullable, string, topic, topicPattern } from '@millrace/serde';
import { map } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { agg, StreamsBuilder, type Sink } from '../index.ts';
import { TestDriver, type CommitStep } from './index.ts';

const input = topic('input', { key: string, value: json<number>() });
const output = topic('output', { key: string, value: json<any>() });
const steps: readonly CommitStep[] = ['drain', 'flushSinks', 'flushProducer', 'sendOffsets', 'commit', 'writeStores'];

function sink(name: string): Sink<string, number> {
  return { name, tier: 'transactional', open: () => Promise.reject(new Error('a test opens no sink')) };
}

describe('crashes', () => {
  const target = sink('target');
  function counting() {
    const builder = new StreamsBuilder('crash');
    const counts = builder
      .stream(input)
      .groupBy((n) => (n % 2 ? 'odd' : 'even'), { name: 'by', key: string })
      .count({ name: 'counts' });
    counts.to(output);
    const echo = topic('echo', { key: string, value: json<number>() });
    const stream = builder.stream(input);
    stream.to(echo);
    stream.sink(target);
    return { topology: builder.build(), counts, echo };
  }
  const send = (driver: TestDriver, ...values: readonly number[]): void =>
    driver.pipeInput(input, ...values.map((value) => ({ key: 'k', value })));

  it.each(steps)('before %s: every record has its effect once, on topics, in state and in sinks', (step) => {
    const { topology, counts, echo } = counting();
    using driver = new TestDriver(topology, { autoCommit: false });
    send(driver, 1, 2);
    driver.commit();
    send(driver, 3);
    driver.crashBefore(step);
    expect(() => driver.commit()).toThrow(expect.objectContaining({ code: 'SIMULATED_CRASH', context: { step } }));
    expect(() => send(driver, 4)).toThrow(expect.objectContaining({ code: 'DRIVER_DOWN' }));
    driver.restart();
    send(driver, 5);
    driver.commit();
    expect(driver.readValues(echo)).toEqual([1, 2, 3, 5]);
    expect([...driver.store(counts).all()]).toEqual([
      ['even', 1],
      ['odd', 3],
    ]);
    expect(driver.readRecords(output).at(-1)).toMatchObject({ key: 'odd', value: 3 });
    expect(driver.written(target).map(({ value, offset, ordinal }) => [value, offset, ordinal])).toEqual([
      [1, 0, 0],
      [2, 1, 0],
      [3, 2, 0],
      [5, 3, 0],
    ]);
  });

  it('nothing is seen before its commit', () => {
    const { topology, echo } = counting();
    using driver = new TestDriver(topology, { autoCommit: false });
    send(driver, 1);
    expect([driver.readValues(echo), driver.written(target)]).toEqual([[], []]);
    driver.commit();
    expect(driver.readValues(echo)).toEqual([1]);
    expect(driver.written(target)).toHaveLength(1);
    expect([driver.readValues(echo), driver.written(target)]).toEqual([[], []]);
  });

  it('an edited plan goes on from the state, one that does not fit is refused', () => {
    const plan = (name: string, factor: number) => {
      const builder = new StreamsBuilder('edited');
      builder
        .stream(input)
        .groupByKey()
        .count({ name })
        .mapValues((n) => n * factor)
        .to(output);
      return builder.build();
    };
    using driver = new TestDriver(plan('n', 1));
    send(driver, 1, 1);
    driver.restart(plan('n', 100));
    send(driver, 1);
    expect(driver.readValues(output)).toEqual([1, 2, 300]);
    expect(() => driver.restart(plan('m', 1))).toThrow(expect.objectContaining({ code: 'INCOMPATIBLE_PLAN' }));
  });
});

it('partitions keep to themselves, and stores show all of them', () => {
  const builder = new StreamsBuilder('partitions');
  const sums = builder
    .stream(input)
    .groupByKey()
    .aggregate({ sum: agg.sum((n) => n) }, { name: 'sums' });
  const seen: [string, number][] = [];
  builder.stream(input).peek((_, key, { partition }) => seen.push([key, partition]));
  using driver = new TestDriver(builder.build(), { numPartitions: 4 });
  const keys = ['a', 'b', 'c', 'd', 'e', 'f'];
  driver.pipeInput(input, ...[...keys, ...keys].map((key) => ({ key, value: 1 })));
  driver.restart();
  expect(new Map(driver.store(sums).all())).toEqual(new Map(keys.map((key) => [key, { sum: 2 }])));
  expect(new Set(seen.map(([, partition]) => partition)).size).toBeGreaterThan(1);
  for (const key of keys) expect(new Set(seen.filter(([k]) => k === key).map(([, p]) => p)).size).toBe(1);
});

it('a record may name its partition', () => {
  const builder = new StreamsBuilder('named');
  builder
    .stream(input)
    .mapValues((_v, _k, { partition }) => partition)
    .to(output);
  using driver = new TestDriver(builder.build(), { numPartitions: 3 });
  driver.pipeInput(input, { key: 'k', value: 0, partition: 2 });
  expect(driver.readValues(output)).toEqual([2]);
  expect(() => driver.pipeInput(input, { key: 'k', value: 0, partition: 3 })).toThrow(/there is no 3/);
});

it('a pattern reads topics that come later, and begins where the plan says', () => {
  const builder = new StreamsBuilder('pattern');
  builder
    .stream(topicPattern(/^in-/, { key: string, value: json<number>() }))
    .mapValues((n, _k, { topic: name }) => `${name} ${n}`)
    .to(output);
  using driver = new TestDriver(builder.build());
  for (const name of ['in-1', 'other', 'in-2'])
    driver.pipeInput(topic(name, { key: string, value: json<number>() }), { key: 'k', value: 1 });
  expect(driver.readValues(output)).toEqual(['in-1 1', 'in-2 1']);
});

it('inputs of a task meet in the order of their times, as far as they are there', () => {
  const [left, right] = [
    topic('left', { key: string, value: json<number>() }),
    topic('right', { key: string, value: json<number>() }),
  ];
  const plan = (isCut: boolean) => {
    const builder = new StreamsBuilder('order');
    const merged = builder.stream(left).merge(builder.stream(right));
    (isCut ? merged : merged).to(output);
    return builder.build();
  };
  using driver = new TestDriver(plan(false), { autoCommit: false });
  driver.pipeInput(left, { key: 'k', value: 1, timestampMs: 10 }, { key: 'k', value: 3, timestampMs: 30 });
  driver.pipeInput(right, { key: 'k', value: 2, timestampMs: 20 }, { key: 'k', value: 4, timestampMs: 40 });
  driver.restart(); // now all four are there
  driver.commit();
  expect(driver.readValues(output)).toEqual([1, 2, 3, 4]);
});

describe('marbles', () => {
  const builder = new StreamsBuilder('marbles');
  builder.stream(input).to(output);
  const topology = builder.build();
  const records = { a: { key: 'k', value: 1 }, b: { key: 'k', value: 2 } };

  it('are a record a letter, a frame apart', () => {
    using driver = new TestDriver(topology, { startMs: 5000 });
    driver.pipeMarbles(input, 'a- b(ab)b', records);
    expect(driver.readRecords(output).map(({ value, timestampMs }) => [value, timestampMs])).toEqual([
      [1, 5000],
      [2, 7000],
      [1, 8000],
      [2, 8000],
      [2, 9000],
    ]);
    driver.pipeMarbles(input, '-a', records, { frameMs: 10 });
    expect(driver.readRecords(output)[0]?.timestampMs).toBe(5010);
  });

  it.each(['a|', '(ab', 'c', 'a)', '((a))'])('%s is refused', (marbles) => {
    using driver = new TestDriver(topology);
    expect(() => driver.pipeMarbles(input, marbles, records)).toThrow(/marble|group/);
  });
});

it('records without a time have that of the wall clock', () => {
  const builder = new StreamsBuilder('now');
  builder.stream(input).to(output);
  using driver = new TestDriver(builder.build(), { startMs: 1000 });
  driver.advanceWallClockTime(500);
  driver.pipeInput(input, { key: 'k', value: 1 });
  expect(driver.readRecords(output)[0]?.timestampMs).toBe(1500);
});

it('the scheduler is on the same virtual time', () => {
  const builder = new StreamsBuilder('scheduler');
  builder
    .stream(input)
    .pipe(map((n) => n))
    .to(output);
  using driver = new TestDriver(builder.build());
  const ticks: number[] = [];
  driver.scheduler.schedule(() => ticks.push(driver.scheduler.now()), 100);
  driver.advanceWallClockTime(99);
  expect(ticks).toEqual([]);
  driver.advanceWallClockTime(1);
  expect(ticks).toEqual([100]);
});

it('a store that the plan has not is an error', () => {
  const builder = new StreamsBuilder('unknown');
  builder.stream(input);
  using driver = new TestDriver(builder.build());
  expect(() => driver.store({ storeName: 'nope' })).toThrow(expect.objectContaining({ code: 'INVALID_PLAN' }));
});

it('a topic has as many partitions as its contract says', () => {
  const three = topic('three', { key: string, value: json<number>(), numPartitions: 3 });
  const builder = new StreamsBuilder('contract');
  builder.stream(three).to(output);
  using driver = new TestDriver(builder.build());
  driver.pipeInput(three, { key: 'k', value: 1, partition: 2 });
  expect(() => driver.pipeInput(three, { key: 'k', value: 1, partition: 3 })).toThrow(RangeError);
  expect(driver.readValues(output)).toEqual([1]);
});

it('internal topics have as many as the topics whose keys they share', () => {
  const four = topic('four', { key: string, value: json<number>(), numPartitions: 4 });
  const names = topic('names', { key: string, value: string });
  const builder = new StreamsBuilder('contract');
  const sums = builder
    .stream(four)
    .join(builder.table(names, { name: 'names' }), (n) => n)
    .groupByKey()
    .reduce((a, b) => a + b, { name: 'sums' });
  sums
    .toStream()
    .groupBy((_, key) => key.slice(0, 1), { name: 'by-letter', key: string })
    .count({ name: 'counts' })
    .toStream()
    .to(output);
  using driver = new TestDriver(builder.build());
  for (const key of ['a', 'b', 'c', 'd', 'e']) {
    driver.pipeInput(names, { key, value: key });
    driver.pipeInput(four, { key, value: 1 }, { key, value: 2 });
  }
  expect(driver.readRecords(output).map(({ key, value }) => [key, value])).toEqual(
    ['a', 'b', 'c', 'd', 'e'].flatMap((key) => [
      [key, 1],
      [key, 2],
    ]),
  );
  expect(driver.store(sums).get('e')).toBe(3);
});

it('values go through their serdes on the way in and out', () => {
  const builder = new StreamsBuilder('serdes');
  const loose = topic('loose', { key: string, value: nullable(json<unknown>()) });
  builder.stream(loose).to(output);
  using driver = new TestDriver(builder.build());
  driver.pipeInput(loose, { key: 'k', value: { at: new Date(0), n: NaN } });
  expect(driver.readValues(output)).toEqual([{ at: '1970-01-01T00:00:00.000Z', n: null }]);
  expect(() => driver.pipeInput(loose, { key: 'k', value: 5n })).toThrow(
    expect.objectContaining({ code: 'UNENCODABLE' }),
  );
});

import { int64, json, nullable, recordHeaders, string, topic } from '@millrace/serde';
import { describe, expect, it } from 'vitest';
import { deadLetterOf, deadLetters, StreamsBuilder, type BuilderOptions, type KStream } from '../index.ts';
import { TestDriver } from '../testing/index.ts';

const input = topic('input', { key: string, value: json<number>() });
const output = topic('output', { key: string, value: json<any>() });

/** What a pipeline makes of numbers, as [key, value, time]. */
function outputOf(
  pipeline: (stream: KStream<string, number>) => KStream<any, any>,
  values: readonly number[],
  options?: BuilderOptions,
): unknown[] {
  const builder = new StreamsBuilder('stateless', options);
  pipeline(builder.stream(input)).to(output);
  using driver = new TestDriver(builder.build());
  driver.pipeInput(input, ...values.map((value, index) => ({ key: 'k', value, timestampMs: 10 * index })));
  return driver.readRecords(output).map(({ key, value, timestampMs }) => [key, value, timestampMs]);
}

describe('operators on a record at a time', () => {
  it('filter lets through what passes', () => {
    expect(outputOf((s) => s.filter((n) => n > 1), [1, 2, 3])).toEqual([
      ['k', 2, 10],
      ['k', 3, 20],
    ]);
  });

  it('mapValues keeps key and time', () => {
    expect(outputOf((s) => s.mapValues((n, key) => `${key}${n}`), [1, 2])).toEqual([
      ['k', 'k1', 0],
      ['k', 'k2', 10],
    ]);
  });

  it('flatMapValues passes on all results in order, and none of an empty list', () => {
    const pipeline = (s: KStream<string, number>) => s.flatMapValues((n) => Array.from({ length: n }, (_, i) => i));
    expect(outputOf(pipeline, [2, 0, 1])).toEqual([
      ['k', 0, 0],
      ['k', 1, 0],
      ['k', 0, 20],
    ]);
    function* twice(n: number) {
      yield n;
      yield -n;
    }
    expect(outputOf((s) => s.flatMapValues(twice), [1])).toEqual([
      ['k', 1, 0],
      ['k', -1, 0],
    ]);
  });

  it('peek sees what passes and changes nothing', () => {
    const seen: unknown[] = [];
    expect(
      outputOf((s) => s.peek((n, key, { timestampMs, offset }) => seen.push([n, key, timestampMs, offset])), [5]),
    ).toEqual([['k', 5, 0]]);
    expect(seen).toEqual([[5, 'k', 0, 0]]);
  });

  it('withTimestamp sets the time for what follows it alone', () => {
    const builder = new StreamsBuilder('time');
    const other = topic('other', { key: string, value: json<number>() });
    const stream = builder.stream(input);
    stream.withTimestamp((n) => n * 100).to(output);
    stream.to(other);
    using driver = new TestDriver(builder.build());
    driver.pipeInput(input, { key: 'k', value: 7, timestampMs: 1 });
    expect(driver.readRecords(output)[0]?.timestampMs).toBe(700);
    expect(driver.readRecords(other)[0]?.timestampMs).toBe(1);
  });

  it.each([-1, 0.5, NaN])('withTimestamp refuses %d', (timestampMs) => {
    expect(() => outputOf((s) => s.withTimestamp(() => timestampMs), [1])).toThrow(
      expect.objectContaining({ code: 'RECORD_FAILED' }),
    );
  });

  it('withHeaders adds to the headers, in order', () => {
    const builder = new StreamsBuilder('headers');
    builder
      .stream(input)
      .withHeaders((n) => ({ n: String(n) }))
      .to(output);
    using driver = new TestDriver(builder.build());
    driver.pipeInput(input, { key: 'k', value: 7, headers: { trace: 'abc' } });
    const [record] = driver.readRecords(output);
    expect([...record!.headers].map(([name, value]) => [name, Buffer.from(value!).toString()])).toEqual([
      ['trace', 'abc'],
      ['n', '7'],
    ]);
  });

  it('selectKey, map and flatMap give new keys, without a topic where nothing needs them together', () => {
    const select = (s: KStream<string, number>) => s.selectKey((n) => `n${n}`, { name: 'by-n', key: string });
    expect(outputOf(select, [1])).toEqual([['n1', 1, 0]]);
    const map = (s: KStream<string, number>) =>
      s.map((n, key) => ({ key: key + key, value: n + 1, timestampMs: 77 }), { name: 'm', key: string });
    expect(outputOf(map, [1])).toEqual([['kk', 2, 77]]);
    const flat = (s: KStream<string, number>) =>
      s.flatMap(
        (n) => [
          { key: 'a', value: n },
          { key: 'b', value: n, timestampMs: 5 },
          { key: 'c', value: n },
        ],
        { name: 'f', key: string },
      );
    expect(outputOf(flat, [0, 1])).toEqual([
      ['a', 0, 0],
      ['b', 0, 5],
      ['c', 0, 0],
      ['a', 1, 10],
      ['b', 1, 5],
      ['c', 1, 10],
    ]);
  });

  it('branch gives each record to the first that takes it, and the rest to rest', () => {
    const builder = new StreamsBuilder('branch');
    const out = {
      small: topic('small', { key: string, value: json<number>() }),
      even: topic('even', { key: string, value: json<number>() }),
      rest: topic('rest', { key: string, value: json<number>() }),
    };
    const { small, even, rest } = builder.stream(input).branch({ small: (n) => n < 3, even: (n) => n % 2 === 0 });
    small.to(out.small);
    even.to(out.even);
    rest.to(out.rest);
    using driver = new TestDriver(builder.build());
    driver.pipeInput(input, ...[1, 2, 3, 4].map((value) => ({ key: 'k', value })));
    expect([driver.readValues(out.small), driver.readValues(out.even), driver.readValues(out.rest)]).toEqual([
      [1, 2],
      [4],
      [3],
    ]);
  });

  it('merge passes on both', () => {
    const builder = new StreamsBuilder('merge');
    const second = topic('second', { key: string, value: string });
    builder.stream(input).merge(builder.stream(second)).to(output);
    using driver = new TestDriver(builder.build());
    driver.pipeInput(second, { key: 'k', value: 'a' });
    driver.pipeInput(input, { key: 'k', value: 1 });
    expect(driver.readValues(output)).toEqual(['a', 1]);
  });

  it('to may choose the topic, and a partitioner the partition', () => {
    const builder = new StreamsBuilder('to');
    const topics = [
      topic('even', { key: string, value: json<number>() }),
      topic('odd', { key: string, value: json<number>() }),
    ];
    builder.stream(input).to((n) => topics[n % 2]!, { partitioner: (n, { numPartitions }) => n % numPartitions });
    using driver = new TestDriver(builder.build(), { numPartitions: 3 });
    driver.pipeInput(input, ...[3, 4].map((value) => ({ key: 'k', value })));
    expect(driver.readRecords(topics[1]!).map(({ value, partition }) => [value, partition])).toEqual([[3, 0]]);
    expect(driver.readRecords(topics[0]!).map(({ value, partition }) => [value, partition])).toEqual([[4, 1]]);
  });

  it('repartition goes through a topic, nulls and all', () => {
    const builder = new StreamsBuilder('repartition');
    const nulls = topic('nulls', { key: nullable(string), value: nullable(json<number>()) });
    const out = topic('out', { key: nullable(string), value: nullable(json<number>()) });
    builder.stream(nulls).repartition({ name: 'again' }).to(out);
    const topology = builder.build();
    expect(topology.nodes.map(({ topic: name, subtopology }) => [name, subtopology])).toEqual([
      ['nulls', 0],
      ['repartition-again-repartition', 0],
      ['repartition-again-repartition', 1],
      ['out', 1],
    ]);
    using driver = new TestDriver(topology);
    driver.pipeInput(nulls, { key: null, value: null }, { key: 'a', value: 1 });
    expect(driver.readRecords(out).map(({ key, value }) => [key, value])).toEqual([
      [null, null],
      ['a', 1],
    ]);
  });
});

describe('what fails', () => {
  const failing = (s: KStream<string, number>, onError?: any): KStream<string, number> =>
    s.mapValues(
      (n) => {
        if (n === 2) throw new RangeError('two');
        return n;
      },
      { name: 'picky', onError },
    );

  it('stops the app by default, naming node and record; nothing of it is committed', () => {
    const builder = new StreamsBuilder('fail');
    const stream = builder.stream(input);
    stream.to(topic('before', { key: string, value: json<number>() }));
    failing(stream).to(output);
    using driver = new TestDriver(builder.build());
    driver.pipeInput(input, { key: 'k', value: 1 });
    expect(() => driver.pipeInput(input, { key: 'k', value: 2 })).toThrow(
      expect.objectContaining({
        code: 'RECORD_FAILED',
        context: { node: 'picky', topic: 'input', partition: 0, offset: 1 },
        cause: expect.objectContaining({ message: 'two' }),
      }),
    );
    expect(driver.readValues(topic('before', { key: string, value: json<number>() }))).toEqual([1]);
    expect(() => driver.pipeInput(input, { key: 'k', value: 3 })).toThrow(
      expect.objectContaining({ code: 'DRIVER_DOWN' }),
    );
  });

  it('is skipped if the policy says so, and the failure told', () => {
    const builder = new StreamsBuilder('skip');
    failing(builder.stream(input), 'skip').to(output);
    using driver = new TestDriver(builder.build());
    driver.pipeInput(input, ...[1, 2, 3].map((value) => ({ key: 'k', value, timestampMs: value })));
    expect(driver.readValues(output)).toEqual([1, 3]);
    expect(driver.readFailures()).toEqual([
      {
        node: 'picky',
        outcome: 'skipped',
        error: expect.any(RangeError),
        source: { topic: 'input', partition: 0, offset: 1, timestampMs: 2 },
      },
    ]);
  });

  it('becomes a dead letter: the bytes as they came, the headers with the reason', () => {
    const letters = deadLetters('letters');
    const builder = new StreamsBuilder('dead', { onError: { deadLetter: letters.name } });
    failing(builder.stream(input).mapValues((n) => n + 1)).to(output);
    using driver = new TestDriver(builder.build());
    driver.pipeInput(input, { key: 'k', value: 1, timestampMs: 5, headers: { trace: 'abc' } });
    const [letter] = driver.readRecords(letters);
    expect(Buffer.from(letter!.value!).toString()).toBe('1');
    expect([letter!.headers.text('trace'), letter!.timestampMs]).toEqual(['abc', 5]);
    expect(deadLetterOf(letter!)).toEqual({
      applicationId: 'dead',
      node: 'picky',
      source: { topic: 'input', partition: 0, offset: 0, timestampMs: 5 },
      error: { name: 'RangeError', message: 'two', stack: expect.stringContaining('stateless.test') },
    });
  });

  it('is the failure of the node further down, not of those it has passed', () => {
    const outer = (s: KStream<string, number>) => failing(s.mapValues((n) => n, { onError: 'skip' }));
    expect(() => outputOf(outer, [2])).toThrow(
      expect.objectContaining({ context: expect.objectContaining({ node: 'picky' }) }),
    );
  });

  it('flatMapValues gives all results of a record or none', () => {
    function* half(n: number) {
      yield n;
      if (n === 2) throw new Error('half');
      yield -n;
    }
    expect(outputOf((s) => s.flatMapValues(half, { onError: 'skip' }), [1, 2])).toEqual([
      ['k', 1, 0],
      ['k', -1, 0],
    ]);
  });

  it.each([
    ['mapValues', (s: KStream<string, number>) => s.mapValues((async (n: number) => n) as never)],
    ['filter', (s: KStream<string, number>) => s.filter((async () => true) as never)],
    ['selectKey', (s: KStream<string, number>) => s.selectKey((async () => 'a') as never, { name: 'x', key: string })],
  ])('%s says so when it meets a promise', (_name, pipeline) => {
    expect(() => outputOf(pipeline as never, [1])).toThrow(
      expect.objectContaining({ cause: expect.objectContaining({ code: 'PROMISE_VALUE' }) }),
    );
  });

  it('an invalid record goes by onInvalid, a null without nullable too', () => {
    const builder = new StreamsBuilder('invalid');
    const numbers = topic('numbers', { key: string, value: int64 });
    builder.stream(numbers, { onInvalid: 'skip' }).to(topic('out', { key: string, value: int64 }));
    using driver = new TestDriver(builder.build());
    const raw = topic('numbers', { key: string, value: nullable(string) });
    driver.pipeInput(raw, { key: 'k', value: 'short' }, { key: 'k', value: null });
    driver.pipeInput(numbers, { key: 'k', value: 5 });
    expect(driver.readValues(topic('out', { key: string, value: int64 }))).toEqual([5]);
    expect(driver.readFailures().map(({ error }) => (error as { code: string }).code)).toEqual([
      'UNDECODABLE',
      'UNEXPECTED_NULL',
    ]);
  });

  it('a sink topic that cannot take the value fails in its own node', () => {
    expect(() => outputOf((s) => s.mapValues(() => 5n), [1])).toThrow(/failed in 'to-2'.*BigInt/);
  });
});

describe('retries', () => {
  const flaky = (failures: number) => {
    let left = failures;
    return (n: number): number => {
      if (n === 2 && left-- > 0) throw new Error('not yet');
      return n;
    };
  };

  it('try again after the backoff, doubled each time, and keep the order', () => {
    const builder = new StreamsBuilder('retry');
    builder
      .stream(input)
      .mapValues(flaky(2), { name: 'flaky', onError: { retries: 3, backoffMs: 100 } })
      .to(output);
    using driver = new TestDriver(builder.build());
    driver.pipeInput(input, ...[1, 2, 3].map((value) => ({ key: 'k', value, timestampMs: value })));
    expect(driver.readValues(output)).toEqual([1]);
    driver.advanceWallClockTime(299);
    expect(driver.readValues(output)).toEqual([]);
    driver.advanceWallClockTime(1);
    expect(driver.readRecords(output).map(({ value, timestampMs }) => [value, timestampMs])).toEqual([
      [2, 2],
      [3, 3],
    ]);
    expect(driver.readFailures().map(({ outcome }) => outcome)).toEqual(['retried', 'retried']);
  });

  it('give up by `then` after the last, and at once what `when` does not take', async () => {
    const builder = new StreamsBuilder('give-up');
    const policy = {
      retries: 1,
      backoffMs: 10,
      // oxlint-disable-next-line unicorn/no-thenable -- the policy's word for what comes after
      then: 'skip',
      when: (error: unknown) => (error as Error).message === 'not yet',
    } as const;
    builder
      .stream(input)
      .mapValues(flaky(5), { onError: policy })
      .mapValues(
        (n) => {
          if (n === 4) throw new Error('never');
          return n;
        },
        { onError: policy },
      )
      .to(output);
    using driver = new TestDriver(builder.build());
    driver.pipeInput(input, ...[1, 2, 3, 4, 5].map((value) => ({ key: 'k', value })));
    await driver.settled();
    expect(driver.readValues(output)).toEqual([1, 3, 5]);
    expect(driver.readFailures().map(({ outcome }) => outcome)).toEqual(['retried', 'skipped', 'skipped']);
  });

  it('keep the order of one record’s results, too', () => {
    const builder = new StreamsBuilder('fan');
    builder
      .stream(input)
      .flatMapValues((n) => [n, n + 1, n + 2])
      .mapValues(flaky(1), { onError: { retries: 1, backoffMs: 10 } })
      .to(output);
    using driver = new TestDriver(builder.build());
    driver.pipeInput(input, { key: 'k', value: 1 });
    driver.advanceWallClockTime(10);
    expect(driver.readValues(output)).toEqual([1, 2, 3]);
  });

  it('a record that waits is not committed: a crash brings it again', () => {
    const builder = new StreamsBuilder('waiting');
    builder
      .stream(input)
      .mapValues(flaky(1), { onError: { retries: 1 } })
      .to(output);
    using driver = new TestDriver(builder.build());
    driver.pipeInput(input, { key: 'k', value: 2 });
    expect(() => driver.commit()).toThrow(expect.objectContaining({ code: 'INVALID_PLAN' }));
    driver.restart();
    expect(driver.readValues(output)).toEqual([2]);
  });
});

it('headers of the record are the same object as long as nothing changes them', () => {
  const builder = new StreamsBuilder('same');
  const seen: unknown[] = [];
  builder
    .stream(input)
    .peek((_n, _k, { headers }) => seen.push(headers))
    .peek((_n, _k, { headers }) => seen.push(headers));
  using driver = new TestDriver(builder.build());
  driver.pipeInput(input, { key: 'k', value: 1, headers: recordHeaders({ a: 'b' }) });
  expect(seen[0]).toBe(seen[1]);
});

it.each([
  [-1, false],
  [0, true],
  [1.5, false],
  [Number.MAX_SAFE_INTEGER, true],
  [Infinity, false],
  [NaN, false],
])('an event time of %d is taken: %s', (eventMs, isTaken) => {
  const builder = new StreamsBuilder('event-time');
  builder.stream(input, { timestampMs: () => eventMs, onInvalid: 'skip' }).to(output);
  using driver = new TestDriver(builder.build());
  driver.pipeInput(input, { key: 'k', value: 1 });
  expect(driver.readRecords(output).map(({ timestampMs }) => timestampMs)).toEqual(isTaken ? [eventMs] : []);
  expect(driver.readFailures().map(({ outcome }) => outcome)).toEqual(isTaken ? [] : ['skipped']);
});

import { json, string, topic } from '@millrace/serde';
import { expect, it } from 'vitest';
import { StreamsBuilder, type ErrorPolicy } from '../index.ts';
import { TestDriver } from '../testing/index.ts';

const input = topic('input', { key: string, value: json<string>() });
const other = topic('other', { key: string, value: json<string>() });
const output = topic('output', { key: string, value: json<any>() });
const at = (timestampMs: number, value: string, key = 'k') => ({ key, value, timestampMs });
const read = (driver: TestDriver): unknown[] =>
  driver.readRecords(output).map(({ key, value, timestampMs }) => [key, value, timestampMs]);

/** Remembers words; a timer, moved by each word, says them 10 ms after the last one. */
function sayLater(clock: 'stream' | 'wall') {
  const builder = new StreamsBuilder('later');
  const words = builder.keyValueStore({ name: 'words', key: string, value: json<string[]>() });
  builder
    .stream(input)
    .process({
      name: 'say',
      stores: { words },
      *onRecord(word, key, { stores, timers, timestampMs, streamTimeMs }) {
        if (word === 'stop') {
          timers.cancel('say');
          return;
        }
        stores.words.put(key, [...(stores.words.get(key) ?? []), word]);
        timers.set('say', { atMs: (clock === 'stream' ? timestampMs : 0) + 10, clock });
        if (word === 'now') yield { timer: 'none', at: streamTimeMs, words: [] };
      },
      *onTimer(timer, key, { stores, timestampMs }) {
        yield { timer: timer.name, at: timestampMs, words: stores.words.get(key) ?? [] };
        stores.words.delete(key);
      },
    })
    .to(output);
  return { topology: builder.build(), words };
}

it('results are returned or yielded, and keep key and time', () => {
  const builder = new StreamsBuilder('results');
  builder
    .stream(input)
    .process({
      name: 'twice',
      *onRecord(word) {
        yield word;
        yield `${word}!`;
      },
    })
    .to(output);
  using driver = new TestDriver(builder.build());
  driver.pipeInput(input, at(7, 'a'));
  expect(read(driver)).toEqual([
    ['k', 'a', 7],
    ['k', 'a!', 7],
  ]);
});

it('a stream timer fires when stream time gets there, moved by each set, with its own time', () => {
  const { topology } = sayLater('stream');
  using driver = new TestDriver(topology);
  driver.pipeInput(input, at(0, 'a'), at(5, 'b'), at(14, 'x', 'other'));
  expect(read(driver)).toEqual([]);
  driver.pipeInput(input, at(15, 'y', 'other'));
  expect(read(driver)).toEqual([['k', { timer: 'say', at: 15, words: ['a', 'b'] }, 15]]);
  driver.advanceStreamTimeTo(25);
  expect(read(driver)).toEqual([['other', { timer: 'say', at: 25, words: ['x', 'y'] }, 25]]);
});

it('a cancelled timer does not fire', () => {
  const { topology } = sayLater('stream');
  using driver = new TestDriver(topology);
  driver.pipeInput(input, at(0, 'a'), at(1, 'stop'));
  driver.advanceStreamTimeTo(1000);
  expect(read(driver)).toEqual([]);
});

it('a timer that another one due with it has cancelled or moved does not fire; one that it sets waits for the next time', () => {
  const builder = new StreamsBuilder('due');
  builder
    .stream(input)
    .process({
      name: 'due',
      onRecord(word, _, { timers, timestampMs }) {
        if (word !== 'set') return;
        for (const name of ['a', 'b', 'c', 'd']) timers.set(name, { atMs: timestampMs + 10 });
      },
      *onTimer({ name, atMs }, _, { timers }) {
        yield name;
        if (name !== 'a') return;
        timers.cancel('b');
        timers.set('c', { atMs: atMs + 100 });
        timers.set('e', { atMs });
      },
    })
    .to(output);
  using driver = new TestDriver(builder.build());
  const fired = (): unknown[] => driver.readValues(output);
  driver.pipeInput(input, at(0, 'set'));
  driver.pipeInput(input, at(10, 'go'));
  expect(fired()).toEqual(['a', 'd']);
  driver.pipeInput(input, at(109, 'go'));
  expect(fired()).toEqual(['e']);
  driver.pipeInput(input, at(110, 'go'));
  expect(fired()).toEqual(['c']);
});

it('timers and stores outlive a crash, and each timer fires once', () => {
  const { topology, words } = sayLater('stream');
  using driver = new TestDriver(topology, { autoCommit: false });
  driver.pipeInput(input, at(0, 'a'));
  driver.commit();
  driver.pipeInput(input, at(20, 'b', 'late'));
  driver.crashBefore('commit');
  expect(() => driver.commit()).toThrow(expect.objectContaining({ code: 'SIMULATED_CRASH' }));
  driver.restart();
  driver.commit();
  expect(read(driver)).toEqual([['k', { timer: 'say', at: 10, words: ['a'] }, 10]]);
  expect([...driver.store(words).all()]).toEqual([['late', ['b']]]);
  driver.restart();
  driver.advanceStreamTimeTo(29);
  driver.commit();
  expect(read(driver)).toEqual([]);
});

it('a wall timer fires by the clock, whatever the records say', () => {
  const { topology } = sayLater('wall');
  using driver = new TestDriver(topology);
  driver.pipeInput(input, at(1_000_000, 'a'));
  driver.advanceWallClockTime(9);
  expect(read(driver)).toEqual([]);
  driver.restart();
  driver.advanceWallClockTime(1);
  expect(read(driver)).toEqual([['k', { timer: 'say', at: 10, words: ['a'] }, 10]]);
});

it('stream time is the greatest seen, also after a restart', () => {
  const { topology } = sayLater('stream');
  using driver = new TestDriver(topology);
  driver.pipeInput(input, at(100, 'a'));
  driver.restart();
  driver.pipeInput(input, at(5, 'now', 'early'));
  expect(read(driver)).toEqual([
    ['early', { timer: 'none', at: 100, words: [] }, 5],
    ['early', { timer: 'say', at: 15, words: ['now'] }, 15],
  ]);
});

it('processors that share a store run in one task', () => {
  const builder = new StreamsBuilder('shared');
  const last = builder.keyValueStore({ name: 'last', key: string, value: json<string>() });
  builder
    .stream(input)
    .process({ name: 'write', stores: { last }, onRecord: (word, key, { stores }) => stores.last.put(key, word) });
  builder
    .stream(other)
    .process({ name: 'read', stores: { last }, onRecord: (_, key, { stores }) => [stores.last.get(key) ?? null] })
    .to(output);
  const topology = builder.build();
  expect(new Set(topology.nodes.map(({ subtopology }) => subtopology)).size).toBe(1);
  using driver = new TestDriver(topology, { numPartitions: 3 });
  driver.pipeInput(input, at(0, 'a', 'x'), at(0, 'b', 'y'));
  driver.pipeInput(other, at(0, '?', 'y'), at(0, '?', 'x'));
  expect(driver.readValues(output)).toEqual(['b', 'a']);
});

it('a window store keeps values by start, for its retention', () => {
  const builder = new StreamsBuilder('window-store');
  const perTen = builder.windowStore({
    name: 'per-ten',
    key: string,
    sizeMs: 10,
    retentionMs: 20,
    value: json<string>(),
  });
  builder.stream(input).process({
    name: 'keep',
    stores: { perTen },
    onRecord: (word, key, { stores, timestampMs }) => stores.perTen.put(key, word, Math.floor(timestampMs / 10) * 10),
  });
  using driver = new TestDriver(builder.build());
  driver.pipeInput(input, at(5, 'a'), at(12, 'b'), at(13, 'c'));
  const all = { fromMs: 0, toMs: 100 };
  expect([...driver.store(perTen).fetch('k', all)].map(([{ window }, word]) => [window.startMs, word])).toEqual([
    [0, 'a'],
    [10, 'c'],
  ]);
  driver.pipeInput(input, at(30, 'd')); // 0 + 10 + 20
  driver.restart();
  expect([...driver.store(perTen).fetchAll(all)].map(([{ window }, word]) => [window.startMs, word])).toEqual([
    [10, 'c'],
    [30, 'd'],
  ]);
});

it('a null key is dropped and counted, a failure goes to the policy', () => {
  const builder = new StreamsBuilder('policy');
  builder
    .stream(input)
    .process({
      name: 'picky',
      onError: 'skip',
      onRecord: (word) => {
        if (word === 'bad') throw new Error('bad');
        return [word];
      },
    })
    .to(output);
  using driver = new TestDriver(builder.build());
  driver.pipeInput(input, at(0, 'good'), at(0, 'bad'), at(0, 'fine'));
  expect(driver.readValues(output)).toEqual(['good', 'fine']);
});

it('setting a timer that nothing would hear is an error', () => {
  const builder = new StreamsBuilder('deaf');
  builder.stream(input).process({ name: 'deaf', onRecord: (_w, _k, { timers }) => timers.set('x', { atMs: 1 }) });
  using driver = new TestDriver(builder.build());
  expect(() => driver.pipeInput(input, at(0, 'a'))).toThrow(/has no onTimer/);
});

it.each<ErrorPolicy>(['skip', { deadLetter: 'dead' }, { retries: 1 }])(
  'state that cannot be read stops the task by the policy %j too: no record is to blame',
  (onError) => {
    const builder = new StreamsBuilder('corrupt', { onError });
    const store = builder.keyValueStore({ name: 'words', key: string, value: json<string>() });
    builder.stream(input).process({
      name: 'reads',
      stores: { store },
      onRecord: (_word, key, { stores }) => void stores.store.get(key),
    });
    using driver = new TestDriver(builder.build());
    driver.pipeInput(topic('corrupt-words-changelog', { key: string, value: string }), { key: 'k', value: '{' });
    driver.restart();
    expect(() => driver.pipeInput(input, at(0, 'a'))).toThrow(
      expect.objectContaining({
        code: 'RECORD_FAILED',
        message: expect.not.stringContaining('onError') as string,
        cause: expect.objectContaining({ code: 'STORE_CORRUPT' }) as Error,
      }) as Error,
    );
    expect(driver.readFailures()).toEqual([]);
  },
);

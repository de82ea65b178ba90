import { json, string, topic, windowed, type Topic, type Windowed } from '@millrace/serde';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hopping, StreamsBuilder, tumbling, type TimeWindows } from '../index.ts';
import { TestDriver, type CommitStep } from '../testing/index.ts';

const input = topic('input', { key: string, value: json<number>() });
const late = topic('late', { key: string, value: json<number>() });

function countsOf(windows: TimeWindows, options: { emit?: 'update' | 'commit'; retentionMs?: number } = {}) {
  const output: Topic<Windowed<string>, number> = topic('output', {
    key: windowed(string, { sizeMs: windows.sizeMs }),
    value: json<number>(),
  });
  const final: Topic<Windowed<string>, number> = topic('final', {
    key: windowed(string, { sizeMs: windows.sizeMs }),
    value: json<number>(),
  });
  const builder = new StreamsBuilder('windows');
  const table = builder
    .stream(input)
    .groupByKey()
    .windowedBy(windows)
    .late((stream) => stream.to(late))
    .count({ name: 'counts', ...options });
  table.to(output);
  table.final().to(final);
  const read = (driver: TestDriver, which = output): unknown[] =>
    driver.readRecords(which).map(({ key: { key, window }, value }) => [key, window.startMs, value]);
  return { topology: builder.build(), table, output, final, read };
}
function codeOf(action: () => void): unknown {
  try {
    return action();
  } catch (error) {
    return (error as { readonly code?: unknown }).code;
  }
}
const at = (timestampMs: number, key = 'k') => ({ key, value: 1, timestampMs });

it('a tumbling window takes records until its end and grace, at the edge', () => {
  const { topology, read, final } = countsOf(tumbling({ sizeMs: 10, graceMs: 5 }));
  using driver = new TestDriver(topology);
  driver.pipeInput(input, at(0), at(9), at(14), at(3)); // stream time 14: the end is 14 − 5 = 9 past
  expect(read(driver, final)).toEqual([]);
  driver.pipeInput(input, at(15)); // 10 <= 15 − 5: closed
  expect(read(driver, final)).toEqual([['k', 0, 3]]);
  driver.pipeInput(input, at(9), at(10));
  expect(read(driver, final)).toEqual([]);
  expect(driver.readRecords(late).map(({ timestampMs }) => timestampMs)).toEqual([9]);
});

it('a record is late for some windows and in time for others', () => {
  const { topology, read } = countsOf(hopping({ sizeMs: 10, advanceMs: 5, graceMs: 0 }), { emit: 'update' });
  using driver = new TestDriver(topology);
  driver.pipeInput(input, at(12), at(9)); // [0, 10) is closed, [5, 15) is not
  expect(read(driver)).toEqual([
    ['k', 5, 1],
    ['k', 10, 1],
    ['k', 5, 2],
  ]);
  expect(driver.readValues(late)).toEqual([]);
});

it('windows close by stream time alone, all that it passes, oldest first, keys in the order of their bytes', () => {
  const { topology, read, final } = countsOf(tumbling({ sizeMs: 10, graceMs: 0 }));
  using driver = new TestDriver(topology);
  driver.pipeInput(input, at(1, 'b'), at(2, 'a'), at(11, 'c'));
  expect(read(driver, final)).toEqual([
    ['a', 0, 1],
    ['b', 0, 1],
  ]);
  driver.advanceStreamTimeTo(19);
  expect(read(driver, final)).toEqual([]);
  driver.advanceStreamTimeTo(20);
  expect(read(driver, final)).toEqual([['c', 10, 1]]);
});

it('what was late before a restart is late after it, and no window is final twice', () => {
  const { topology, read, final } = countsOf(tumbling({ sizeMs: 10, graceMs: 0 }));
  using driver = new TestDriver(topology);
  driver.pipeInput(input, at(5));
  driver.advanceStreamTimeTo(30); // no record says so
  expect(read(driver, final)).toEqual([['k', 0, 1]]);
  driver.restart();
  driver.pipeInput(input, at(6), at(29), at(31));
  expect(read(driver, final)).toEqual([]);
  expect(driver.readRecords(late).map(({ timestampMs }) => timestampMs)).toEqual([6, 29]);
});

it('closes on idle input, if asked, when the partition has been silent for so long', () => {
  const { topology, read, final } = countsOf(tumbling({ sizeMs: 10, graceMs: 5, idleCloseMs: 100 }));
  using driver = new TestDriver(topology);
  driver.pipeInput(input, at(12));
  driver.advanceWallClockTime(99);
  expect(read(driver, final)).toEqual([]);
  driver.advanceWallClockTime(1);
  expect(read(driver, final)).toEqual([['k', 10, 1]]);
  driver.pipeInput(input, at(19), at(20)); // closed is closed; the next window takes records
  driver.advanceWallClockTime(100);
  expect(read(driver, final)).toEqual([['k', 20, 1]]);
  expect(driver.readRecords(late).map(({ timestampMs }) => timestampMs)).toEqual([19]);
});

it('keeps closed windows for retentionMs', () => {
  const { topology, table } = countsOf(tumbling({ sizeMs: 10, graceMs: 5 }), { retentionMs: 20 });
  using driver = new TestDriver(topology);
  driver.pipeInput(input, at(0), at(34));
  const span = { fromMs: 0, toMs: 30 };
  expect([...driver.store(table).fetch('k', span)].map(([{ window }, n]) => [window.startMs, n])).toEqual([
    [0, 1],
    [30, 1],
  ]);
  driver.pipeInput(input, at(35));
  expect(driver.store(table).get('k', 0)).toBeUndefined();
  expect([...driver.store(table).fetchAll(span)].map(([{ window }, n]) => [window.startMs, n])).toEqual([[30, 2]]);
});

it('a table emits at commits what changed in a window, once', () => {
  const { topology, read } = countsOf(tumbling({ sizeMs: 10, graceMs: 0 }));
  using driver = new TestDriver(topology, { autoCommit: false });
  driver.pipeInput(input, at(0), at(1), at(12), at(13));
  driver.commit();
  expect(read(driver)).toEqual([
    ['k', 0, 2],
    ['k', 10, 2],
  ]);
});

describe('a windowed count', () => {
  const sizeMs = 20;
  const steps: readonly CommitStep[] = ['drain', 'flushSinks', 'flushProducer', 'sendOffsets', 'commit', 'writeStores'];
  const event = fc.record({
    key: fc.constantFrom('a', 'b', 'c'),
    timestampMs: fc.nat(200),
    next: fc.constantFrom('nothing', 'nothing', 'commit', 'restart', ...steps),
  });

  it.each([
    ['tumbling', tumbling({ sizeMs, graceMs: 30 })],
    ['hopping', hopping({ sizeMs, advanceMs: 8, graceMs: 30 })],
  ])(
    '%s: final results are those of a recomputation, in any disorder, with crashes anywhere in a commit',
    (_name, windows) => {
      const { topology, read, final } = countsOf(windows);
      fc.assert(
        fc.property(fc.array(event, { maxLength: 40 }), (events) => {
          using driver = new TestDriver(topology, { autoCommit: false });
          const crashed: unknown[] = [];
          for (const { key, timestampMs, next } of events) {
            driver.pipeInput(input, at(timestampMs, key));
            if (next === 'commit') driver.commit();
            else if (next === 'restart') driver.restart();
            else if (next !== 'nothing') {
              driver.crashBefore(next);
              crashed.push(codeOf(() => driver.commit()));
              driver.restart();
            }
          }
          driver.advanceStreamTimeTo(10_000);
          driver.commit();

          let streamTimeMs = -1;
          const expected = new Map<string, number>();
          let lateCount = 0;
          for (const { key, timestampMs } of events) {
            streamTimeMs = Math.max(streamTimeMs, timestampMs);
            let isInTime = false;
            for (let startMs = 0; startMs <= timestampMs; startMs += windows.advanceMs) {
              if (timestampMs >= startMs + sizeMs || startMs + sizeMs <= streamTimeMs - windows.graceMs) continue;
              isInTime = true;
              expected.set(`${key} ${startMs}`, (expected.get(`${key} ${startMs}`) ?? 0) + 1);
            }
            if (!isInTime) lateCount++;
          }
          const actual = (read(driver, final) as [string, number, number][]).map(
            ([key, startMs, n]) => [`${key} ${startMs}`, n] as const,
          );
          expect(new Set(crashed)).toEqual(new Set(crashed.length > 0 ? ['SIMULATED_CRASH'] : []));
          expect(actual).toHaveLength(expected.size);
          expect(new Map(actual)).toEqual(expected);
          expect(driver.readRecords(late)).toHaveLength(lateCount);
        }),
        { numRuns: 150 },
      );
    },
  );
});

it.each([
  ['no size', () => tumbling({ sizeMs: 0, graceMs: 0 })],
  ['half a millisecond', () => tumbling({ sizeMs: 0.5, graceMs: 0 })],
  ['negative grace', () => tumbling({ sizeMs: 1, graceMs: -1 })],
  ['gaps', () => hopping({ sizeMs: 10, advanceMs: 11, graceMs: 0 })],
  ['no advance', () => hopping({ sizeMs: 10, advanceMs: 0, graceMs: 0 })],
])('windows with %s are refused', (_name, make) => {
  expect(make).toThrow(expect.objectContaining({ code: 'INVALID_PLAN' }));
});

it('windows that meet without gaps are not', () => {
  expect(hopping({ sizeMs: 10, advanceMs: 10, graceMs: 0 })).toMatchObject({ advanceMs: 10 });
});

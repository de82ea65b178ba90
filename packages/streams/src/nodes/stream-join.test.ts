import { json, string, topic } from '@millrace/serde';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { StreamsBuilder } from '../index.ts';
import { TestDriver } from '../testing/index.ts';

const left = topic('left', { key: string, value: json<string>() });
const right = topic('right', { key: string, value: json<string>() });
const output = topic('output', { key: string, value: json<string>() });
const joiner = (l: string | undefined, r: string | undefined): string => `${l ?? '-'}${r ?? '-'}`;
type Kind = 'join' | 'leftJoin' | 'outerJoin';

function driverOf(kind: Kind, times: { beforeMs: number; afterMs: number; graceMs: number }): TestDriver {
  const builder = new StreamsBuilder('join');
  const stream = builder.stream(left);
  (stream[kind] as typeof stream.outerJoin)(builder.stream(right), joiner, { name: 'join', ...times }).to(output);
  return new TestDriver(builder.build());
}
const at = (timestampMs: number, value: string) => ({ key: 'k', value, timestampMs });
const read = (driver: TestDriver): unknown[] =>
  driver.readRecords(output).map(({ value, timestampMs }) => [value, timestampMs]);

it('matches at the edges of the window, seen from the left record, at the later time', () => {
  using driver = driverOf('join', { beforeMs: 2, afterMs: 3, graceMs: 100 });
  driver.pipeInput(left, at(10, 'L'));
  driver.pipeInput(right, at(7, 'a'), at(8, 'b'), at(13, 'c'), at(14, 'd'));
  expect(read(driver)).toEqual([
    ['Lb', 10],
    ['Lc', 13],
  ]);
});

it('a left record without a match comes out once, when none can come any more', () => {
  using driver = driverOf('leftJoin', { beforeMs: 0, afterMs: 5, graceMs: 10 });
  driver.pipeInput(left, at(0, 'A'), at(3, 'B'));
  driver.pipeInput(right, at(8, 'b'));
  expect(read(driver)).toEqual([['Bb', 8]]);
  driver.pipeInput(left, at(15, 'C')); // 0 + 5 + 10
  expect(read(driver)).toEqual([]);
  driver.restart();
  driver.pipeInput(left, at(16, 'D'));
  expect(read(driver)).toEqual([['A-', 0]]);
  driver.restart();
  driver.advanceStreamTimeTo(1000);
  expect(read(driver)).toEqual([
    ['C-', 15],
    ['D-', 16],
  ]);
});

it('both sides of an outer join do, in the order of their times, the right side first', () => {
  using driver = driverOf('outerJoin', { beforeMs: 5, afterMs: 5, graceMs: 0 });
  driver.pipeInput(left, at(20, 'B'));
  driver.pipeInput(right, at(20, 'x'));
  driver.pipeInput(left, at(14, 'A'));
  driver.pipeInput(right, at(26, 'y'));
  driver.advanceStreamTimeTo(100);
  expect(read(driver)).toEqual([
    ['Bx', 20],
    ['A-', 14],
    ['-y', 26],
  ]);
});

it('a record later than the grace is counted late; alone it comes out at once', () => {
  using driver = driverOf('leftJoin', { beforeMs: 5, afterMs: 5, graceMs: 0 });
  driver.pipeInput(right, at(100, 'r'));
  driver.pipeInput(left, at(94, 'L'));
  driver.pipeInput(right, at(94, 's'));
  expect(read(driver)).toEqual([['L-', 94]]);
});

it('a record whose last match could come now is not late: it waits', () => {
  using driver = driverOf('leftJoin', { beforeMs: 5, afterMs: 5, graceMs: 0 });
  driver.pipeInput(right, { ...at(100, 'other'), key: 'x' });
  driver.pipeInput(left, at(95, 'L'));
  expect(read(driver)).toEqual([]);
  driver.pipeInput(right, at(97, 'r'));
  expect(read(driver)).toEqual([['Lr', 97]]);
});

it.each<Kind>(['join', 'leftJoin', 'outerJoin'])(
  '%s is that of a recomputation, in any order within the grace, with restarts',
  (kind) => {
    const times = { beforeMs: 4, afterMs: 7, graceMs: 1000 };
    const record = fc.record({
      isLeft: fc.boolean(),
      key: fc.constantFrom('a', 'b'),
      timestampMs: fc.nat(40),
      restarts: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(record, { maxLength: 25 }), (records) => {
        using driver = driverOf(kind, times);
        const named = records.map((one, index) => ({ ...one, value: `${one.isLeft ? 'L' : 'r'}${index} ` }));
        for (const { isLeft, key, timestampMs, value, restarts } of named) {
          driver.pipeInput(isLeft ? left : right, { key, value, timestampMs });
          if (restarts) driver.restart();
        }
        driver.advanceStreamTimeTo(10_000);
        const expected: string[] = [];
        const lefts = named.filter(({ isLeft }) => isLeft);
        const rights = named.filter(({ isLeft }) => !isLeft);
        const isMatch = (l: { key: string; timestampMs: number }, r: { key: string; timestampMs: number }): boolean =>
          l.key === r.key &&
          r.timestampMs >= l.timestampMs - times.beforeMs &&
          r.timestampMs <= l.timestampMs + times.afterMs;
        for (const l of lefts) {
          const matches = rights.filter((r) => isMatch(l, r));
          for (const r of matches) expected.push(joiner(l.value, r.value));
          if (matches.length === 0 && kind !== 'join') expected.push(joiner(l.value, undefined));
        }
        if (kind === 'outerJoin') {
          for (const r of rights) if (!lefts.some((l) => isMatch(l, r))) expected.push(joiner(undefined, r.value));
        }
        expect(driver.readValues(output).toSorted()).toEqual(expected.toSorted());
      }),
      { numRuns: 100 },
    );
  },
);

it('gives up its buffers when no match can come', () => {
  using driver = driverOf('join', { beforeMs: 5, afterMs: 5, graceMs: 0 });
  for (let time = 0; time < 1000; time += 10) driver.pipeInput(left, at(time, 'L'));
  expect(driver.entryCount('join-left')).toBeLessThan(6);
});

import { json, nullable, string, topic } from '@millrace/serde';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { StreamsBuilder, type KStream, type Sink } from '../index.ts';
import { TestDriver, type CommitStep } from './index.ts';

type Row = readonly [key: string, value: number];
type Numbers = KStream<string, number>;

/** A stage as the DSL has it, and in plain code. `name` is one that nothing else in the plan has. */
interface Stage {
  readonly build: (stream: Numbers, name: string) => Numbers;
  readonly model: (row: Row) => readonly Row[];
}

const keyOf = (n: number): string => `k${n % 3}`;
const stages: Readonly<Record<string, Stage>> = {
  filter: { build: (s) => s.filter((n) => n % 3 !== 0), model: (row) => (row[1] % 3 === 0 ? [] : [row]) },
  mapValues: { build: (s) => s.mapValues((n) => 2 * n + 1), model: ([key, n]) => [[key, 2 * n + 1]] },
  flatMapValues: {
    build: (s) => s.flatMapValues((n) => [n, n + 1]),
    model: ([key, n]) => [
      [key, n],
      [key, n + 1],
    ],
  },
  selectKey: { build: (s, name) => s.selectKey(keyOf, { name, key: string }), model: ([, n]) => [[keyOf(n), n]] },
  flatMap: {
    build: (s, name) =>
      s.flatMap(
        (n, key) => [
          { key, value: n },
          { key: keyOf(n), value: -n },
        ],
        { name, key: string },
      ),
    model: ([key, n]) => [
      [key, n],
      [keyOf(n), -n],
    ],
  },
  repartition: { build: (s, name) => s.repartition({ name }), model: (row) => [row] },
  branch: {
    build: (s) => {
      const { even, rest } = s.branch({ even: (n) => n % 2 === 0 });
      return even.mapValues((n) => n + 100).merge(rest);
    },
    model: ([key, n]) => [[key, n % 2 === 0 ? n + 100 : n]],
  },
  skipped: {
    build: (s) =>
      s.peek(
        (n) => {
          if (n % 5 === 0) throw new Error('five');
        },
        { onError: 'skip' },
      ),
    model: (row) => (row[1] % 5 === 0 ? [] : [row]),
  },
};

const input = topic('input', { key: string, value: json<number>() });
const output = topic('output', { key: string, value: json<number>() });
const counts = topic('counts', { key: string, value: json<number>() });
const groups = topic('groups', { key: string, value: nullable(json<number>()) });
const target: Sink<string, number> = {
  name: 'target',
  tier: 'guarded',
  open: () => Promise.reject(new Error('not in a test')),
};
const steps: readonly CommitStep[] = ['drain', 'flushSinks', 'flushProducer', 'sendOffsets', 'commit', 'writeStores'];
const event = fc.record({
  key: fc.constantFrom('a', 'b', 'c', 'd'),
  value: fc.nat(30),
  next: fc.constantFrom('nothing', 'nothing', 'nothing', 'commit', 'restart', ...steps),
});

function crash(driver: TestDriver, step: CommitStep): void {
  driver.crashBefore(step);
  expect(() => driver.commit()).toThrow(expect.objectContaining({ code: 'SIMULATED_CRASH' }));
  driver.restart();
}
const sorted = (rows: Iterable<Row>): string[] => [...rows].map(([key, n]) => `${key} ${n}`).toSorted();
const rowsOf = (records: readonly { readonly key: string; readonly value: number }[]): Row[] =>
  records.map(({ key, value }) => [key, value]);

it('any pipeline gives what plain code gives, on topics, to sinks, in tables and in tables of tables, with crashes anywhere in a commit', () => {
  const plans = fc.array(fc.constantFrom(...Object.keys(stages)), { maxLength: 5 });
  fc.assert(
    fc.property(
      plans,
      fc.array(event, { maxLength: 25 }),
      fc.constantFrom(1, 3),
      fc.boolean(),
      (plan, events, numPartitions, isLively) => {
        const builder = new StreamsBuilder('random');
        const emit = isLively ? 'update' : 'commit';
        let stream: Numbers = builder.stream(input);
        plan.forEach((name, place) => {
          stream = stages[name]!.build(stream, `stage-${place}`);
        });
        stream.to(output);
        stream.repartition({ name: 'before-target' }).sink(target);
        const perKey = stream.groupByKey().count({ name: 'per-key', emit });
        perKey.to(counts);
        perKey
          .filter((n) => n > 1)
          .groupBy((n) => ({ key: n % 2 === 0 ? 'even' : 'odd', value: n }), { name: 'by-parity', key: string })
          .reduce((a, b) => a + b, { name: 'per-parity', emit, subtract: (a, b) => a - b })
          .to(groups);

        using driver = new TestDriver(builder.build(), { autoCommit: false, numPartitions });
        for (const { key, value, next } of events) {
          driver.pipeInput(input, { key, value });
          if (next === 'commit') driver.commit();
          else if (next === 'restart') driver.restart();
          else if (next !== 'nothing') crash(driver, next as CommitStep);
        }
        driver.commit();

        let rows: readonly Row[] = events.map(({ key, value }): Row => [key, value]);
        for (const name of plan) rows = rows.flatMap(stages[name]!.model);
        const expectedCounts = new Map<string, number>();
        for (const [key] of rows) expectedCounts.set(key, (expectedCounts.get(key) ?? 0) + 1);
        const expectedGroups = new Map<string, number>();
        for (const n of expectedCounts.values()) {
          if (n > 1)
            expectedGroups.set(
              n % 2 === 0 ? 'even' : 'odd',
              (expectedGroups.get(n % 2 === 0 ? 'even' : 'odd') ?? 0) + n,
            );
        }
        expect(sorted(rowsOf(driver.readRecords(output)))).toEqual(sorted(rows));
        expect(sorted(rowsOf(driver.written(target)))).toEqual(sorted(rows));
        expect(sorted(new Map(rowsOf(driver.readRecords(counts))))).toEqual(sorted(expectedCounts));
        const held = new Map(driver.readRecords(groups).map(({ key, value }) => [key, value ?? 0]));
        expect(sorted([...held].filter(([, n]) => n !== 0))).toEqual(sorted(expectedGroups)); // nothing left: a sum of 0
      },
    ),
    { numRuns: 80 },
  );
});

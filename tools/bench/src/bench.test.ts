import { expect, it } from 'vitest';
import { benchBroker } from './broker-bench.ts';
import { benchClient } from './client-bench.ts';
import { report, type Figure } from './report.ts';
import { run, type Screen } from './run.ts';
import { benchStreams } from './streams-bench.ts';

const options = { runs: 1, isSmoke: true, withKafka: false };

it.for([
  [
    'broker',
    benchBroker,
    [
      'ready',
      'idle memory',
      'produce, 64 KiB batches, flush commit',
      'produce, 64 KiB batches, flush os',
      'produce, 1 KiB batches, flush commit',
      'produce, 1 KiB batches, flush os',
      'fetch',
    ],
  ],
  ['client', benchClient, ['produce, records of 200 bytes', 'consume, records of 200 bytes']],
  [
    'streams',
    benchStreams,
    [
      'stateless, at least once',
      'stateless, exactly once',
      'windowed count, at least once',
      'windowed count, exactly once',
    ],
  ],
] as const)(
  'the %s benchmark measures each of its figures, and its peer',
  { timeout: 120_000 },
  async ([, bench, names]) => {
    const figures = await bench(options);
    expect(figures.map((figure) => figure.name)).toEqual(names);
    for (const { name, values, peer } of figures) {
      for (const value of [...values, ...(peer?.values ?? [])]) {
        expect(Number.isFinite(value) && value > 0, `${name}: ${value}`).toBe(true);
      }
      expect(values.length, name).toBeGreaterThan(0);
    }
  },
);

it('tells each step, and nothing when it is done', { timeout: 60_000 }, async () => {
  const { screen, lines, steps } = recording();
  expect(await run(['client', '--runs', '1', '--smoke'], screen)).toBe(0);
  expect(steps).toEqual(['client, run 1 of 1: millrace', 'client, run 1 of 1: kafkajs', undefined]);
  expect(lines.slice(1, -1)).toEqual(['\nclient, medians of 1 run, amounts too small to compare']);
});

it.for([
  [['brokre'], "There is no benchmark 'brokre'."],
  [['toString', 'client', 'x'], "There is no benchmark 'toString', 'x'."],
  [['--runs', '0'], "--runs takes a whole number from 1, not '0'."],
  [['--runs', '1.5'], "--runs takes a whole number from 1, not '1.5'."],
  [['--quick'], "Unknown option '--quick'"],
] as const)('refuses %j before anything is measured', async ([args, message]) => {
  const { screen, lines, errors } = recording();
  expect(await run(args, screen)).toBe(2);
  expect(lines).toEqual([]);
  expect(errors).toHaveLength(1);
  expect(errors[0]).toContain(message);
  expect(errors[0]).toContain('npm run bench -- [broker|client|streams]... [--runs N] [--no-kafka] [--smoke]');
});

it('reports the median, its span, whether a target is reached, and the ratio to the median of the peer', () => {
  const figures: readonly Figure[] = [
    { name: 'a', unit: 'MB/s', values: [9, 1, 5], target: { value: 5 }, peer: { name: 'P', values: [2, 3] } },
    { name: 'b', unit: 'MB/s', values: [4999], target: { value: 5000 } },
    { name: 'c', unit: 'ms', values: [5], target: { value: 5, isAtMost: true } },
    { name: 'd', unit: 'ms', values: [5.1], target: { value: 5, isAtMost: true } },
  ];
  const rows = report(figures)
    .split('\n')
    .filter((line) => line.startsWith('│'))
    .map((line) =>
      line
        .slice(1, -1)
        .split('│')
        .map((cell) => cell.trim()),
    );
  expect(rows).toEqual([
    ['figure', 'median', 'min … max', 'target', 'peer', 'ratio'],
    ['a', '5.0 MB/s', '1.0 … 9.0', '≥ 5.0 reached', 'P: 2.5', '2.00×'],
    ['b', '4,999 MB/s', '4,999 … 4,999', '≥ 5,000 missed', '', ''],
    ['c', '5.0 ms', '5.0 … 5.0', '≤ 5.0 reached', '', ''],
    ['d', '5.1 ms', '5.1 … 5.1', '≤ 5.0 missed', '', ''],
  ]);
});

function recording(): {
  readonly screen: Screen;
  readonly lines: string[];
  readonly errors: string[];
  readonly steps: (string | undefined)[];
} {
  const lines: string[] = [];
  const errors: string[] = [];
  const steps: (string | undefined)[] = [];
  return {
    screen: { line: (text) => lines.push(text), error: (text) => errors.push(text), step: (text) => steps.push(text) },
    lines,
    errors,
    steps,
  };
}

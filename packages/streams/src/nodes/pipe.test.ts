import { json, string, topic } from '@millrace/serde';
import { EMPTY, filter, map, mergeMap, pairwise, scan, startWith, take, tap, type OperatorFunction } from 'rxjs';
import { expect, it } from 'vitest';
import { StreamsBuilder, type KStream, type NodeOptions } from '../index.ts';
import { TestDriver } from '../testing/index.ts';

const input = topic('input', { key: string, value: json<number>() });
const output = topic('output', { key: string, value: json<any>() });

function driverOf(
  operators: readonly OperatorFunction<any, any>[],
  options: NodeOptions = {},
  autoCommit = true,
): TestDriver {
  const builder = new StreamsBuilder('pipe');
  const stream = builder.stream(input) as { pipe(...parts: readonly unknown[]): KStream<string, any> };
  stream.pipe(...operators, { name: 'rx', ...options }).to(output);
  return new TestDriver(builder.build(), { autoCommit });
}
const pipe = (driver: TestDriver, ...values: readonly number[]): void =>
  driver.pipeInput(input, ...values.map((value) => ({ key: `k${value}`, value, timestampMs: value * 10 })));

it('runs operators over the values; results have key and time of the record that brought them out', () => {
  using driver = driverOf([map((n: number) => n * 2), filter((n) => n !== 4), mergeMap((n) => [n, -n])]);
  pipe(driver, 1, 2, 3);
  expect(driver.readRecords(output).map(({ key, value, timestampMs }) => [key, value, timestampMs])).toEqual([
    ['k1', 2, 10],
    ['k1', -2, 10],
    ['k3', 6, 30],
    ['k3', -6, 30],
  ]);
});

it('is subscribed once a task: operators with a memory keep it from record to record', () => {
  using driver = driverOf([
    pairwise(),
    map(([a, b]: [number, number]) => b - a),
    scan((sum: number, d: number) => sum + d, 0),
  ]);
  pipe(driver, 1, 4, 9);
  expect(driver.readValues(output)).toEqual([3, 8]);
});

it('an operator that emits later is caught at the next record or commit, and told what to use', async () => {
  using driver = driverOf([mergeMap((n: number) => Promise.resolve(n))]);
  pipe(driver, 1);
  expect(driver.readValues(output)).toEqual([]);
  await new Promise((resolve) => setImmediate(resolve));
  expect(() => pipe(driver, 2)).toThrow(
    expect.objectContaining({ code: 'LATE_EMISSION', message: expect.stringContaining("'rx'") }),
  );
});

it('one that emits before any record is late too', () => {
  using driver = driverOf([startWith(0)]);
  expect(() => pipe(driver, 1)).toThrow(expect.objectContaining({ code: 'LATE_EMISSION' }));
});

it.each([
  ['take', take(1)],
  ['EMPTY', () => EMPTY],
])('%s completes: a plan that ends is an error', (_name, operator) => {
  const run = (): void => {
    using driver = driverOf([operator as OperatorFunction<any, any>]);
    pipe(driver, 1);
    pipe(driver, 2);
  };
  expect(run).toThrow(expect.objectContaining({ code: 'SEGMENT_COMPLETED' }));
});

it('a failure goes to the policy, with nothing of its record passed on, and the operators begin anew', () => {
  const operators = [
    mergeMap((n: number) => [n, n]),
    scan((sum: number, n: number) => sum + n, 0),
    tap((n: number) => {
      if (n === 5) throw new Error('five'); // 1 + 1 + 3
    }),
  ];
  using driver = driverOf(operators, { onError: 'skip' });
  pipe(driver, 1, 3, 10);
  expect(driver.readValues(output)).toEqual([1, 2, 10, 20]);
  expect(driver.readFailures()).toMatchObject([{ node: 'rx', outcome: 'skipped', source: { offset: 1 } }]);
});

it('a failure further down does not end the operators', () => {
  const builder = new StreamsBuilder('down');
  builder
    .stream(input)
    .pipe(scan((sum, n) => sum + n, 0))
    .mapValues(
      (n) => {
        if (n === 3) throw new Error('three');
        return n;
      },
      { onError: 'skip' },
    )
    .to(output);
  using driver = new TestDriver(builder.build());
  pipe(driver, 1, 2, 3);
  expect(driver.readValues(output)).toEqual([1, 6]);
});

it('a failure that comes later is that of no later record: the stream stops, whatever the policy', async () => {
  using driver = driverOf([mergeMap((n: number) => (n === 1 ? Promise.reject(new Error('late')) : [n]))], {
    onError: 'skip',
  });
  pipe(driver, 1);
  await new Promise<void>((resolve) => setImmediate(resolve));
  expect(() => pipe(driver, 2)).toThrow(expect.objectContaining({ code: 'LATE_EMISSION' }));
  expect(driver.readValues(output)).toEqual([]);
});

it('what has come late is told before the next record is processed, not at the commit alone', async () => {
  const pushed: number[] = [];
  const operators = [tap((n: number) => pushed.push(n)), mergeMap((n: number) => Promise.resolve(n))];
  using driver = driverOf(operators, {}, false);
  pipe(driver, 1);
  await new Promise<void>((resolve) => setImmediate(resolve));
  expect(() => pipe(driver, 2)).toThrow(expect.objectContaining({ code: 'LATE_EMISSION' }));
  expect(pushed).toEqual([1]);
});

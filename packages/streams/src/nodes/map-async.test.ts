import { json, string, topic } from '@millrace/serde';
import { expect, it } from 'vitest';
import { StreamsBuilder, type AsyncContext, type MapAsyncOptions } from '../index.ts';
import { TestDriver } from '../testing/index.ts';

const input = topic('input', { key: string, value: json<string>() });
const output = topic('output', { key: string, value: json<any>() });

/** Calls that wait until the test answers them. */
class Outside {
  readonly calls: {
    readonly value: string;
    readonly context: AsyncContext;
    readonly answer: (result: unknown) => void;
    readonly fail: (error: Error) => void;
  }[] = [];

  driver(options: Partial<MapAsyncOptions> = {}): TestDriver {
    const builder = new StreamsBuilder('async');
    builder
      .stream(input)
      .mapAsync(
        (value, _key, context) =>
          new Promise<unknown>((answer, fail) => void this.calls.push({ value, context, answer, fail })),
        { name: 'call', concurrency: 2, timeoutMs: 1000, ...options },
      )
      .to(output);
    return new TestDriver(builder.build());
  }

  get out(): string[] {
    return this.calls.map(({ value }) => value);
  }
  answer(value: string): void {
    this.calls.find((call) => call.value === value)!.answer(`${value}!`);
  }
}
const send = (driver: TestDriver, ...values: readonly string[]): void =>
  driver.pipeInput(input, ...values.map((value, index) => ({ key: value[0]!, value, timestampMs: index })));
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it('has no more calls out than it may, and takes no more records', async () => {
  const outside = new Outside();
  using driver = outside.driver();
  send(driver, 'a1', 'b1', 'c1', 'd1');
  expect(outside.out).toEqual(['a1', 'b1']);
  const settled = driver.settled();
  outside.answer('b1');
  await turn();
  expect(outside.out).toEqual(['a1', 'b1', 'c1']);
  for (const value of ['a1', 'c1']) outside.answer(value);
  await turn();
  outside.answer('d1');
  await settled;
  expect(
    driver
      .readRecords(output)
      .map(({ key, value, timestampMs }) => `${key} ${String(value)} ${timestampMs}`)
      .toSorted(),
  ).toEqual(['a a1! 0', 'b b1! 1', 'c c1! 2', 'd d1! 3']);
});

it.each([
  ['key', ['b1!', 'a1!', 'a2!']],
  ['partition', ['a1!', 'a2!', 'b1!']],
  ['none', ['b1!', 'a2!', 'a1!']],
] as const)('keeps the order of %s', async (order, expected) => {
  const outside = new Outside();
  using driver = outside.driver({ order, concurrency: 3 });
  send(driver, 'a1', 'a2', 'b1');
  const settled = driver.settled();
  for (const value of ['b1', 'a2', 'a1']) {
    outside.answer(value);
    await turn();
  }
  await settled;
  expect(driver.readValues(output)).toEqual(expected);
});

it('nothing is committed while calls are out; a crash makes them again', async () => {
  const outside = new Outside();
  using driver = outside.driver();
  send(driver, 'a1');
  expect(() => driver.commit()).toThrow(/mapAsync/);
  driver.restart();
  expect(outside.out).toEqual(['a1', 'a1']);
  expect(outside.calls[0]!.context.signal.aborted).toBe(true);
  outside.calls[1]!.answer('again');
  await driver.settled();
  expect(driver.readValues(output)).toEqual(['again']);
  driver.restart();
  expect(outside.out).toHaveLength(2);
});

it('tries again after the backoff, with the attempt counted, then goes by the policy', async () => {
  const outside = new Outside();
  // oxlint-disable-next-line unicorn/no-thenable -- the policy's word for what comes after
  using driver = outside.driver({ onError: { retries: 1, backoffMs: 50, then: 'skip' } });
  send(driver, 'a1', 'b1');
  outside.calls[0]!.fail(new Error('down'));
  outside.calls[1]!.fail(new Error('down'));
  await turn();
  expect(outside.calls).toHaveLength(2);
  driver.advanceWallClockTime(50);
  expect(outside.calls.slice(2).map(({ value, context }) => [value, context.attempt])).toEqual([
    ['a1', 1],
    ['b1', 1],
  ]);
  outside.calls[2]!.fail(new Error('still down'));
  outside.calls[3]!.answer('up');
  await driver.settled();
  expect(driver.readValues(output)).toEqual(['up']);
  expect(driver.readFailures().map(({ outcome, source }) => [outcome, source.offset])).toEqual([
    ['retried', 0],
    ['retried', 1],
    ['skipped', 0],
  ]);
});

it('a policy whose `when` throws fails the record by what it threw', async () => {
  const outside = new Outside();
  const when = (): boolean => {
    throw new Error('when is broken');
  };
  using driver = outside.driver({ onError: { retries: 1, when } });
  send(driver, 'a1');
  outside.calls[0]!.fail(new Error('down'));
  await expect(driver.settled()).rejects.toMatchObject({ code: 'RECORD_FAILED', cause: { message: 'when is broken' } });
});

it('a call has so much time, then its signal aborts and it has failed', async () => {
  const outside = new Outside();
  using driver = outside.driver({ onError: 'skip' });
  send(driver, 'a1');
  driver.advanceWallClockTime(999);
  expect(outside.calls[0]!.context.signal.aborted).toBe(false);
  driver.advanceWallClockTime(1);
  expect(outside.calls[0]!.context.signal.reason).toMatchObject({ code: 'CALL_TIMEOUT' });
  outside.answer('a1'); // too late: nobody waits any more
  await driver.settled();
  expect(driver.readValues(output)).toEqual([]);
  expect(driver.readFailures()).toMatchObject([{ node: 'call', outcome: 'skipped', error: { code: 'CALL_TIMEOUT' } }]);
});

it('a call that throws at once, or fails for good, stops the app as its record', async () => {
  const builder = new StreamsBuilder('throws');
  const call = (): never => {
    throw new Error('at once');
  };
  builder.stream(input).mapAsync(call, { name: 'call', concurrency: 1, timeoutMs: 10 }).to(output);
  using driver = new TestDriver(builder.build());
  send(driver, 'a1');
  await expect(driver.settled()).rejects.toMatchObject({ code: 'RECORD_FAILED', context: { node: 'call', offset: 0 } });
});

it('the context is the call’s own', async () => {
  const outside = new Outside();
  using driver = outside.driver();
  driver.pipeInput(
    input,
    { key: 'a', value: 'a1', timestampMs: 5, headers: { trace: 'x' } },
    { key: 'b', value: 'b1', timestampMs: 6 },
  );
  const { context } = outside.calls[0]!;
  expect([
    context.topic,
    context.partition,
    context.offset,
    context.timestampMs,
    context.headers.text('trace'),
  ]).toEqual(['input', 0, 0, 5, 'x']);
});

it.each([
  [0, 10],
  [1.5, 10],
  [1, 0],
])('a concurrency of %d with a timeoutMs of %d is refused', (concurrency, timeoutMs) => {
  expect(() => new Outside().driver({ concurrency, timeoutMs })).toThrow(
    expect.objectContaining({ code: 'INVALID_PLAN' }),
  );
});

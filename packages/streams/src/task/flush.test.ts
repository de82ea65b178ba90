import { json, nullable, string, topic, windowed } from '@millrace/serde';
import { expect, it } from 'vitest';
import { StreamsBuilder, tumbling } from '../index.ts';
import { TestDriver } from '../testing/index.ts';

const input = topic('input', { key: string, value: json<number>() });
const others = topic('others', { key: string, value: nullable(json<number>()) });
const output = topic('output', { key: string, value: nullable(json<any>()) });

it('windows that close within one commit are joined before either side forgets them', () => {
  const joined = topic('joined', { key: windowed(string, { sizeMs: 10 }), value: json<number>() });
  const builder = new StreamsBuilder('closing');
  const grouped = builder
    .stream(input)
    .groupByKey()
    .windowedBy(tumbling({ sizeMs: 10, graceMs: 0 }));
  const counts = grouped.count({ name: 'counts' });
  const sums = grouped.reduce((a, b) => a + b, { name: 'sums' });
  counts.join(sums, (count, sum) => 10 * count + sum).to(joined);
  using driver = new TestDriver(builder.build(), { autoCommit: false });
  driver.pipeInput(input, { key: 'k', value: 1, timestampMs: 0 }, { key: 'k', value: 1, timestampMs: 100 });
  driver.commit();
  expect(driver.readValues(joined)).toEqual([11, 11]);
});

it('a call that a table’s change makes at the commit is awaited by that commit, so a crash behind it loses nothing', async () => {
  const builder = new StreamsBuilder('calls');
  builder
    .stream(input)
    .groupByKey()
    .count({ name: 'counts' })
    .updates()
    .mapAsync((n) => Promise.resolve(n * 10), { concurrency: 1, timeoutMs: 100 })
    .to(output);
  using driver = new TestDriver(builder.build());
  driver.crashBefore('writeStores');
  driver.pipeInput(input, { key: 'a', value: 1 }, { key: 'b', value: 1 });
  await expect(driver.settled()).rejects.toMatchObject({ code: 'SIMULATED_CRASH' });
  driver.restart();
  await driver.settled();
  expect(driver.readRecords(output).map(({ key, value }) => [key, value])).toEqual([
    ['a', 10],
    ['b', 10],
  ]);
});

it.each(['left', 'right'] as const)(
  'a join that fails for the %s side at the commit is tried again within it, with the rows of its time',
  async (flaky) => {
    const builder = new StreamsBuilder('retries');
    let hasFailed = false;
    const left = builder.stream(input).toTable({ name: 'left' });
    const right = builder.stream(others).toTable({ name: 'right' });
    left
      .outerJoin(
        right,
        (l, r) => {
          const isSide = flaky === 'left' ? l === 2 : r === 2;
          if (isSide && !hasFailed) {
            hasFailed = true;
            throw new Error('once');
          }
          return `${String(l ?? '-')}${String(r ?? '-')}`;
        },
        { onError: { retries: 1, backoffMs: 10 } },
      )
      .groupBy((value) => ({ key: 'all', value }), { name: 'by-all', key: string })
      .aggregate(
        (): readonly string[] => [],
        (changes, value) => [...changes, `+${value}`],
        { name: 'changes', subtract: (changes, value) => [...changes, `-${value}`] },
      )
      .to(output);
    using driver = new TestDriver(builder.build(), { autoCommit: false });
    driver.pipeInput(input, { key: 'k', value: 1 });
    driver.pipeInput(others, { key: 'k', value: 1 });
    driver.commit();
    driver.pipeInput(input, { key: 'k', value: 2 });
    driver.pipeInput(others, { key: 'k', value: 2 });
    driver.commit();
    driver.crashBefore('writeStores');
    await expect(driver.settled()).rejects.toMatchObject({ code: 'SIMULATED_CRASH' });
    driver.restart();
    driver.commit();
    expect(hasFailed).toBe(true);
    expect(driver.readValues(output).at(-1)).toEqual(['+1-', '-1-', '+11', '-11', '+21', '-21', '+22']);
  },
);

it('a row that reaches its age while another table changes goes on in its turn, with what that table has passed on', () => {
  const builder = new StreamsBuilder('aging');
  const left = builder.stream(input).toTable({ name: 'left', ttlMs: 100, emit: 'update' });
  const right = builder.stream(others).toTable({ name: 'right', emit: 'update' });
  left
    .outerJoin(right, (l, r) => `${String(l ?? '-')}${String(r ?? '-')}`)
    .groupBy((value) => ({ key: 'all', value }), { name: 'by-all', key: string })
    .aggregate(
      (): readonly string[] => [],
      (changes, value) => [...changes, `+${value}`],
      { name: 'changes', subtract: (changes, value) => [...changes, `-${value}`] },
    )
    .to(output);
  using driver = new TestDriver(builder.build(), { autoCommit: false });
  driver.pipeInput(input, { key: 'k', value: 1, timestampMs: 0 });
  driver.pipeInput(others, { key: 'k', value: 1, timestampMs: 0 });
  driver.pipeInput(input, { key: 'other', value: 0, timestampMs: 100 }); // now k is old, and nobody has looked
  driver.pipeInput(others, { key: 'k', value: 2, timestampMs: 100 });
  driver.commit();
  const changes = driver.readValues(output).at(-1) as string[];
  expect(changes.filter((change) => change !== '+0-')).toEqual(['+1-', '-1-', '+11', '-11', '+12', '-12', '+-2']);
});

it('a row past its age is not there for a stream that joins it', () => {
  const builder = new StreamsBuilder('aged');
  const left = builder.stream(input).toTable({ name: 'left', ttlMs: 100 });
  builder
    .stream(others)
    .leftJoin(left, (n, row) => [n, row ?? null])
    .to(output);
  using driver = new TestDriver(builder.build(), { autoCommit: false });
  const ask = (timestampMs: number): void => driver.pipeInput(others, { key: 'k', value: timestampMs, timestampMs });
  driver.pipeInput(input, { key: 'k', value: 1, timestampMs: 0 }, { key: 'other', value: 0, timestampMs: 99 });
  ask(99);
  driver.pipeInput(input, { key: 'other', value: 0, timestampMs: 100 });
  ask(100);
  driver.commit();
  expect(driver.readValues(output)).toEqual([
    [99, 1],
    [100, null],
  ]);
});

it('what one record changes on both sides meets, tried again, the rows of its time', async () => {
  const pairs = async (failsAt: string): Promise<string[]> => {
    const builder = new StreamsBuilder('both');
    const grouped = builder
      .stream(input)
      .flatMapValues((n) => [n, n + 1])
      .groupByKey();
    const counts = grouped.count({ name: 'counts', emit: 'update' });
    const sums = grouped.reduce((a, b) => a + b, { name: 'sums', emit: 'update' });
    let failures = 0;
    counts
      .outerJoin(
        sums,
        (count, sum) => {
          const pair = `${String(count ?? '-')}:${String(sum ?? '-')}`;
          if (pair === failsAt && failures < 2) {
            failures++;
            throw new Error('twice');
          }
          return pair;
        },
        { onError: { retries: 2, backoffMs: 10 } },
      )
      .groupBy((value) => ({ key: 'all', value }), { name: 'by-all', key: string })
      .aggregate(
        (): readonly string[] => [],
        (changes, value) => [...changes, `+${value}`],
        { name: 'changes', subtract: (changes, value) => [...changes, `-${value}`] },
      )
      .to(output);
    using driver = new TestDriver(builder.build(), { autoCommit: false });
    driver.pipeInput(input, { key: 'k', value: 1 }, { key: 'k', value: 5 });
    await driver.settled();
    driver.commit();
    expect(failures).toBe(failsAt === '' ? 0 : 2);
    return driver.readValues(output).at(-1) as string[];
  };
  const without = await pairs('');
  expect(without).toHaveLength(15);
  for (const failsAt of ['1:-', '1:1', '2:1', '2:3', '3:3', '4:14']) expect(await pairs(failsAt)).toEqual(without);
});

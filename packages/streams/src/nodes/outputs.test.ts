import { json, nullable, string, topic } from '@millrace/serde';
import { expect, it } from 'vitest';
import { StreamsBuilder, type KStream, type Sink } from '../index.ts';
import { TestDriver } from '../testing/index.ts';

const numbers = topic('numbers', { key: string, value: json<number>() });
const target: Sink<string, number> = {
  name: 'target',
  tier: 'idempotency-key',
  open: () => Promise.reject(new Error('not in a test')),
};

/** What a sink is given of two records, with two results each. */
async function writtenBy(shape: (stream: KStream<string, number>) => KStream<string, number>): Promise<unknown[]> {
  const builder = new StreamsBuilder('ordinals');
  shape(builder.stream(numbers).flatMapValues((n) => [n, n + 1])).sink(target);
  using driver = new TestDriver(builder.build(), { autoCommit: false });
  for (const value of [10, 20]) {
    driver.pipeInput(numbers, { key: 'k', value });
    await driver.settled();
  }
  driver.commit();
  return driver.written(target).map(({ value, offset, ordinal }) => [value, offset, ordinal]);
}

const numbered = [
  [10, 0, 0],
  [11, 0, 1],
  [20, 1, 0],
  [21, 1, 1],
];

it('numbers the results of each record for a sink, whatever had to be tried again', async () => {
  let failures = 3;
  const written = await writtenBy((stream) =>
    stream.mapValues(
      (n) => {
        if (failures-- > 0) throw new Error('not yet');
        return n;
      },
      { onError: { retries: 3 } },
    ),
  );
  expect(written).toEqual(numbered);
});

it('numbers them for each sink alone: another sink does not change the numbers', async () => {
  const other = { ...target, name: 'other' };
  const written = await writtenBy((stream) => {
    stream.sink(other);
    return stream;
  });
  expect(written).toEqual(numbered);
});

it('gives up at once what cannot be written to a repartition topic, also where the builder says to try again', async () => {
  const rows = topic('rows', { key: string, value: json<{ group: string }>() });
  const mapped: unknown[] = [];
  // oxlint-disable-next-line unicorn/no-thenable -- the policy's word for what comes after
  const builder = new StreamsBuilder('unencodable', { onError: { retries: 2, then: 'skip' } });
  const counts = builder
    .table(rows, { name: 'rows' })
    .groupBy(
      (row) => {
        mapped.push(row);
        return { key: row.group, value: 1 };
      },
      { name: 'by-group', key: string },
    )
    .count({ name: 'counts' });
  using driver = new TestDriver(builder.build());
  driver.pipeInput(rows, { key: 'a', value: { group: 7 as never } }, { key: 'b', value: { group: 'g' } });
  await driver.settled();
  expect(mapped).toEqual([{ group: 7 }, { group: 'g' }]);
  expect(driver.readFailures().map(({ outcome }) => outcome)).toEqual(['skipped']);
  expect([...driver.store(counts).all()]).toEqual([['g', 1]]);
});

it('undefined is as null: left out by aggregates and joins, a tombstone on topics', () => {
  const builder = new StreamsBuilder('undefined');
  const optional = builder.stream(numbers).mapValues((n) => (n === 0 ? undefined : n));
  const counts = optional.groupByKey().count({ name: 'counts' });
  const names = builder.table(topic('names', { key: string, value: string }), { name: 'names' });
  const left = topic('left', { key: string, value: json<number | null>() });
  const [through, seen] = [topic('through', { key: string, value: nullable(json<number>()) }), [] as unknown[]];
  optional.leftJoin(names, (n) => n ?? null).to(left);
  optional
    .repartition({ name: 'again', value: json<any>() })
    .peek((n) => seen.push(n))
    .to(through);
  using driver = new TestDriver(builder.build());
  driver.pipeInput(numbers, { key: 'k', value: 0 }, { key: 'k', value: 5 });
  expect(driver.store(counts).get('k')).toBe(1);
  expect(driver.readValues(left)).toEqual([5]);
  expect(seen).toEqual([null, 5]);
  expect(driver.readValues(through)).toEqual([null, 5]);
});

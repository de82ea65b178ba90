import { json, nullable, string, topic, type Serde } from '@millrace/serde';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { agg, StreamsBuilder, type KTable, type StoredKTable } from '../index.ts';
import { TestDriver } from '../testing/index.ts';

interface Sale {
  readonly shop: string;
  readonly cents: number;
}
const sales = topic('sales', { key: nullable(string), value: nullable(json<Sale>()) });
const numbers = topic('numbers', { key: string, value: nullable(json<number>()) });
const output = topic('output', { key: string, value: nullable(json<any>()) });
const sale = (key: string | null, cents: number, timestampMs = 0) => ({
  key,
  value: { shop: key ?? '', cents },
  timestampMs,
});

/** What a table passes on, as [key, value, time]. */
const read = (driver: TestDriver): unknown[] =>
  driver.readRecords(output).map(({ key, value, timestampMs }) => [key, value, timestampMs]);

describe('an aggregate of a stream', () => {
  it('counts, and has the greatest time that went into it', () => {
    const builder = new StreamsBuilder('count');
    const counts = builder.stream(sales).groupByKey().count({ name: 'counts' });
    counts.to(output);
    using driver = new TestDriver(builder.build());
    driver.pipeInput(sales, sale('a', 1, 10), sale('a', 1, 5), sale('b', 1, 7));
    expect(read(driver)).toEqual([
      ['a', 1, 10],
      ['a', 2, 10],
      ['b', 1, 7],
    ]);
    expect([...driver.store(counts).all()]).toEqual([
      ['a', 2],
      ['b', 1],
    ]);
  });

  it('drops and counts null keys and null values', () => {
    const builder = new StreamsBuilder('nulls');
    const counts = builder.stream(sales).groupByKey().count({ name: 'counts' });
    using driver = new TestDriver(builder.build());
    driver.pipeInput(sales, { key: 'a', value: null }, sale(null, 1), sale('a', 1));
    expect([...driver.store(counts).all()]).toEqual([['a', 1]]);
  });

  it('by functions, and by a reducer whose first value is the first aggregate', () => {
    const builder = new StreamsBuilder('fold');
    const grouped = builder
      .stream(sales)
      .filter((s) => s !== null)
      .groupByKey();
    const sums = grouped.aggregate(
      () => 100,
      (sum, s) => sum + s.cents,
      { name: 'sums' },
    );
    const best = grouped.reduce((a, b) => (b.cents > a.cents ? b : a), { name: 'best' });
    using driver = new TestDriver(builder.build());
    driver.pipeInput(sales, sale('a', 5), sale('a', 9), sale('a', 7));
    expect(driver.store(sums).get('a')).toBe(121);
    expect(driver.store(best).get('a')).toEqual({ shop: 'a', cents: 9 });
  });

  it('passes on the last change of each key at a commit; with emit update every change', () => {
    const builder = new StreamsBuilder('emit');
    const grouped = builder.stream(sales).groupByKey();
    grouped.count({ name: 'calm' }).to(output);
    const updates = topic('updates', { key: string, value: json<number>() });
    grouped.count({ name: 'lively', emit: 'update' }).to(updates);
    using driver = new TestDriver(builder.build(), { autoCommit: false });
    driver.pipeInput(sales, sale('b', 1, 1), sale('a', 1, 2), sale('b', 1, 3));
    driver.commit();
    expect(read(driver)).toEqual([
      ['b', 2, 3],
      ['a', 1, 2],
    ]);
    expect(driver.readValues(updates)).toEqual([1, 1, 2]);
  });

  it('forgets what was not written for ttlMs of stream time, with a tombstone', () => {
    const builder = new StreamsBuilder('ttl');
    const counts = builder.stream(sales).groupByKey().count({ name: 'counts', ttlMs: 100 });
    counts.to(output);
    const topology = builder.build();
    using driver = new TestDriver(topology);
    driver.pipeInput(sales, sale('a', 1, 0), sale('b', 1, 50), sale('b', 1, 99));
    driver.restart();
    expect(driver.store(counts).get('a')).toBe(1);
    driver.pipeInput(sales, sale('b', 1, 100));
    expect(read(driver)).toEqual([
      ['a', 1, 0],
      ['b', 1, 50],
      ['b', 2, 99],
      ['b', 3, 100],
      ['a', null, 100],
    ]);
    driver.restart();
    driver.pipeInput(sales, sale('a', 1, 101), sale('c', 1, 199));
    expect([...driver.store(counts).all()]).toEqual([
      ['a', 1],
      ['b', 3],
      ['c', 1],
    ]);
  });

  it('an entry past its ttl is not there, whether or not a commit has removed it', () => {
    const results = [true, false].map((autoCommit) => {
      const builder = new StreamsBuilder('ttl-read');
      const counts = builder.stream(sales).groupByKey().count({ name: 'counts', ttlMs: 100 });
      using driver = new TestDriver(builder.build(), { autoCommit });
      driver.pipeInput(sales, sale('a', 1, 0), sale('b', 1, 100), sale('a', 1, 100));
      return driver.store(counts).get('a');
    });
    expect(results).toEqual([1, 1]);
  });
});

describe('ready-made aggregates', () => {
  const all = {
    n: agg.count(),
    sum: agg.sum((s: Sale) => s.cents),
    mean: agg.mean((s: Sale) => s.cents),
    min: agg.min((s: Sale) => s.cents),
    max: agg.max((s: Sale) => s.cents),
    least: agg.minBy((s: Sale) => s.cents),
    most: agg.maxBy((s: Sale) => s.cents),
    top: agg.topN(2, (s: Sale) => s.cents),
    distinct: agg.countDistinct((s: Sale) => s.cents),
    recent: agg.collect<Sale>({ limit: 2 }),
    first: agg.first<Sale>(),
    last: agg.last<Sale>(),
  };
  function tableOf(value?: Serde<any>): { driver: TestDriver; table: StoredKTable<string, any> } {
    const builder = new StreamsBuilder('agg');
    const table = builder
      .stream(sales)
      .filter((s) => s !== null)
      .groupByKey()
      .aggregate(all, { name: 'all', value });
    return { driver: new TestDriver(builder.build()), table };
  }
  const s = (cents: number) => ({ shop: 'a', cents });

  it.each([
    ['JSON', undefined],
    ['a serde of its own', json<Sale>() as Serde<any>],
  ])('say what they are named for, also after a restart, by %s', (_name, serde) => {
    const { driver, table } = tableOf(serde);
    driver.pipeInput(sales, sale('a', 5, 20), sale('a', 9, 10));
    driver.restart();
    driver.pipeInput(sales, sale('a', 2, 30), sale('a', 9, 30));
    expect(driver.store(table).get('a')).toEqual({
      n: 4,
      sum: 25,
      mean: 6.25,
      min: 2,
      max: 9,
      least: s(2),
      most: s(9),
      top: [s(9), s(9)],
      distinct: 3,
      recent: [s(2), s(9)],
      first: s(9),
      last: s(9),
    });
    driver[Symbol.dispose]();
  });

  it('keep the first of equals in minBy, maxBy and topN, the last to come in last', () => {
    const tagged = topic('tagged', { key: string, value: json<{ tag: string; by: number }>() });
    const builder = new StreamsBuilder('ties');
    const table = builder
      .stream(tagged)
      .groupByKey()
      .aggregate(
        {
          least: agg.minBy((t) => t.by),
          most: agg.maxBy((t) => t.by),
          top: agg.topN(2, (t) => t.by),
          first: agg.first(),
          last: agg.last(),
        },
        { name: 'ties' },
      );
    using driver = new TestDriver(builder.build());
    driver.pipeInput(tagged, ...['x', 'y', 'z'].map((tag) => ({ key: 'k', value: { tag, by: 1 }, timestampMs: 5 })));
    const row = driver.store(table).get('k')!;
    expect([row.least.tag, row.most.tag, row.top.map(({ tag }) => tag), row.first.tag, row.last.tag]).toEqual([
      'x',
      'x',
      ['x', 'y'],
      'x',
      'z',
    ]);
  });

  it('are stored as a row that other programs can read, beside what results do not tell', () => {
    const { driver } = tableOf();
    driver.pipeInput(sales, sale('a', 5));
    const changelog = topic('agg-all-changelog', { key: string, value: json<any>() });
    expect(driver.readValues(changelog)).toEqual([
      expect.objectContaining({
        n: 1,
        mean: 5,
        top: [s(5)],
        $state: expect.objectContaining({ mean: [5, 1], distinct: [5] }),
      }),
    ]);
    driver[Symbol.dispose]();
  });

  it('are as they were for a record that fails in one of them', () => {
    const builder = new StreamsBuilder('partial', { onError: 'skip' });
    const aggregates = {
      distinct: agg.countDistinct((v: number) => v),
      n: agg.count(),
      sum: agg.sum((v: number) => {
        if (v === 2) throw new Error('two');
        return v;
      }),
    };
    const table = builder
      .stream(topic('v', { key: string, value: json<number>() }))
      .groupByKey()
      .aggregate(aggregates, { name: 'partial' });
    using driver = new TestDriver(builder.build());
    driver.pipeInput(
      topic('v', { key: string, value: json<number>() }),
      ...[1, 2, 3].map((value) => ({ key: 'k', value })),
    );
    expect(driver.store(table).get('k')).toEqual({ distinct: 2, n: 2, sum: 4 });
  });
});

describe('a table', () => {
  it('of a topic holds the last value by offset, and null deletes', () => {
    const builder = new StreamsBuilder('table');
    const table = builder.table(numbers, { name: 'numbers' });
    table.to(output);
    using driver = new TestDriver(builder.build());
    driver.pipeInput(
      numbers,
      { key: 'a', value: 1, timestampMs: 9 },
      { key: 'a', value: 2, timestampMs: 5 },
      { key: 'b', value: 3 },
      { key: 'b', value: null },
    );
    expect(read(driver)).toEqual([
      ['a', 1, 9],
      ['a', 2, 5],
      ['b', 3, 0],
      ['b', null, 0],
    ]);
    driver.restart();
    expect([...driver.store(table).all()]).toEqual([['a', 2]]);
  });

  it('of a topic takes tombstones also where the contract does not, and restores by the same event time', () => {
    const strict = topic('strict', { key: string, value: json<number>() });
    const builder = new StreamsBuilder('strict');
    const table = builder.table(strict, { name: 'strict', ttlMs: 100, timestampMs: (n) => n ?? 0, onInvalid: 'skip' });
    using driver = new TestDriver(builder.build());
    const raw = topic('strict', { key: string, value: nullable(string) });
    driver.pipeInput(strict, { key: 'a', value: 50 }, { key: 'b', value: 60 }, { key: 'c', value: 70 });
    driver.pipeInput(raw, { key: 'c', value: null }, { key: 'a', value: 'not a number' });
    // No event times: 2 ** 53 is the first that is not exact.
    for (const value of ['-1', '1.5', '1e999', '9007199254740992']) driver.pipeInput(raw, { key: 'a', value });
    const before = [...driver.store(table).all()];
    driver.restart();
    expect([before, [...driver.store(table).all()]]).toEqual([
      [
        ['a', 50],
        ['b', 60],
      ],
      [
        ['a', 50],
        ['b', 60],
      ],
    ]);
  });

  it('filters and maps: a row that stops passing is deleted', () => {
    const builder = new StreamsBuilder('views');
    builder
      .table(numbers, { name: 'numbers' })
      .filter((n) => n > 1)
      .mapValues((n) => n * 10)
      .to(output);
    using driver = new TestDriver(builder.build());
    driver.pipeInput(numbers, ...[1, 2, 3, 1, 1].map((value, timestampMs) => ({ key: 'a', value, timestampMs })));
    expect(read(driver)).toEqual([
      ['a', 20, 1],
      ['a', 30, 2],
      ['a', null, 3],
    ]);
  });

  it('toStream tells deletions, updates leaves them out', () => {
    const builder = new StreamsBuilder('streams');
    const table = builder.table(numbers, { name: 'numbers' });
    table.toStream().to(output as never);
    const updates = topic('updates', { key: string, value: json<number>() });
    table.updates().to(updates);
    using driver = new TestDriver(builder.build());
    driver.pipeInput(numbers, { key: 'a', value: 1 }, { key: 'a', value: null });
    expect(driver.readValues(output)).toEqual([1, null]);
    expect(driver.readValues(updates)).toEqual([1]);
  });

  it('materialize keeps a view in a store of its own', () => {
    const builder = new StreamsBuilder('materialize');
    const tens = builder
      .table(numbers, { name: 'numbers' })
      .mapValues((n) => n * 10)
      .materialize({ name: 'tens' });
    using driver = new TestDriver(builder.build());
    driver.pipeInput(numbers, { key: 'b', value: 1 }, { key: 'a', value: 2 }, { key: 'c', value: 3 });
    driver.restart();
    expect([...driver.store(tens).range('a', 'b')]).toEqual([
      ['a', 20],
      ['b', 10],
    ]);
  });

  it('toTable makes one of a stream', () => {
    const builder = new StreamsBuilder('to-table');
    const table = builder.stream(sales).toTable({ name: 'last' });
    using driver = new TestDriver(builder.build());
    driver.pipeInput(sales, sale('a', 1), sale('a', 2), sale('b', 1), { key: 'b', value: null });
    expect([...driver.store(table).all()]).toEqual([['a', { shop: 'a', cents: 2 }]]);
  });

  it('and stream of one topic share its source', () => {
    const builder = new StreamsBuilder('shared');
    const table = builder.table(numbers, { name: 'numbers' });
    builder
      .stream(numbers)
      .filter((n) => n !== null)
      .join(table, (n, row) => [n, row])
      .to(output as never);
    const topology = builder.build();
    expect(topology.nodes.filter(({ kind }) => kind === 'source')).toHaveLength(1);
    using driver = new TestDriver(topology);
    driver.pipeInput(numbers, { key: 'a', value: 1 });
    expect(driver.readValues(output)).toEqual([[1, 1]]);
  });
});

describe('a join of a table with one made of itself', () => {
  const joined = () => {
    const builder = new StreamsBuilder('diamond');
    const table = builder.table(numbers, { name: 'numbers', emit: 'update' });
    return {
      builder,
      pairs: table.join(
        table.mapValues((n) => 10 * n),
        (a, b) => a + b,
      ),
    };
  };

  it('is right on topics, and behind a store of its own for what works with old rows', () => {
    const { builder, pairs } = joined();
    pairs.to(output);
    const counts = pairs
      .materialize({ name: 'pairs' })
      .groupBy((n) => ({ key: `${n}`, value: n }), { name: 'by', key: string })
      .count({ name: 'counts' });
    using driver = new TestDriver(builder.build());
    driver.pipeInput(numbers, ...[1, 2, 3].map((value) => ({ key: 'a', value })));
    expect(new Map(driver.readRecords(output).map(({ key, value }) => [key, value]))).toEqual(new Map([['a', 33]]));
    expect([...driver.store(counts).all()].filter(([, n]) => n !== 0)).toEqual([['33', 1]]);
  });

  it.each<[string, (pairs: KTable<string, number>) => unknown]>([
    [
      'a group',
      (pairs) => pairs.groupBy((n) => ({ key: `${n}`, value: n }), { name: 'by', key: string }).count({ name: 'n' }),
    ],
    ['a filter, further on', (pairs) => pairs.mapValues((n) => -n).filter((n) => n < 0)],
    ['another join', (pairs) => pairs.join(pairs, (a, b) => a + b)],
  ])('is refused without one before %s', (_name, use) => {
    const { builder, pairs } = joined();
    use(pairs);
    expect(() => builder.build()).toThrow(expect.objectContaining({ code: 'INVALID_PLAN' }));
  });
});

describe('joins of tables', () => {
  const left = topic('left', { key: string, value: nullable(json<number>()) });
  const right = topic('right', { key: string, value: nullable(json<number>()) });
  type Kind = 'join' | 'leftJoin' | 'outerJoin';
  const step = fc.record({ isLeft: fc.boolean(), key: fc.constantFrom('a', 'b'), value: fc.option(fc.nat(9)) });

  it.each<Kind>(['join', 'leftJoin', 'outerJoin'])(
    '%s: the result is the join of what the tables hold, whenever commits come',
    (kind) => {
      fc.assert(
        fc.property(
          fc.array(fc.record({ step, commits: fc.boolean() }), { maxLength: 20 }),
          fc.boolean(),
          (steps, isUpdate) => {
            const builder = new StreamsBuilder('join');
            const emit = isUpdate ? ('update' as const) : undefined;
            const joiner = (l: number | undefined, r: number | undefined): string => `${l ?? '-'}${r ?? '-'}`;
            const one = builder.table(left, { name: 'left', emit });
            const two = builder.table(right, { name: 'right', emit });
            const joined = (one[kind] as typeof one.outerJoin)(two, joiner);
            joined.to(output);
            // A subtraction that does not match an addition would show here.
            const groups = joined
              .groupBy((value) => ({ key: 'all', value: value.length }), { name: 'all', key: string })
              .count({ name: 'n' });
            using driver = new TestDriver(builder.build(), { autoCommit: false });
            const held = { left: new Map<string, number>(), right: new Map<string, number>() };
            for (const {
              step: { isLeft, key, value },
              commits,
            } of steps) {
              const side = isLeft ? held.left : held.right;
              if (value === null) side.delete(key);
              else side.set(key, value);
              driver.pipeInput(isLeft ? left : right, { key, value });
              if (commits) driver.commit();
            }
            driver.commit();
            const expected: Record<string, string> = {};
            for (const key of ['a', 'b']) {
              const [l, r] = [held.left.get(key), held.right.get(key)];
              const isThere =
                kind === 'join'
                  ? l !== undefined && r !== undefined
                  : kind === 'leftJoin'
                    ? l !== undefined
                    : l !== undefined || r !== undefined;
              if (isThere) expected[key] = joiner(l, r);
            }
            const actual: Record<string, string> = {};
            for (const { key, value } of driver.readRecords(output)) {
              if (value === null) delete actual[key];
              else actual[key] = value as string;
            }
            expect(actual).toEqual(expected);
            expect(driver.store(groups).get('all') ?? 0).toBe(Object.keys(expected).length);
          },
        ),
        { numRuns: 60 },
      );
    },
  );
});

describe('a group of a table', () => {
  it('takes a row out of its old group and puts it into its new one', () => {
    const builder = new StreamsBuilder('regroup');
    const byCents = builder
      .table(sales, { name: 'sales' })
      .groupBy((s) => (s.cents < 0 ? null : { key: s.shop, value: s.cents }), { name: 'by-shop', key: string })
      .aggregate(
        { n: agg.count(), sum: agg.sum((cents) => cents), mean: agg.mean((cents) => cents) },
        { name: 'per-shop' },
      );
    using driver = new TestDriver(builder.build());
    const row = (key: string, shop: string, cents: number) => ({ key, value: { shop, cents } });
    driver.pipeInput(sales, row('1', 'a', 10), row('2', 'a', 20), row('1', 'b', 5), row('2', 'a', 30));
    expect([...driver.store(byCents).all()]).toEqual([
      ['a', { n: 1, sum: 30, mean: 30 }],
      ['b', { n: 1, sum: 5, mean: 5 }],
    ]);
    driver.pipeInput(sales, row('1', 'b', -1), { key: '2', value: null });
    expect(driver.store(byCents).get('a')?.n).toBe(0);
    expect(driver.store(byCents).get('b')?.n).toBe(0);
  });
});

describe('a global table', () => {
  it('is there for any stream, by any field, over all partitions', () => {
    const builder = new StreamsBuilder('global');
    const names = topic('names', { key: string, value: json<{ name: string }>() });
    const table = builder.globalTable(names, { name: 'names' });
    const stream = builder.stream(sales).filter((s) => s !== null);
    stream.join(table, (s, { name }) => [s.cents, name], { on: (s) => s.shop }).to(output as never);
    const left = topic('left-out', { key: nullable(string), value: json<any>() });
    stream.leftJoin(table, (s, row) => [s.cents, row?.name ?? '?'], { on: (s) => s.shop }).to(left);
    using driver = new TestDriver(builder.build(), { numPartitions: 4 });
    driver.pipeInput(names, ...['a', 'b', 'c'].map((key) => ({ key, value: { name: key.toUpperCase() } })));
    driver.pipeInput(sales, { key: 'x', value: { shop: 'b', cents: 1 } }, { key: 'y', value: { shop: 'z', cents: 2 } });
    expect(driver.readValues(output)).toEqual([[1, 'B']]);
    expect(driver.readValues(left)).toEqual([
      [1, 'B'],
      [2, '?'],
    ]);
    driver.pipeInput(topic('names', { key: string, value: nullable(string) }), { key: 'b', value: null });
    expect([...driver.store(table).all()].map(([key]) => key)).toEqual(['a', 'c']);
  });
});

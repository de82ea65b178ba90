import { json, nullable, string, topic, topicPattern } from '@millrace/serde';
import { describe, expect, it } from 'vitest';
import * as publicNames from '../index.ts';
import {
  agg,
  hopping,
  minutes,
  StreamsBuilder,
  tumbling,
  type KStream,
  type Sink,
  type SinkTier,
  type TimeWindows,
  type Topology,
} from '../index.ts';
import { TestDriver } from '../testing/index.ts';
import * as stateNames from '../state/index.ts';
import * as testingNames from '../testing/index.ts';
import { placeOf } from '../dsl/handles.ts';
import { planOf } from './topology.ts';

interface Sale {
  readonly shop: string;
  readonly cents: number;
}
const sales = topic('sales', { key: string, value: json<Sale>() });
const shops = topic('shops', { key: string, value: json<{ name: string }>() });
/** Another encoding of the same keys. */
const quoted = topic('quoted', { key: json<string>(), value: json<Sale>() });
const output = topic('output', { key: string, value: json<any>() });

function sink(tier: SinkTier): Sink<any, any> {
  return { name: `to-${tier}`, tier, open: () => Promise.reject(new Error('not in a test')) };
}

function example(): Topology {
  const builder = new StreamsBuilder('revenue');
  const shopTable = builder.table(shops, { name: 'shops' });
  const { big } = builder.stream(sales).branch({ big: (s) => s.cents > 100 }, { name: 'size' });
  const byShop = big.selectKey((s) => s.shop, { name: 'by-shop', key: string });
  byShop.join(shopTable, (s, { name }) => ({ ...s, name }), { name: 'with-name' }).to(output);
  byShop
    .groupByKey()
    .windowedBy(tumbling({ sizeMs: minutes(1), graceMs: 0 }))
    .aggregate({ n: agg.count() }, { name: 'per-minute' })
    .final()
    .mapValues((row) => row.n)
    .selectKey((_, { key }) => key, { name: 'again', key: string })
    .sink(sink('guarded'));
  return builder.build();
}

describe('a plan', () => {
  it('is cut where new keys need to meet, once however many follow, and nowhere else', () => {
    expect(example().describe('text')).toMatchInlineSnapshot(`
      "Topology revenue (074edcf1d8dde435)
        Sub-topology 0
          source-0 (source) <- topic shops
          shops (tableSource) <- source-0 [shops]
          by-shop-source (source) <- topic revenue-by-shop-repartition
          with-name (streamTableJoin) <- by-shop-source, shops
          to-10 (to) <- with-name -> topic output
          per-minute (windowAggregate) <- by-shop-source [per-minute]
          final-12 (final) <- per-minute
          mapValues-13 (mapValues) <- final-12
          again (selectKey) <- mapValues-13
          to-guarded (sink) <- again
        Sub-topology 1
          source-2 (source) <- topic sales
          size (branch) <- source-2
          size-big (branchArm) <- size
          size-rest (branchArm) <- size
          by-shop (selectKey) <- size-big
          by-shop-repartition (repartition) <- by-shop -> topic revenue-by-shop-repartition
      "
    `);
  });

  it('is drawn for Mermaid', () => {
    expect(example().describe('mermaid')).toMatchInlineSnapshot(`
      "flowchart TD
        t0(["shops"])
        t1(["sales"])
        t2(["revenue-by-shop-repartition"])
        t3(["output"])
        subgraph s0 [Sub-topology 0]
          n0["source-0"]
          n1["shops"]
          n8["by-shop-source"]
          n9["with-name"]
          n10["to-10"]
          n11["per-minute"]
          n12["final-12"]
          n13["mapValues-13"]
          n14["again"]
          n15["to-guarded"]
          store0[("shops")]
          store1[("per-minute")]
        end
        subgraph s1 [Sub-topology 1]
          n2["source-2"]
          n3["size"]
          n4["size-big"]
          n5["size-rest"]
          n6["by-shop"]
          n7["by-shop-repartition"]
        end
        t0 --> n0
        n0 --> n1
        n1 -.- store0
        t1 --> n2
        n2 --> n3
        n3 --> n4
        n3 --> n5
        n4 --> n6
        n6 --> n7
        n7 --> t2
        t2 --> n8
        n8 --> n9
        n1 --> n9
        n9 --> n10
        n10 --> t3
        n8 --> n11
        n11 -.- store1
        n11 --> n12
        n12 --> n13
        n13 --> n14
        n14 --> n15
      "
    `);
  });

  it('draws global tables beside the sub-topologies', () => {
    const builder = new StreamsBuilder('globe');
    const table = builder.globalTable(shops, { name: 'everywhere' });
    builder.stream(sales).join(table, (s) => s, { on: (s) => s.shop, name: 'named' });
    expect(builder.build().describe('mermaid')).toMatchInlineSnapshot(`
      "flowchart TD
        t0(["sales"])
        t1(["shops"])
        global0[("everywhere")]
        t1 --> global0
        subgraph s0 [Sub-topology 0]
          n0["source-0"]
          n1["named"]
        end
        t0 --> n0
        n0 --> n1
        global0 --> n1
      "
    `);
  });

  it('is data for programs', () => {
    const data = JSON.parse(example().describe('json')) as { stores: unknown[]; subtopologies: { nodes: unknown[] }[] };
    expect(data.stores).toEqual([
      {
        name: 'shops',
        kind: 'keyValue',
        key: 'string',
        value: 'json',
        changelog: 'shops',
        emit: 'commit',
        windowMs: 0,
        retentionMs: 0,
      },
      {
        name: 'per-minute',
        kind: 'window',
        key: 'string',
        value: 'row(n:count)',
        changelog: 'revenue-per-minute-changelog',
        emit: 'commit',
        windowMs: 60_000,
        retentionMs: 0,
      },
    ]);
    expect(data.subtopologies.map(({ nodes }) => nodes.length)).toEqual([10, 6]);
  });

  it('names its internal topics as Kafka Streams does, with what they need', () => {
    const { internalTopics, copartitions } = planOf(example());
    expect(internalTopics).toEqual([
      {
        topic: { kind: 'repartition', name: 'by-shop' },
        numPartitions: undefined,
        config: {
          'message.timestamp.type': 'CreateTime',
          'cleanup.policy': 'delete',
          'retention.ms': '-1',
          'segment.bytes': '52428800',
        },
        subtopology: 1,
      },
      {
        topic: { kind: 'changelog', name: 'per-minute' },
        numPartitions: undefined,
        config: { 'message.timestamp.type': 'CreateTime', 'cleanup.policy': 'compact' },
        subtopology: 0,
      },
    ]);
    expect(copartitions).toEqual([
      [
        { kind: 'repartition', name: 'by-shop' },
        { kind: 'external', name: 'shops' },
      ],
    ]);
  });

  it('names a merge as it was told', () => {
    const builder = new StreamsBuilder('merged');
    builder.stream(sales).merge(builder.stream(shops), { name: 'both' }).to(output);
    expect(builder.build().nodes.map(({ name }) => name)).toEqual(['source-0', 'source-1', 'both', 'to-3']);
  });

  it('is frozen', () => {
    const plan = planOf(example());
    for (const part of [plan, plan.nodes, plan.nodes[0], plan.stores[0], plan.subtopologies[0]])
      expect(Object.isFrozen(part)).toBe(true);
  });

  it('knows the node of a stream, wherever repartition topics have come in', () => {
    const builder = new StreamsBuilder('places');
    const byShop = builder.stream(sales).selectKey((s) => s.shop, { name: 'by-shop', key: string });
    const cents = byShop.mapValues((s) => s.cents, { name: 'cents' });
    cents.groupByKey().count({ name: 'n' });
    const { nodes } = planOf(builder.build());
    expect([byShop, cents].map((stream) => nodes[placeOf(stream).node]!.name)).toEqual(['by-shop-source', 'cents']);
  });

  it('takes nothing after it was built', () => {
    const builder = new StreamsBuilder('built');
    const stream = builder.stream(sales);
    builder.build();
    expect(() => stream.to(output as never)).toThrow(expect.objectContaining({ code: 'INVALID_PLAN' }));
  });
});

describe('the hash', () => {
  const hashOf = (edit: (builder: StreamsBuilder) => void): string => {
    const builder = new StreamsBuilder('hash');
    edit(builder);
    return builder.build().hash;
  };
  const base = hashOf((b) => b.stream(sales).groupByKey().count({ name: 'n' }).to(output));

  it('stays for what no state hangs on', () => {
    expect(
      hashOf((b) =>
        b
          .stream(sales, { name: 'in' })
          .filter((s) => s.cents > 0)
          .peek(() => {})
          .groupByKey()
          .count({ name: 'n', emit: 'update' })
          .toStream()
          .to(output as never),
      ),
    ).toBe(base);
  });

  it.each<[string, (builder: StreamsBuilder) => void]>([
    ['another store name', (b) => b.stream(sales).groupByKey().count({ name: 'm' })],
    [
      'another encoding',
      (b) =>
        b
          .stream(sales)
          .groupByKey()
          .count({ name: 'n', value: nullable(json<number>()) as never }),
    ],
    ['another source', (b) => b.stream(shops).groupByKey().count({ name: 'n' })],
    [
      'a repartition before it',
      (b) =>
        b
          .stream(sales)
          .groupBy((s) => s.shop, { name: 'by', key: string })
          .count({ name: 'n' }),
    ],
    [
      'windows',
      (b) =>
        b
          .stream(sales)
          .groupByKey()
          .windowedBy(tumbling({ sizeMs: 1, graceMs: 0 }))
          .count({ name: 'n' }),
    ],
    ['another aggregate in a row', (b) => b.stream(sales).groupByKey().aggregate({ n: agg.count() }, { name: 'n' })],
  ])('changes with %s', (_name, edit) => {
    expect(hashOf(edit)).not.toBe(base);
  });

  const counted = (windows: TimeWindows, options: { retentionMs?: number; emit?: 'update' } = {}) =>
    hashOf((b) =>
      b
        .stream(sales)
        .groupByKey()
        .windowedBy(windows)
        .count({ name: 'n', ...options }),
    );
  const joined = (join: 'join' | 'leftJoin', beforeMs: number, afterMs: number, graceMs: number) =>
    hashOf((b) => {
      const stream = b.stream(sales);
      (stream[join] as typeof stream.leftJoin)(b.stream(shops), (l) => l, { name: 'j', beforeMs, afterMs, graceMs });
    });
  const filled = (fill: (stream: KStream<string, number>) => unknown) =>
    hashOf((b) => fill(b.stream(sales).mapValues((s) => s.cents)));
  const two = (isTurned: boolean) =>
    hashOf((b) => {
      const count = (source: typeof sales | typeof shops, name: string): unknown =>
        b
          .stream<string, unknown>(source as never)
          .groupByKey()
          .count({ name });
      for (const edit of isTurned ? ['b', 'a'] : ['a', 'b']) count(edit === 'a' ? sales : shops, edit);
    });
  const window = { sizeMs: 10, graceMs: 5 };

  it.each<[string, string, string]>([
    ['the grace of a window', counted(tumbling(window)), counted(tumbling({ ...window, graceMs: 6 }))],
    ['the size of a window', counted(tumbling(window)), counted(tumbling({ ...window, sizeMs: 11 }))],
    ['where windows start', counted(tumbling(window)), counted(hopping({ ...window, advanceMs: 5 }))],
    ['the kind of a join', joined('join', 1, 2, 3), joined('leftJoin', 1, 2, 3)],
    ['the window of a join', joined('leftJoin', 1, 2, 3), joined('leftJoin', 2, 1, 3)],
    ['the grace of a join', joined('leftJoin', 40, 40, 30), joined('leftJoin', 40, 40, 31)],
    [
      'what fills a store',
      filled((s) => s.toTable({ name: 'n' })),
      filled((s) => s.groupByKey().reduce((a, b) => a + b, { name: 'n' })),
    ],
    [
      'how it is folded',
      filled((s) => s.groupByKey().reduce((a, b) => a + b, { name: 'n' })),
      filled((s) => s.groupByKey().count({ name: 'n' })),
    ],
  ])('changes with %s', (_name, before, after) => {
    expect(after).not.toBe(before);
  });

  it.each<[string, string, string]>([
    ['the order in which a plan is written', two(false), two(true)],
    [
      'retention and emission',
      counted(tumbling(window)),
      counted(tumbling(window), { retentionMs: 50, emit: 'update' }),
    ],
    ['a ttl', filled((s) => s.toTable({ name: 'n' })), filled((s) => s.toTable({ name: 'n', ttlMs: 5 }))],
    [
      'a stage without a store, behind a repartition topic',
      hashOf((b) => b.stream(sales).repartition({ name: 'r' }).groupByKey().count({ name: 'n' })),
      hashOf((b) =>
        b
          .stream(sales)
          .repartition({ name: 'r' })
          .filter(() => true)
          .groupByKey()
          .count({ name: 'n' }),
      ),
    ],
  ])('stays with %s', (_name, before, after) => {
    expect(after).toBe(before);
  });

  it('is that of state which an edit finds again, whatever has become of the order of the plan', () => {
    const plan = (isTurned: boolean) => {
      const builder = new StreamsBuilder('turned');
      const tables = (isTurned ? [shops, sales] : [sales, shops]).map((source) => {
        const stream = builder.stream<string, unknown>(source as never);
        return [source.name, stream.groupByKey().count({ name: `n-${source.name}` })] as const;
      });
      return { topology: builder.build(), tables: new Map(tables) };
    };
    const [before, after] = [plan(false), plan(true)];
    using driver = new TestDriver(before.topology);
    driver.pipeInput(sales, { key: 'k', value: { shop: 's', cents: 1 } });
    driver.pipeInput(shops, { key: 'k', value: { name: 's' } });
    driver.restart(after.topology);
    driver.pipeInput(sales, { key: 'k', value: { shop: 's', cents: 1 } });
    expect([...after.tables.values()].map((table) => driver.store(table).get('k'))).toEqual([1, 2]);
  });

  it('is the same on every machine', () => {
    expect(base).toMatchInlineSnapshot(`"ffeee6544582e515"`);
  });
});

describe('what a plan refuses', () => {
  const built = (edit: (builder: StreamsBuilder) => void) => (): Topology => {
    const builder = new StreamsBuilder('refused');
    edit(builder);
    return builder.build();
  };

  it.each<[string, string, (builder: StreamsBuilder) => unknown]>([
    ['no source', 'INVALID_PLAN', () => {}],
    [
      'two stores of a name',
      'DUPLICATE_NAME',
      (b) => {
        const g = b.stream(sales).groupByKey();
        g.count({ name: 'n' });
        g.count({ name: 'n' });
      },
    ],
    [
      'two repartition topics of a name',
      'DUPLICATE_NAME',
      (b) => {
        b.stream(sales).repartition({ name: 'r' });
        b.stream(shops).repartition({ name: 'r' });
      },
    ],
    [
      'two nodes of a name',
      'DUPLICATE_NAME',
      (b) =>
        b
          .stream(sales)
          .filter(() => true, { name: 'f' })
          .filter(() => true, { name: 'f' }),
    ],
    [
      'a node named as one that was given no name',
      'DUPLICATE_NAME',
      (b) =>
        b
          .stream(sales)
          .filter(() => true, { name: 'filter-2' })
          .filter(() => true),
    ],
    [
      'a join of keys in two encodings',
      'INVALID_PLAN',
      (b) => b.stream(sales).join(b.table(quoted, { name: 'quoted' }), (l) => l),
    ],
    [
      'a count of keys in two encodings',
      'INVALID_PLAN',
      (b) => b.stream(sales).merge(b.stream(quoted)).groupByKey().count({ name: 'n' }),
    ],
    [
      'a global table named as a store',
      'DUPLICATE_NAME',
      (b) => {
        b.stream(sales).groupByKey().count({ name: 'n' });
        b.globalTable(shops, { name: 'n' });
      },
    ],
    ['a name that no topic can have', 'INVALID_PLAN', (b) => b.stream(sales).groupByKey().count({ name: 'n/a' })],
    [
      'a name of 101 characters',
      'INVALID_PLAN',
      (b) =>
        b
          .stream(sales)
          .groupByKey()
          .count({ name: 'n'.repeat(101) }),
    ],
    [
      'a ttl on windows',
      'INVALID_PLAN',
      (b) =>
        b
          .stream(sales)
          .groupByKey()
          .windowedBy(tumbling({ sizeMs: 1, graceMs: 0 }))
          .count({ name: 'n', ttlMs: 5 }),
    ],
    ['a ttl of nothing', 'INVALID_PLAN', (b) => b.stream(sales).groupByKey().count({ name: 'n', ttlMs: 0 })],
    [
      'a policy that is none',
      'INVALID_PLAN',
      (b) => b.stream(sales).filter(() => true, { onError: 'ignore' as never }),
    ],
    ['retries below none', 'INVALID_PLAN', (b) => b.stream(sales).filter(() => true, { onError: { retries: -1 } })],
    [
      'one topic read in two ways',
      'INVALID_PLAN',
      (b) => {
        b.stream(sales);
        b.stream(topic('sales', { key: string, value: string }));
      },
    ],
    [
      'streams of two builders',
      'INVALID_PLAN',
      (b) => b.stream(sales).merge(new StreamsBuilder('other').stream(shops)),
    ],
    [
      'a store of another builder',
      'INVALID_PLAN',
      (b) =>
        b.stream(sales).process({
          name: 'p',
          stores: { s: new StreamsBuilder('other').keyValueStore({ name: 's', key: string, value: json<number>() }) },
          onRecord: () => {},
        }),
    ],
    ['a branch named by a number', 'INVALID_PLAN', (b) => b.stream(sales).branch({ b: () => true, 1: () => true })],
    [
      'an aggregate named as what a row hides',
      'INVALID_PLAN',
      (b) => b.stream(sales).groupByKey().aggregate({ $state: agg.count() }, { name: 'n' }),
    ],
    ['the last none', 'INVALID_PLAN', () => agg.collect({ limit: 0 })],
    ['the top half', 'INVALID_PLAN', () => agg.topN(0.5, () => 1)],
    ['a branch named rest', 'INVALID_PLAN', (b) => b.stream(sales).branch({ rest: () => true } as never)],
  ])('%s is %s', (_name, code, edit) => {
    expect(built(edit)).toThrow(expect.objectContaining({ code }));
  });

  it.each<[string, (builder: StreamsBuilder) => unknown]>([
    [
      'are brought to one before they meet',
      (b) =>
        b
          .stream(quoted)
          .selectKey((_, key) => key, { name: 'plain', key: string })
          .merge(b.stream(sales))
          .groupByKey()
          .count({ name: 'n' }),
    ],
    [
      'are brought to one before they meet, as the second of a merge',
      (b) =>
        b
          .stream(sales)
          .merge(b.stream(quoted).selectKey((_, key) => key, { name: 'plain', key: string }))
          .groupByKey()
          .count({ name: 'n' }),
    ],
    ['do not meet', (b) => b.stream(sales).merge(b.stream(quoted)).to(output)],
    [
      'are of a global table',
      (b) => b.stream(sales).join(b.globalTable(quoted, { name: 'g' }), (l) => l, { on: (s) => s.shop }),
    ],
    [
      'differ in nullable alone',
      (b) =>
        b
          .stream(topic('maybe', { key: nullable(string), value: json<Sale>() }))
          .join(b.table(shops, { name: 's' }), (l) => l),
    ],
  ])('takes keys in two encodings if they %s', (_name, edit) => {
    expect(built(edit as (builder: StreamsBuilder) => void)).not.toThrow();
  });

  it('takes names of 100 characters', () => {
    expect(
      built((b) =>
        b
          .stream(sales)
          .groupByKey()
          .count({ name: 'n'.repeat(100) }),
      ),
    ).not.toThrow();
  });

  it('topics that are joined and have different numbers of partitions, where the contracts say so', () => {
    const two = topic('two', { key: string, value: json<Sale>(), numPartitions: 2 });
    const three = topic('three', { key: string, value: json<Sale>(), numPartitions: 3 });
    const joined = (right: typeof three, isRepartitioned = false) =>
      built((b) => {
        const table = b.table(right, { name: 'right' });
        const stream = b.stream(two);
        (isRepartitioned ? stream.repartition({ name: 'r' }) : stream).join(table, (l, r) => [l, r]);
      });
    expect(joined(three)).toThrow(
      expect.objectContaining({ code: 'NOT_COPARTITIONED', context: { topics: { two: 2, three: 3 } } }),
    );
    expect(joined({ ...three, numPartitions: 2 })).not.toThrow();
    expect(joined(three, true)).not.toThrow();
  });

  it('topics whose processors share a store and have different numbers of partitions', () => {
    const counted = (numPartitions: number) =>
      topic(`of-${numPartitions}`, { key: string, value: string, numPartitions });
    const shared = (...counts: readonly number[]) =>
      built((b) => {
        const store = b.keyValueStore({ name: 'shared', key: string, value: json<number>() });
        counts.forEach((count) =>
          b.stream(counted(count)).process({ name: `p${count}`, stores: { store }, onRecord() {} }),
        );
      });
    expect(shared(2, 3)).toThrow(expect.objectContaining({ code: 'NOT_COPARTITIONED' }));
    expect(shared(2)).not.toThrow();
  });
});

describe('a sink', () => {
  const plan = (edit: (builder: StreamsBuilder) => void) => (): Topology => {
    const builder = new StreamsBuilder('sinks');
    edit(builder);
    return builder.build();
  };
  const call = { concurrency: 1, timeoutMs: 1 };

  it.each<[string, (builder: StreamsBuilder) => void]>([
    ['a merge', (b) => b.stream(sales).merge(b.stream(shops)).sink(sink('guarded'))],
    [
      'a join',
      (b) =>
        b
          .stream(sales)
          .join(b.table(shops, { name: 's' }), (l) => l)
          .sink(sink('guarded')),
    ],
    [
      'mapAsync',
      (b) =>
        b
          .stream(sales)
          .mapAsync(async (s) => s, call)
          .sink(sink('guarded')),
    ],
    [
      'mapAsync, further up',
      (b) =>
        b
          .stream(sales)
          .mapAsync(async (s) => s, call)
          .filter(() => true)
          .sink(sink('guarded')),
    ],
    [
      'a processor with timers',
      (b) =>
        b
          .stream(sales)
          .process({ name: 'p', onRecord: () => {}, onTimer: () => {} })
          .sink(sink('guarded')),
    ],
    [
      'windows that close by the wall clock',
      (b) =>
        b
          .stream(sales)
          .groupByKey()
          .windowedBy(tumbling({ sizeMs: 1, graceMs: 0, idleCloseMs: 1 }))
          .count({ name: 'n' })
          .final()
          .sink(sink('guarded')),
    ],
    [
      'a state over topics of a pattern',
      (b) =>
        b
          .stream(topicPattern(/^s/, { key: string, value: json<Sale>() }))
          .groupByKey()
          .count({ name: 'n' })
          .toStream()
          .sink(sink('guarded')),
    ],
    [
      'the last change of a commit, if it tells results apart by their number',
      (b) => b.stream(sales).groupByKey().count({ name: 'n' }).toStream().sink(sink('idempotency-key')),
    ],
    [
      'rows that go by their age, if it tells results apart by their number',
      (b) =>
        b
          .stream(sales)
          .groupByKey()
          .count({ name: 'n', emit: 'update', ttlMs: 5 })
          .toStream()
          .sink(sink('idempotency-key')),
    ],
  ])('is refused behind %s', (_name, edit) => {
    expect(plan(edit)).toThrow(expect.objectContaining({ code: 'NONDETERMINISTIC_SINK' }));
  });

  it.each<[string, (builder: StreamsBuilder) => void]>([
    [
      'a repartition after a merge',
      (b) =>
        b.stream(sales).merge(b.stream(shops)).repartition({ name: 'r', value: json<any>() }).sink(sink('guarded')),
    ],
    ['a count', (b) => b.stream(sales).groupByKey().count({ name: 'n' }).toStream().sink(sink('transactional'))],
    [
      'every change of a count',
      (b) => b.stream(sales).groupByKey().count({ name: 'n', emit: 'update' }).toStream().sink(sink('idempotency-key')),
    ],
    [
      'final results',
      (b) =>
        b
          .stream(sales)
          .groupByKey()
          .windowedBy(tumbling({ sizeMs: 1, graceMs: 0 }))
          .count({ name: 'n' })
          .final()
          .sink(sink('idempotency-key')),
    ],
    [
      'topics of a pattern, one by one',
      (b) =>
        b
          .stream(topicPattern(/^s/, { key: string, value: json<Sale>() }))
          .filter(() => true)
          .sink(sink('guarded')),
    ],
  ])('is fine behind %s', (_name, edit) => {
    expect(plan(edit)).not.toThrow();
  });
});

it('exports these names', () => {
  expect(Object.keys(publicNames).toSorted()).toMatchInlineSnapshot(`
    [
      "AppClosedError",
      "CallTimeoutError",
      "DuplicateNameError",
      "IncompatiblePlanError",
      "InvalidPlanError",
      "InvalidStreamsOptionError",
      "KeyNotDeclaredError",
      "LateEmissionError",
      "MissingTopicError",
      "NoOwnerError",
      "NondeterministicSinkError",
      "NotCopartitionedError",
      "PromiseValueError",
      "RecordFailedError",
      "SegmentCompletedError",
      "SinkBusyError",
      "SinkFailedError",
      "StoreCorruptError",
      "Streams",
      "StreamsBuilder",
      "TaskClosedError",
      "ViewTimeoutError",
      "agg",
      "days",
      "deadLetterOf",
      "deadLetters",
      "hopping",
      "hours",
      "isMillraceError",
      "memory",
      "minutes",
      "seconds",
      "tumbling",
    ]
  `);
  expect(Object.keys(stateNames).toSorted()).toMatchInlineSnapshot(`
    [
      "controlKey",
      "controlKindOf",
      "startOfChangelogKey",
      "windowedChangelogKey",
    ]
  `);
  expect(Object.keys(testingNames).toSorted()).toMatchInlineSnapshot(`
    [
      "DriverDownError",
      "SimulatedCrashError",
      "TestDriver",
    ]
  `);
});

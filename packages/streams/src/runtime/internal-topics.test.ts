import { describe, expect, it } from 'vitest';
import { Broker } from '@millrace/broker';
import { Client } from '@millrace/client';
import { json, string, topic, topicPattern } from '@millrace/serde';
import { StreamsBuilder } from '../dsl/builder.ts';
import { planOf } from '../plan/topology.ts';
import { Streams } from './app.ts';
import { prepareTopics, sizeInternalTopics, sourcesOf } from './internal-topics.ts';
import type { NewTopic, StreamsCluster } from './cluster.ts';

const orders = topic('orders', { key: string, value: json<{ user: string }>() });
const users = topic('users', { key: string, value: string });

function joined() {
  const builder = new StreamsBuilder('app');
  const byUser = builder.stream(orders).selectKey(({ user }) => user, { name: 'by-user', key: string });
  const named = byUser.join(builder.table(users, { name: 'users' }), ({ user }, name) => `${user} ${name}`);
  named
    .groupBy((text) => text, { name: 'by-text', key: string })
    .count({ name: 'counts' })
    .to(topic('out', { key: string, value: json<number>() }));
  return planOf(builder.build());
}

/** A cluster with these topics, that remembers what is made and set. */
function cluster(existing: Readonly<Record<string, number>>, minCompactionLagMs?: number) {
  const made: NewTopic[] = [];
  const set: unknown[] = [];
  const fake: Pick<StreamsCluster, 'partitionCounts' | 'createTopic' | 'topicDetails' | 'setTopicConfig'> = {
    partitionCounts: async () => new Map(Object.entries(existing)),
    createTopic: async (created) => void made.push(created),
    topicDetails: async () => ({ topicId: undefined, deleteRetentionMs: undefined, minCompactionLagMs }),
    setTopicConfig: async (...args) => void set.push(args),
  };
  return { made, set, fake: fake as StreamsCluster };
}

const exactlyOnce = { replicationFactor: 2, guarantee: 'exactly_once_v2' } as const;

describe('internal topics', () => {
  it('are as many as what they are joined with, else as what feeds them; changelogs as their tasks', () => {
    const sizes = sizeInternalTopics(
      joined(),
      'app',
      new Map([
        ['orders', 3],
        ['users', 5],
      ]),
    );
    expect(Object.fromEntries(sizes)).toEqual({
      'app-by-user-repartition': 5,
      'app-by-text-repartition': 5,
      'app-counts-changelog': 5,
    });
  });

  it('have the partitions that are asked for, and then what meets them must have as many', () => {
    const builder = new StreamsBuilder('app');
    builder.stream(orders).repartition({ name: 'wide', numPartitions: 7 }).groupByKey().count({ name: 'n' });
    const sizes = sizeInternalTopics(planOf(builder.build()), 'other', new Map([['orders', 3]]));
    expect(Object.fromEntries(sizes)).toEqual({ 'other-wide-repartition': 7, 'other-n-changelog': 7 });

    const uneven = new StreamsBuilder('app');
    uneven
      .stream(orders)
      .repartition({ name: 'wide', numPartitions: 7 })
      .join(uneven.table(users, { name: 'users' }), (order) => order)
      .peek(() => {});
    const plan = planOf(uneven.build());
    expect(() =>
      sizeInternalTopics(
        plan,
        'app',
        new Map([
          ['orders', 3],
          ['users', 5],
        ]),
      ),
    ).toThrow(
      expect.objectContaining({
        code: 'NOT_COPARTITIONED',
        context: { topics: { 'app-wide-repartition': 7, users: 5 } },
      }),
    );
  });

  it('are made with the plan’s configs where they are missing, and left alone where they fit', async () => {
    const { made, fake } = cluster({ orders: 3, users: 5, 'app-by-user-repartition': 5 });
    const counts = await prepareTopics(joined(), 'app', fake, exactlyOnce);
    expect(made.map(({ name, numPartitions, replicationFactor }) => [name, numPartitions, replicationFactor])).toEqual(
      expect.arrayContaining([
        ['app-by-text-repartition', 5, 2],
        ['app-counts-changelog', 5, 2],
      ]),
    );
    expect(made).toHaveLength(2);
    const changelog = made.find(({ name }) => name === 'app-counts-changelog')!;
    expect(changelog.config).toMatchObject({ 'cleanup.policy': 'compact' });
    expect(changelog.config).not.toHaveProperty('min.compaction.lag.ms');
    expect(counts.get('app-counts-changelog')).toBe(5);
  });

  it('keep what at least once may have to undo from being compacted', async () => {
    const { made, fake } = cluster({ orders: 1, users: 1 });
    await prepareTopics(joined(), 'app', fake, { replicationFactor: -1, guarantee: 'at_least_once' });
    const lags = made.map(({ name, config }) => [name.endsWith('-changelog'), config['min.compaction.lag.ms']]);
    expect(lags).toEqual(
      expect.arrayContaining([
        [true, '3600000'],
        [false, undefined],
      ]),
    );
  });

  it.each([
    ['at_least_once', 0, [['app-counts-changelog', { 'min.compaction.lag.ms': '3600000' }]]],
    ['at_least_once', 1, []], // somebody's decision
    ['exactly_once_v2', 0, []],
  ] as const)('also those that exactly once has made (%s, a lag of %d)', async (guarantee, lagMs, expected) => {
    const all = { 'app-by-user-repartition': 5, 'app-by-text-repartition': 5, 'app-counts-changelog': 5 };
    const { made, set, fake } = cluster({ orders: 3, users: 5, ...all }, lagMs);
    await prepareTopics(joined(), 'app', fake, { replicationFactor: -1, guarantee });
    expect([made, set]).toEqual([[], expected]);
  });

  it('are refused where they have another number of partitions, and missing sources are named', async () => {
    const { fake } = cluster({ orders: 3, users: 5, 'app-counts-changelog': 4 });
    await expect(prepareTopics(joined(), 'app', fake, exactlyOnce)).rejects.toMatchObject({
      code: 'INCOMPATIBLE_PLAN',
      context: { topic: 'app-counts-changelog', partitions: 4, needed: 5 },
    });
    await expect(prepareTopics(joined(), 'app', cluster({}).fake, exactlyOnce)).rejects.toMatchObject({
      code: 'MISSING_TOPIC',
      context: { topics: ['orders', 'users'] },
    });
  });

  it('do not count as sources of a pattern', () => {
    const builder = new StreamsBuilder('app');
    builder
      .stream(topicPattern(/.*/, { key: string, value: json<string>() }))
      .groupByKey()
      .count({ name: 'n' });
    const plan = planOf(builder.build());
    const existing = new Map([
      ['a', 2],
      ['app-n-changelog', 9],
    ]);
    expect(sizeInternalTopics(plan, 'app', existing).get('app-n-changelog')).toBe(2);
    expect(sourcesOf(plan, 'app')[0]!.patterns).toHaveLength(1);
  });
});

it('a changelog that exactly once has made keeps what at least once may have to undo, when the guarantee is changed', async () => {
  await using broker = await Broker.open({ data: 'memory' });
  await using client = await Client.connect(broker);
  await client.admin.createTopics([{ name: users.name, numPartitions: 1 }]);
  const builder = new StreamsBuilder('app');
  builder.stream(users).groupByKey().count({ name: 'counts' });
  for (const processingGuarantee of ['exactly_once_v2', 'at_least_once'] as const) {
    const app = Streams.start(builder.build(), { cluster: broker, processingGuarantee });
    await app.running;
    await app.close();
  }
  const configs = await client.admin.describeConfigs('app-counts-changelog');
  expect(configs).toMatchObject({ 'cleanup.policy': 'compact', 'min.compaction.lag.ms': '3600000' });
});

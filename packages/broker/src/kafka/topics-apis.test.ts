import { apis, type ResponseOf } from '@millrace/protocol';
import { describe, expect, it } from 'vitest';
import { batchOf } from '../testing/batches.ts';
import { TestBroker } from '../testing/memory-broker.ts';
import { RawClient } from '../testing/raw-client.ts';
import { errorCodes } from './error-codes.ts';

type Offsets = ResponseOf<typeof apis.listOffsets>['topics'][number]['partitions'][number];

describe('ListOffsets', () => {
  const list = async (test: TestBroker, timestamp: number, version = 10, isolationLevel = 0): Promise<Offsets> => {
    const { topics } = await test.client.request(apis.listOffsets, version, {
      replicaId: -1,
      ...(version >= 2 ? { isolationLevel } : {}),
      topics: [{ name: 'orders', partitions: [{ partitionIndex: 0, timestamp }] }],
    });
    return topics[0]!.partitions[0]!;
  };

  it('answers latest with the high watermark and earliest with the log start, both without a timestamp', async () => {
    await using test = await TestBroker.open();
    await test.createTopic('orders');
    for (const value of ['a', 'b', 'c']) await test.produce('orders', batchOf([{ value, timestampMs: 100 }]));
    await test.client.request(apis.deleteRecords, 2, {
      topics: [{ name: 'orders', partitions: [{ partitionIndex: 0, offset: 2 }] }],
    });
    expect(await list(test, -1)).toMatchObject({ errorCode: 0, offset: 3, timestamp: -1 });
    expect(await list(test, -2)).toMatchObject({ errorCode: 0, offset: 2, timestamp: -1 });
    expect(await list(test, -4)).toMatchObject({ errorCode: 0, offset: 2, timestamp: -1 });
    expect(await list(test, -5)).toMatchObject({ errorCode: 0, offset: -1, timestamp: -1 });
  });

  it('finds the first record at or after a time, inside its batch, and answers −1 past the last', async () => {
    await using test = await TestBroker.open();
    await test.createTopic('orders');
    await test.produce('orders', batchOf([100, 200, 300].map((timestampMs) => ({ value: 'x', timestampMs }))));
    await test.produce('orders', batchOf([{ value: 'y', timestampMs: 400 }]));
    for (const [timestamp, offset, found] of [
      [0, 0, 100],
      [100, 0, 100],
      [101, 1, 200],
      [300, 2, 300],
      [301, 3, 400],
      [400, 3, 400],
      [401, -1, -1],
    ] as const) {
      expect(await list(test, timestamp), `at ${timestamp}`).toMatchObject({ errorCode: 0, offset, timestamp: found });
    }
  });

  it('finds the record with the greatest time from version 7 on', async () => {
    await using test = await TestBroker.open();
    await test.createTopic('orders');
    await test.produce('orders', batchOf([5, 900, 7].map((timestampMs) => ({ value: 'x', timestampMs }))));
    expect(await list(test, -3, 7)).toMatchObject({ errorCode: 0, offset: 1, timestamp: 900 });
    expect(await list(test, -3, 6)).toMatchObject({ errorCode: errorCodes.UNSUPPORTED_VERSION });
  });

  it('refuses a partition that is named twice, and only that one', async () => {
    await using test = await TestBroker.open();
    await test.createTopic('orders', { partitions: 2 });
    const { topics } = await test.client.request(apis.listOffsets, 5, {
      replicaId: -1,
      topics: [{ name: 'orders', partitions: [0, 1, 0].map((partitionIndex) => ({ partitionIndex, timestamp: -1 })) }],
    });
    expect(topics[0]?.partitions.map(({ errorCode }) => errorCode)).toEqual([
      errorCodes.INVALID_REQUEST,
      errorCodes.NONE,
      errorCodes.INVALID_REQUEST,
    ]);
  });
});

describe('OffsetForLeaderEpoch', () => {
  it('ends the current epoch at the log end, and does not know a later one', async () => {
    await using test = await TestBroker.open();
    await test.createTopic('orders');
    await test.produce('orders', batchOf(['a', 'b']));
    const { topics } = await test.client.request(apis.metadata, 9, { topics: [{ name: 'orders' }] });
    const epoch = topics[0]!.partitions[0]!.leaderEpoch;
    const ask = async (leaderEpoch: number): Promise<unknown> => {
      const answer = await test.client.request(apis.offsetForLeaderEpoch, 4, {
        topics: [{ topic: 'orders', partitions: [{ partition: 0, leaderEpoch }] }],
      });
      return answer.topics[0]?.partitions[0];
    };
    expect(await ask(epoch)).toMatchObject({ errorCode: 0, leaderEpoch: epoch, endOffset: 2 });
    expect(await ask(epoch + 1)).toMatchObject({ errorCode: 0, leaderEpoch: -1, endOffset: -1 });
  });
});

describe('Metadata', () => {
  it('takes null as all topics and an empty list as none, but version 0 an empty list as all', async () => {
    await using test = await TestBroker.open();
    await test.createTopic('orders');
    const count = async (version: number, topics: [] | null): Promise<number> =>
      (await test.client.request(apis.metadata, version, { topics })).topics.length;
    expect(await count(1, null)).toBe(1);
    expect(await count(1, [])).toBe(0);
    expect(await count(0, [])).toBe(1);
  });

  it('creates a topic that it is asked for and answers it as there, once for any number of askers', async () => {
    await using test = await TestBroker.open({ config: { 'num.partitions': 3 } });
    const asked = await Promise.all(
      Array.from({ length: 20 }, () => test.client.request(apis.metadata, 12, { topics: [{ name: 'orders' }] })),
    );
    const ids = new Set(asked.map(({ topics }) => topics[0]?.topicId));
    expect(ids.size).toBe(1);
    for (const { topics } of asked) {
      expect(topics[0]).toMatchObject({ errorCode: 0, name: 'orders', isInternal: false });
      expect(topics[0]?.partitions).toHaveLength(3);
    }
  });

  it('gives who asks for a topic the one that somebody else is about to make', async () => {
    await using test = await TestBroker.open({ config: { 'num.partitions': 3 } });
    const other = RawClient.dial(test.broker);
    const made = test.createTopic('orders', { partitions: 2 });
    const { topics } = await other.request(apis.metadata, 12, { topics: [{ name: 'orders' }] });
    expect(topics).toMatchObject([{ errorCode: errorCodes.NONE, topicId: await made }]);
    expect(topics[0]?.partitions).toHaveLength(2);
  });

  it.each([
    ['the request forbids it', {}, { topics: [{ name: 'orders' }], allowAutoTopicCreation: false }],
    ['the broker forbids it', { 'auto.create.topics.enable': false }, { topics: [{ name: 'orders' }] }],
    ['the topic is internal', {}, { topics: [{ name: '__consumer_offsets' }] }],
  ])('creates nothing where %s', async (_why, config, request) => {
    await using test = await TestBroker.open({ config });
    const { topics } = await test.client.request(apis.metadata, 9, request);
    expect(topics[0]?.errorCode).toBe(errorCodes.UNKNOWN_TOPIC_OR_PARTITION);
    expect((await test.client.request(apis.metadata, 9, { topics: null })).topics).toEqual([]);
  });

  it.each(['', '.', '..', 'a/b', 'ä', 'x'.repeat(250), '__cluster_metadata'])('refuses the name %j', async (name) => {
    await using test = await TestBroker.open();
    const { topics } = await test.client.request(apis.metadata, 9, { topics: [{ name }] });
    expect(topics[0]?.errorCode).toBe(errorCodes.INVALID_TOPIC_EXCEPTION);
  });

  it('finds topics by id from version 12 on', async () => {
    await using test = await TestBroker.open();
    const topicId = await test.createTopic('orders');
    const unknown = '01234567-89ab-4def-8123-456789abcdef';
    const { topics } = await test.client.request(apis.metadata, 12, {
      topics: [
        { topicId, name: null },
        { topicId: unknown, name: null },
      ],
    });
    expect(topics.map(({ errorCode, name }) => [errorCode, name])).toEqual([
      [errorCodes.NONE, 'orders'],
      [errorCodes.UNKNOWN_TOPIC_ID, null],
    ]);
  });

  it('tells operations only when asked for them', async () => {
    await using test = await TestBroker.open();
    await test.createTopic('orders');
    const topics = [{ name: 'orders' }];
    const quiet = await test.client.request(apis.metadata, 8, { topics });
    expect([quiet.clusterAuthorizedOperations, quiet.topics[0]?.topicAuthorizedOperations]).toEqual([
      -2_147_483_648, -2_147_483_648,
    ]);
    const asked = await test.client.request(apis.metadata, 8, {
      topics,
      includeClusterAuthorizedOperations: true,
      includeTopicAuthorizedOperations: true,
    });
    expect([asked.clusterAuthorizedOperations, asked.topics[0]?.topicAuthorizedOperations]).toEqual([8096, 3576]);
  });
});

describe('ApiVersions', () => {
  it('advertises itself among all that is served, and refuses illegal names of software', async () => {
    await using test = await TestBroker.open();
    const software = { clientSoftwareName: 'raw-client', clientSoftwareVersion: '1.0' };
    const { errorCode, apiKeys } = await test.client.request(apis.apiVersions, 4, software);
    expect(errorCode).toBe(0);
    expect(apiKeys).toContainEqual({ apiKey: 18, minVersion: 0, maxVersion: 4 });
    expect(apiKeys).toContainEqual({ apiKey: 1, minVersion: 4, maxVersion: 17 });
    const refused = await test.client.request(apis.apiVersions, 3, { ...software, clientSoftwareName: 'a b' });
    expect(refused.errorCode).toBe(errorCodes.INVALID_REQUEST);
  });

  it('answers an unknown version of itself in version 0, with its own range, so that the client can try again', async () => {
    await using test = await TestBroker.open();
    const request = Buffer.from([0, 18, 0, 99, 0, 0, 0, 77, 0xff, 0xff]);
    const answer = test.client.frame(77);
    test.client.sendBytes(Buffer.concat([Buffer.from([0, 0, 0, request.length]), request]));
    expect(Buffer.from(await answer).toString('hex')).toBe(
      '0000004d' + // correlation id
        '0023' + // UNSUPPORTED_VERSION
        '00000001' + // one entry:
        '001200000004', // ApiVersions, 0 to 4
    );
  });

  it('closes the connection for any other API or version that is not served', async () => {
    for (const frame of [
      [0, 4, 0, 0, 0, 0, 0, 1, 0xff, 0xff],
      [0, 3, 0, 99, 0, 0, 0, 1, 0xff, 0xff],
      [0x7f, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff],
    ]) {
      await using test = await TestBroker.open();
      test.client.sendBytes(Buffer.from([0, 0, 0, frame.length, ...frame]));
      await test.client.closed;
      expect(test.client.answered).toEqual([]);
    }
  });
});

describe('CreateTopics', () => {
  type Topic = {
    name: string;
    numPartitions?: number;
    replicationFactor?: number;
    configs?: { name: string; value: string | null }[];
    assignments?: { partitionIndex: number; brokerIds: number[] }[];
  };
  const create = async (
    test: TestBroker,
    topics: Topic[],
    options: { validateOnly?: boolean } = {},
  ): Promise<ResponseOf<typeof apis.createTopics>['topics']> =>
    (
      await test.client.request(apis.createTopics, 7, {
        timeoutMs: 1000,
        ...options,
        topics: topics.map((topic) => ({ numPartitions: 1, replicationFactor: 1, ...topic })),
      })
    ).topics;

  it('fills in the defaults for −1 and answers what was made, with its configs and their sources', async () => {
    await using test = await TestBroker.open({ config: { 'num.partitions': 5, 'log.retention.ms': 1000 } });
    const [topic] = await create(test, [
      { name: 'orders', numPartitions: -1, replicationFactor: -1, configs: [{ name: 'segment.bytes', value: '1000' }] },
    ]);
    expect(topic).toMatchObject({ errorCode: 0, numPartitions: 5, replicationFactor: 1 });
    const configs = new Map(topic?.configs?.map(({ name, value, configSource }) => [name, [value, configSource]]));
    expect(configs.get('segment.bytes')).toEqual(['1000', 1]);
    expect(configs.get('retention.ms')).toEqual(['1000', 4]);
    expect(configs.get('cleanup.policy')).toEqual(['delete', 5]);
  });

  it('can be used at once', async () => {
    await using test = await TestBroker.open();
    await create(test, [{ name: 'orders' }]);
    expect(await test.produce('orders', batchOf(['a']))).toMatchObject({ errorCode: 0, baseOffset: 0 });
  });

  it.each([
    [{ name: 'a b' }, errorCodes.INVALID_TOPIC_EXCEPTION],
    [{ name: '__consumer_offsets' }, errorCodes.INVALID_TOPIC_EXCEPTION],
    [{ name: 'taken' }, errorCodes.TOPIC_ALREADY_EXISTS],
    [{ name: 'orders', numPartitions: 0 }, errorCodes.INVALID_PARTITIONS],
    [{ name: 'orders', numPartitions: -2 }, errorCodes.INVALID_PARTITIONS],
    [{ name: 'orders', replicationFactor: 0 }, errorCodes.INVALID_REPLICATION_FACTOR],
    [{ name: 'orders', configs: [{ name: 'no.such', value: '1' }] }, errorCodes.INVALID_CONFIG],
    [{ name: 'orders', configs: [{ name: 'retention.ms', value: '-2' }] }, errorCodes.INVALID_CONFIG],
    [{ name: 'orders', configs: [{ name: 'retention.ms', value: null }] }, errorCodes.INVALID_CONFIG],
    [
      {
        name: 'orders',
        configs: [
          { name: 'min.compaction.lag.ms', value: '9' },
          { name: 'max.compaction.lag.ms', value: '8' },
        ],
      },
      errorCodes.INVALID_CONFIG,
    ],
    [{ name: 'orders', assignments: [{ partitionIndex: 0, brokerIds: [1] }] }, errorCodes.INVALID_REQUEST],
    [
      {
        name: 'orders',
        numPartitions: -1,
        replicationFactor: -1,
        assignments: [{ partitionIndex: 1, brokerIds: [1] }],
      },
      errorCodes.INVALID_REPLICA_ASSIGNMENT,
    ],
    [
      {
        name: 'orders',
        numPartitions: -1,
        replicationFactor: -1,
        assignments: [{ partitionIndex: 0, brokerIds: [7] }],
      },
      errorCodes.INVALID_REPLICA_ASSIGNMENT,
    ],
  ])('refuses %j with error %i, and makes nothing', async (topic, errorCode) => {
    await using test = await TestBroker.open();
    await create(test, [{ name: 'taken' }]);
    const [answer] = await create(test, [topic]);
    expect(answer).toMatchObject({ errorCode, name: topic.name });
    expect(answer?.errorMessage).toMatch(/\S/);
    const { topics } = await test.client.request(apis.metadata, 9, { topics: null });
    expect(topics.map(({ name }) => name)).toEqual(['taken']);
  });

  it('refuses a name that differs from another in dots and underscores alone', async () => {
    await using test = await TestBroker.open();
    await create(test, [{ name: 'a.b' }]);
    expect((await create(test, [{ name: 'a_b' }]))[0]?.errorCode).toBe(errorCodes.INVALID_TOPIC_EXCEPTION);
    expect((await create(test, [{ name: 'a-b' }]))[0]?.errorCode).toBe(errorCodes.NONE);
  });

  it('refuses a topic that the request names twice', async () => {
    await using test = await TestBroker.open();
    const topics = await create(test, [{ name: 'orders' }, { name: 'orders' }, { name: 'other' }]);
    expect(topics.map(({ name, errorCode }) => [name, errorCode])).toEqual([
      ['orders', errorCodes.INVALID_REQUEST],
      ['other', errorCodes.NONE],
    ]);
  });

  it('gives one replica to who asks for three, unless the clamp is off', async () => {
    await using clamping = await TestBroker.open();
    expect((await create(clamping, [{ name: 'orders', replicationFactor: 3 }]))[0]).toMatchObject({
      errorCode: 0,
      replicationFactor: 1,
    });
    await using strict = await TestBroker.open({ config: { 'millrace.replication.factor.clamp': false } });
    expect((await create(strict, [{ name: 'orders', replicationFactor: 3 }]))[0]?.errorCode).toBe(
      errorCodes.INVALID_REPLICATION_FACTOR,
    );
  });

  it('validates without making anything', async () => {
    await using test = await TestBroker.open();
    const answers = await create(test, [{ name: 'orders' }, { name: 'bad', numPartitions: 0 }], { validateOnly: true });
    expect(answers.map(({ errorCode }) => errorCode)).toEqual([errorCodes.NONE, errorCodes.INVALID_PARTITIONS]);
    expect((await test.client.request(apis.metadata, 9, { topics: null })).topics).toEqual([]);
  });

  it('makes as many partitions as there may be, and not one more', async () => {
    await using test = await TestBroker.open({ config: { 'millrace.max.partitions': 4 } });
    expect((await create(test, [{ name: 'a', numPartitions: 3 }]))[0]?.errorCode).toBe(errorCodes.NONE);
    expect((await create(test, [{ name: 'b', numPartitions: 2 }]))[0]?.errorCode).toBe(errorCodes.POLICY_VIOLATION);
    expect((await create(test, [{ name: 'b', numPartitions: 1 }]))[0]?.errorCode).toBe(errorCodes.NONE);
    await test.client.request(apis.deleteTopics, 5, { topicNames: ['a'], timeoutMs: 1000 });
    expect((await create(test, [{ name: 'c', numPartitions: 3 }]))[0]?.errorCode).toBe(errorCodes.NONE);
  });
});

describe('DeleteTopics', () => {
  it('frees the name for a new topic that has nothing of the old one', async () => {
    await using test = await TestBroker.open();
    await test.createTopic('orders');
    await test.produce('orders', batchOf(['old']));
    const { responses } = await test.client.request(apis.deleteTopics, 5, { topicNames: ['orders'], timeoutMs: 1000 });
    expect(responses.map(({ errorCode }) => errorCode)).toEqual([0]);
    await test.createTopic('orders');
    expect(await test.fetch('orders', 0)).toMatchObject({ errorCode: 0, highWatermark: 0 });
  });

  it('deletes by id from version 6 on, and tells what it does not know', async () => {
    await using test = await TestBroker.open();
    const topicId = await test.createTopic('orders');
    const unknown = '01234567-89ab-4def-8123-456789abcdef';
    const { responses } = await test.client.request(apis.deleteTopics, 6, {
      timeoutMs: 1000,
      topics: [{ name: null, topicId }, { name: null, topicId: unknown }, { name: 'nowhere' }],
    });
    expect(responses.map(({ name, errorCode }) => [name, errorCode])).toEqual([
      ['orders', errorCodes.NONE],
      [null, errorCodes.UNKNOWN_TOPIC_ID],
      ['nowhere', errorCodes.UNKNOWN_TOPIC_OR_PARTITION],
    ]);
  });

  it('by id deletes no topic that was made under its name meanwhile', async () => {
    await using test = await TestBroker.open();
    const topicId = await test.createTopic('orders');
    const clients = Array.from({ length: 3 }, () => RawClient.dial(test.broker));
    const [one, two, three] = clients as [RawClient, RawClient, RawClient];
    // All in one turn, so that each waits for the one before it.
    const grown = test.client.request(apis.createPartitions, 3, {
      topics: [{ name: 'orders', count: 3, assignments: null }],
    });
    const byName = one.request(apis.deleteTopics, 5, { topicNames: ['orders'], timeoutMs: 1000 });
    const made = two.request(apis.createTopics, 7, {
      topics: [{ name: 'orders', numPartitions: 2, replicationFactor: 1 }],
    });
    const byId = three.request(apis.deleteTopics, 6, { timeoutMs: 1000, topics: [{ name: null, topicId }] });
    expect((await grown).results).toMatchObject([{ errorCode: errorCodes.NONE }]);
    expect((await byName).responses).toMatchObject([{ name: 'orders', errorCode: errorCodes.NONE }]);
    expect((await made).topics).toMatchObject([{ errorCode: errorCodes.NONE }]);
    expect((await byId).responses).toMatchObject([{ topicId, errorCode: errorCodes.UNKNOWN_TOPIC_ID }]);
    const { topics } = await test.client.request(apis.metadata, 12, { topics: null });
    expect(topics.map(({ name, partitions }) => [name, partitions.length])).toEqual([['orders', 2]]);
  });

  it('refuses where deleting is disabled', async () => {
    await using test = await TestBroker.open({ config: { 'delete.topic.enable': false } });
    await test.createTopic('orders');
    const { responses } = await test.client.request(apis.deleteTopics, 5, { topicNames: ['orders'], timeoutMs: 1000 });
    expect(responses[0]?.errorCode).toBe(errorCodes.TOPIC_DELETION_DISABLED);
    expect(await test.produce('orders', batchOf(['a']))).toMatchObject({ errorCode: 0 });
  });
});

describe('DeleteRecords', () => {
  it('moves the start to an offset, to the high watermark for −1, and not past it', async () => {
    await using test = await TestBroker.open();
    await test.createTopic('orders');
    for (const value of ['a', 'b', 'c']) await test.produce('orders', batchOf([value]));
    const before = async (offset: number): Promise<unknown> =>
      (
        await test.client.request(apis.deleteRecords, 2, {
          topics: [{ name: 'orders', partitions: [{ partitionIndex: 0, offset }] }],
        })
      ).topics[0]?.partitions[0];
    expect(await before(1)).toMatchObject({ errorCode: 0, lowWatermark: 1 });
    expect(await before(4)).toMatchObject({ errorCode: errorCodes.OFFSET_OUT_OF_RANGE });
    expect(await before(-1)).toMatchObject({ errorCode: 0, lowWatermark: 3 });
  });

  it('refuses topics that are only compacted', async () => {
    await using test = await TestBroker.open();
    await test.createTopic('table', { configs: { 'cleanup.policy': 'compact' } });
    const { topics } = await test.client.request(apis.deleteRecords, 2, {
      topics: [{ name: 'table', partitions: [{ partitionIndex: 0, offset: 0 }] }],
    });
    expect(topics[0]?.partitions[0]?.errorCode).toBe(errorCodes.POLICY_VIOLATION);
  });
});

describe('CreatePartitions', () => {
  it('adds empty partitions, and never takes any away', async () => {
    await using test = await TestBroker.open();
    await test.createTopic('orders', { partitions: 2 });
    await test.produce('orders', batchOf(['a']));
    const grow = async (count: number, validateOnly = false): Promise<number | undefined> =>
      (
        await test.client.request(apis.createPartitions, 3, {
          topics: [{ name: 'orders', count, assignments: null }],
          validateOnly,
        })
      ).results[0]?.errorCode;
    expect(await grow(2)).toBe(errorCodes.INVALID_PARTITIONS);
    expect(await grow(1)).toBe(errorCodes.INVALID_PARTITIONS);
    expect(await grow(3, true)).toBe(errorCodes.NONE);
    expect(await test.produce('orders', batchOf(['x']), { partition: 2 })).toMatchObject({
      errorCode: errorCodes.UNKNOWN_TOPIC_OR_PARTITION,
    });
    expect(await grow(3)).toBe(errorCodes.NONE);
    expect(await test.produce('orders', batchOf(['x']), { partition: 2 })).toMatchObject({
      errorCode: 0,
      baseOffset: 0,
    });
    expect((await test.fetch('orders', 0)).highWatermark).toBe(1);
  });
});

describe('configs', () => {
  const topicResource = 2;
  const brokerResource = 4;
  const describeConfigs = async (
    test: TestBroker,
    resourceType: number,
    resourceName: string,
    configurationKeys: string[] | null = null,
  ): Promise<ResponseOf<typeof apis.describeConfigs>['results'][number]> =>
    (
      await test.client.request(apis.describeConfigs, 4, {
        resources: [{ resourceType, resourceName, configurationKeys }],
        includeSynonyms: true,
        includeDocumentation: true,
      })
    ).results[0]!;
  const alter = async (
    test: TestBroker,
    configs: { name: string; configOperation: number; value: string | null }[],
    resource: { resourceType: number; resourceName: string } = { resourceType: topicResource, resourceName: 'orders' },
  ): Promise<number> =>
    (await test.client.request(apis.incrementalAlterConfigs, 1, { resources: [{ ...resource, configs }] }))
      .responses[0]!.errorCode;

  it('are described with their sources and all their synonyms', async () => {
    await using test = await TestBroker.open({ config: { 'log.retention.ms': 5000 } });
    await test.createTopic('orders', { configs: { 'retention.ms': '1000' } });
    const { configs } = await describeConfigs(test, topicResource, 'orders', ['retention.ms', 'flush.ms']);
    expect(configs).toMatchObject([
      { name: 'flush.ms', value: '9223372036854775807', configSource: 5, configType: 5, readOnly: false },
      {
        name: 'retention.ms',
        value: '1000',
        configSource: 1,
        synonyms: [
          { name: 'retention.ms', value: '1000', source: 1 },
          { name: 'log.retention.ms', value: '5000', source: 4 },
          { name: 'log.retention.ms', value: '604800000', source: 5 },
        ],
      },
    ]);
    expect(configs[1]?.documentation).toMatch(/\S/);
  });

  it('of a topic that does not exist are an error', async () => {
    await using test = await TestBroker.open();
    expect((await describeConfigs(test, topicResource, 'nowhere')).errorCode).toBe(
      errorCodes.UNKNOWN_TOPIC_OR_PARTITION,
    );
    expect((await describeConfigs(test, 99, 'x')).errorCode).toBe(errorCodes.INVALID_REQUEST);
    expect((await describeConfigs(test, brokerResource, '7')).errorCode).toBe(errorCodes.INVALID_REQUEST);
  });

  it('of the broker are read-only', async () => {
    await using test = await TestBroker.open();
    const { configs } = await describeConfigs(test, brokerResource, '1');
    expect(configs.length).toBeGreaterThan(40);
    expect(configs.every(({ readOnly }) => readOnly)).toBe(true);
    const change = [{ name: 'num.partitions', configOperation: 0, value: '2' }];
    expect(await alter(test, change, { resourceType: brokerResource, resourceName: '1' })).toBe(
      errorCodes.INVALID_REQUEST,
    );
  });

  it('are set, unset, and changed as lists one by one', async () => {
    await using test = await TestBroker.open();
    await test.createTopic('orders', { configs: { 'retention.ms': '1000' } });
    expect(
      await alter(test, [
        { name: 'segment.bytes', configOperation: 0, value: '2000' },
        { name: 'retention.ms', configOperation: 1, value: null },
        { name: 'cleanup.policy', configOperation: 2, value: 'compact' },
      ]),
    ).toBe(errorCodes.NONE);
    const named = async (): Promise<unknown> =>
      (
        await describeConfigs(test, topicResource, 'orders', ['segment.bytes', 'retention.ms', 'cleanup.policy'])
      ).configs.map(({ name, value, configSource }) => [name, value, configSource]);
    expect(await named()).toEqual([
      ['cleanup.policy', 'delete,compact', 1],
      ['retention.ms', '604800000', 5],
      ['segment.bytes', '2000', 1],
    ]);
    expect(await alter(test, [{ name: 'cleanup.policy', configOperation: 3, value: 'delete' }])).toBe(errorCodes.NONE);
    expect(await named()).toContainEqual(['cleanup.policy', 'compact', 1]);
  });

  it('take effect on all logs of the topic at once, and on those that are added', async () => {
    await using test = await TestBroker.open();
    await test.createTopic('orders', { partitions: 2 });
    const produceTo = async (partition: number): Promise<number> =>
      (await test.produce('orders', batchOf(['a']), { partition })).errorCode;
    expect([await produceTo(0), await produceTo(1)]).toEqual([errorCodes.NONE, errorCodes.NONE]);
    await alter(test, [{ name: 'max.message.bytes', configOperation: 0, value: '10' }]);
    await test.client.request(apis.createPartitions, 3, { topics: [{ name: 'orders', count: 3, assignments: null }] });
    for (const partition of [0, 1, 2]) expect(await produceTo(partition)).toBe(errorCodes.MESSAGE_TOO_LARGE);
    await alter(test, [{ name: 'max.message.bytes', configOperation: 1, value: null }]);
    for (const partition of [0, 1, 2]) expect(await produceTo(partition)).toBe(errorCodes.NONE);
  });

  it('change nothing where they are only validated', async () => {
    await using test = await TestBroker.open();
    await test.createTopic('orders');
    const changes = [{ name: 'max.message.bytes', configOperation: 0, value: '10' }];
    const resources = [{ resourceType: topicResource, resourceName: 'orders', configs: changes }];
    const { responses } = await test.client.request(apis.incrementalAlterConfigs, 1, { resources, validateOnly: true });
    expect(responses[0]?.errorCode).toBe(errorCodes.NONE);
    expect(await test.produce('orders', batchOf(['a']))).toMatchObject({ errorCode: 0 });
    const { configs } = await describeConfigs(test, topicResource, 'orders', ['max.message.bytes']);
    expect(configs[0]?.value).toBe('1048588');
  });

  it.each([
    [[{ name: 'no.such', configOperation: 0, value: '1' }], errorCodes.INVALID_CONFIG],
    [[{ name: 'retention.ms', configOperation: 0, value: 'x' }], errorCodes.INVALID_CONFIG],
    [[{ name: 'retention.ms', configOperation: 0, value: null }], errorCodes.INVALID_REQUEST],
    [[{ name: 'retention.ms', configOperation: 2, value: '1' }], errorCodes.INVALID_CONFIG],
    [[{ name: 'retention.ms', configOperation: 9, value: '1' }], errorCodes.INVALID_REQUEST],
    [
      [
        { name: 'retention.ms', configOperation: 0, value: '1' },
        { name: 'retention.ms', configOperation: 1, value: null },
      ],
      errorCodes.INVALID_REQUEST,
    ],
  ])('are not changed by %j: error %i', async (changes, errorCode) => {
    await using test = await TestBroker.open();
    await test.createTopic('orders', { configs: { 'retention.ms': '77' } });
    expect(await alter(test, changes)).toBe(errorCode);
    const { configs } = await describeConfigs(test, topicResource, 'orders', ['retention.ms']);
    expect(configs[0]?.value).toBe('77');
  });

  it('are replaced as a whole by AlterConfigs', async () => {
    await using test = await TestBroker.open();
    await test.createTopic('orders', { configs: { 'retention.ms': '1000', 'segment.bytes': '3000' } });
    const resources = [
      { resourceType: topicResource, resourceName: 'orders', configs: [{ name: 'retention.ms', value: '2000' }] },
    ];
    const names = ['retention.ms', 'segment.bytes'];
    const values = async (): Promise<unknown> =>
      (await describeConfigs(test, topicResource, 'orders', names)).configs.map(({ value }) => value);
    await test.client.request(apis.alterConfigs, 2, { resources, validateOnly: true });
    expect(await values()).toEqual(['1000', '3000']);
    await test.client.request(apis.alterConfigs, 2, { resources });
    expect(await values()).toEqual(['2000', '1073741824']);
  });
});

describe('DescribeCluster', () => {
  it('tells the one broker, which is the controller too', async () => {
    await using test = await TestBroker.open({ config: { 'node.id': 9 } });
    const cluster = await test.client.request(apis.describeCluster, 1, {});
    expect(cluster).toMatchObject({
      errorCode: 0,
      clusterId: test.broker.clusterId,
      controllerId: 9,
      brokers: [{ brokerId: 9 }],
    });
    const controllers = await test.client.request(apis.describeCluster, 1, { endpointType: 2 });
    expect(controllers.errorCode).toBe(errorCodes.MISMATCHED_ENDPOINT_TYPE);
  });
});

it('gives no record as the one with the greatest timestamp before it can be fetched', async () => {
  await using test = await TestBroker.open();
  await test.createTopic('orders');
  const other = TestBroker.over(test.broker);
  const greatest = { topics: [{ name: 'orders', partitions: [{ partitionIndex: 0, timestamp: -3 }] }] };
  const written = test.produce('orders', batchOf([{ value: 'x', timestampMs: 7 }]));
  const early = await other.client.request(apis.listOffsets, 7, greatest); // in the turn of the append
  expect(early.topics[0]?.partitions[0]).toMatchObject({ errorCode: 0, offset: -1, timestamp: -1 });
  await written;
  const late = await other.client.request(apis.listOffsets, 7, greatest);
  expect(late.topics[0]?.partitions[0]).toMatchObject({ errorCode: 0, offset: 0, timestamp: 7 });
});

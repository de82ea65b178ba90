import { nodePlatform } from '@millrace/platform';
import { SimulatedFileSystem } from '@millrace/platform/simulated';
import { apis } from '@millrace/protocol';
import { describe, expect, it } from 'vitest';
import { errorCodes } from './kafka/error-codes.ts';
import { batchOf, valuesOf } from './testing/batches.ts';
import { TestBroker } from './testing/memory-broker.ts';

it('commits a transaction: readers of committed records see it only then, and the marker takes an offset', async () => {
  await using test = await TestBroker.open();
  await test.createTopic('orders');
  const { producerId, producerEpoch, ...begun } = await test.client.request(apis.initProducerId, 4, {
    transactionalId: 'pay',
    transactionTimeoutMs: 60_000,
  });
  expect(begun.errorCode).toBe(0);
  const transaction = { transactionalId: 'pay', producerId, producerEpoch };
  const batch = (value: string, baseSequence: number): Uint8Array =>
    batchOf([value], { producerId, producerEpoch, baseSequence, isTransactional: true });
  const options = { transactionalId: 'pay' };

  expect((await test.produce('orders', batch('early', 0), options)).errorCode).toBe(errorCodes.INVALID_TXN_STATE);
  const added = await test.client.request(apis.addPartitionsToTxn, 3, {
    v3AndBelowTransactionalId: 'pay',
    v3AndBelowProducerId: producerId,
    v3AndBelowProducerEpoch: producerEpoch,
    v3AndBelowTopics: [{ name: 'orders', partitions: [0] }],
  });
  expect(added.resultsByTopicV3AndBelow[0]?.resultsByPartition[0]?.partitionErrorCode).toBe(0);
  expect(await test.produce('orders', batch('paid', 0), options)).toMatchObject({ errorCode: 0, baseOffset: 0 });

  const committed = { isolationLevel: 1 };
  expect(await test.fetch('orders', 0, committed)).toMatchObject({ highWatermark: 1, lastStableOffset: 0 });
  expect(valuesOf((await test.fetch('orders', 0)).records)).toEqual([[0, 'paid']]);
  expect((await test.client.request(apis.endTxn, 3, { ...transaction, committed: true })).errorCode).toBe(0);
  const fetched = await test.fetch('orders', 0, { ...committed, maxWaitMs: 5000 });
  expect(fetched).toMatchObject({ highWatermark: 2, lastStableOffset: 2, abortedTransactions: [] });
  expect(valuesOf(fetched.records)[0]).toEqual([0, 'paid']);
});

it('names aborted transactions to readers of committed records, and wakes them at the abort', async () => {
  await using test = await TestBroker.open();
  await test.createTopic('orders');
  const { producerId, producerEpoch } = await test.client.request(apis.initProducerId, 4, {
    transactionalId: 'pay',
    transactionTimeoutMs: 60_000,
  });
  await test.client.request(apis.addPartitionsToTxn, 3, {
    v3AndBelowTransactionalId: 'pay',
    v3AndBelowProducerId: producerId,
    v3AndBelowProducerEpoch: producerEpoch,
    v3AndBelowTopics: [{ name: 'orders', partitions: [0] }],
  });
  const lost = batchOf(['lost'], { producerId, producerEpoch, baseSequence: 0, isTransactional: true });
  await test.produce('orders', lost, { transactionalId: 'pay' });

  const waits = TestBroker.over(test.broker).fetch('orders', 0, { isolationLevel: 1, maxWaitMs: 15_000 });
  const ended = { transactionalId: 'pay', producerId, producerEpoch, committed: false };
  expect((await test.client.request(apis.endTxn, 3, ended)).errorCode).toBe(0);
  expect((await waits).abortedTransactions).toEqual([{ producerId, firstOffset: 0 }]);
});

it('keeps committed offsets, and drops those of a topic that is deleted', async () => {
  await using test = await TestBroker.open();
  await test.createTopic('orders');
  await test.createTopic('other');
  const commit = await test.client.request(apis.offsetCommit, 7, {
    groupId: 'readers',
    generationIdOrMemberEpoch: -1,
    topics: ['orders', 'other'].map((name) => ({
      name,
      partitions: [{ partitionIndex: 0, committedOffset: 5, committedMetadata: `about ${name}` }],
    })),
  });
  expect(commit.topics.flatMap(({ partitions }) => partitions.map(({ errorCode }) => errorCode))).toEqual([0, 0]);
  await test.client.request(apis.deleteTopics, 5, { topicNames: ['orders'], timeoutMs: 1000 });
  await test.createTopic('orders');
  const fetched = await test.client.request(apis.offsetFetch, 7, {
    groupId: 'readers',
    topics: ['orders', 'other'].map((name) => ({ name, partitionIndexes: [0] })),
  });
  expect(
    fetched.topics.map(({ name, partitions }) => [name, partitions[0]?.committedOffset, partitions[0]?.metadata]),
  ).toEqual([
    ['orders', -1, ''],
    ['other', 5, 'about other'],
  ]);
});

it('refuses clients that write to an internal topic, and shows it to them as internal', async () => {
  await using test = await TestBroker.open({ config: { 'offsets.topic.num.partitions': 3 } });
  await test.client.request(apis.offsetCommit, 7, {
    groupId: 'readers',
    generationIdOrMemberEpoch: -1,
    topics: [{ name: 'orders', partitions: [{ partitionIndex: 0, committedOffset: 5 }] }],
  });
  const { topics } = await test.client.request(apis.metadata, 9, { topics: [{ name: '__consumer_offsets' }] });
  expect(topics[0]).toMatchObject({ errorCode: 0, isInternal: true });
  expect(topics[0]?.partitions).toHaveLength(3);
  expect((await test.produce('__consumer_offsets', batchOf(['x']))).errorCode).toBe(errorCodes.INVALID_TOPIC_EXCEPTION);
  const grown = await test.client.request(apis.createPartitions, 3, {
    topics: [{ name: '__consumer_offsets', count: 9, assignments: null }],
  });
  expect(grown.results[0]?.errorCode).toBe(errorCodes.INVALID_TOPIC_EXCEPTION);
  const deleted = await test.client.request(apis.deleteTopics, 5, { topicNames: ['__consumer_offsets'] });
  expect(deleted.responses[0]?.errorCode).toBe(errorCodes.INVALID_TOPIC_EXCEPTION);
});

it('makes an internal topic once for any number of those who need it at once', async () => {
  await using test = await TestBroker.open();
  const clients = Array.from({ length: 5 }, () => TestBroker.over(test.broker).client);
  const begun = clients.map((client, index) =>
    client.request(apis.initProducerId, 4, { transactionalId: `tx-${index}`, transactionTimeoutMs: 60_000 }),
  );
  for (const { errorCode } of await Promise.all(begun)) expect(errorCode).toBe(0);
  expect(test.broker.metrics().partitionCount).toBe(4);
  const again = clients[0]!.request(apis.initProducerId, 4, { transactionalId: 'tx-4', transactionTimeoutMs: 60_000 });
  expect(await again).toMatchObject({ errorCode: 0, producerEpoch: 1 }); // what was written is still known
});

describe('more offsets than fit one batch', () => {
  const partitionCount = 120;
  const config = { 'message.max.bytes': 2000 };
  const partitions = Array.from({ length: partitionCount }, (_, index) => index);

  /** Commits an offset for each partition of `orders`, in requests of ten. */
  async function commitAll(test: TestBroker): Promise<void> {
    for (let first = 0; first < partitionCount; first += 10) {
      const { topics } = await test.client.request(apis.offsetCommit, 7, {
        groupId: 'readers',
        generationIdOrMemberEpoch: -1,
        topics: [
          {
            name: 'orders',
            partitions: partitions
              .slice(first, first + 10)
              .map((partitionIndex) => ({ partitionIndex, committedOffset: 5 })),
          },
        ],
      });
      expect(new Set(topics[0]?.partitions.map(({ errorCode }) => errorCode))).toEqual(new Set([0]));
    }
  }

  async function committedOffsets(test: TestBroker): Promise<number> {
    const { topics } = await test.client.request(apis.offsetFetch, 7, {
      groupId: 'readers',
      topics: [{ name: 'orders', partitionIndexes: partitions }],
    });
    return topics[0]!.partitions.filter(({ committedOffset }) => committedOffset >= 0).length;
  }

  it('go with their topic, over a restart too', async () => {
    const files = new SimulatedFileSystem();
    const options = { data: '/data', platform: { ...nodePlatform(), files }, config };
    {
      await using test = await TestBroker.open(options);
      await test.createTopic('orders', { partitions: partitionCount });
      await commitAll(test);
      expect(await committedOffsets(test)).toBe(partitionCount);
      await test.client.request(apis.deleteTopics, 5, { topicNames: ['orders'], timeoutMs: 1000 });
      expect(await committedOffsets(test)).toBe(0);
    }
    await using test = await TestBroker.open(options);
    expect(await committedOffsets(test)).toBe(0);
  });

  it('go with their group, over a restart too', async () => {
    const files = new SimulatedFileSystem();
    const options = { data: '/data', platform: { ...nodePlatform(), files }, config };
    {
      await using test = await TestBroker.open(options);
      await test.createTopic('orders', { partitions: partitionCount });
      await commitAll(test);
      const { results } = await test.client.request(apis.deleteGroups, 2, { groupsNames: ['readers'] });
      expect(results).toMatchObject([{ errorCode: 0 }]);
    }
    await using test = await TestBroker.open(options);
    expect(await committedOffsets(test)).toBe(0);
    const { groups } = await test.client.request(apis.listGroups, 4, {});
    expect(groups).toEqual([]);
  });
});

import { nodePlatform } from '@millrace/platform';
import { SimulatedFileSystem } from '@millrace/platform/simulated';
import { apis, type ResponseOf } from '@millrace/protocol';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { batchOf, valuesOf } from '../testing/batches.ts';
import { TestBroker } from '../testing/memory-broker.ts';
import { errorCodes } from './error-codes.ts';

const versions = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

interface Producer {
  readonly producerId: number;
  readonly producerEpoch: number;
}

async function init(test: TestBroker, transactionalId: string | null = 'pay', version = 4): Promise<Producer> {
  const { errorCode, producerId, producerEpoch } = await test.client.request(apis.initProducerId, version, {
    transactionalId,
    transactionTimeoutMs: 60_000,
  });
  expect(errorCode).toBe(0);
  return { producerId, producerEpoch };
}

/** Adds partitions of `orders`; the error of each. */
async function add(test: TestBroker, producer: Producer, partitions: number[], version = 3): Promise<number[]> {
  const topics = [{ name: 'orders', partitions }];
  const response = await test.client.request(
    apis.addPartitionsToTxn,
    version,
    version < 4
      ? {
          v3AndBelowTransactionalId: 'pay',
          v3AndBelowProducerId: producer.producerId,
          v3AndBelowProducerEpoch: producer.producerEpoch,
          v3AndBelowTopics: topics,
        }
      : { transactions: [{ transactionalId: 'pay', ...producer, verifyOnly: false, topics }] },
  );
  const results =
    version < 4
      ? response.resultsByTopicV3AndBelow
      : response.resultsByTransaction.flatMap((each) => each.topicResults);
  return results.flatMap((topic) => topic.resultsByPartition.map((partition) => partition.partitionErrorCode));
}

async function addOffsets(test: TestBroker, producer: Producer, version = 3): Promise<number> {
  const request = { transactionalId: 'pay', ...producer, groupId: 'g' };
  return (await test.client.request(apis.addOffsetsToTxn, version, request)).errorCode;
}

async function end(test: TestBroker, producer: Producer, committed: boolean, version = 3): Promise<number> {
  const request = { transactionalId: 'pay', ...producer, committed };
  return (await test.client.request(apis.endTxn, version, request)).errorCode;
}

async function commitOffsets(
  test: TestBroker,
  producer: Producer,
  offset: number,
  options: { readonly version?: number; readonly generationId?: number; readonly memberId?: string } = {},
): Promise<number[]> {
  const { version = 3, generationId = -1, memberId = '' } = options;
  const { topics } = await test.client.request(apis.txnOffsetCommit, version, {
    transactionalId: 'pay',
    groupId: 'g',
    ...producer,
    ...(version >= 3 ? { generationId, memberId } : {}),
    topics: [
      {
        name: 'orders',
        partitions: [
          { partitionIndex: 0, committedOffset: offset, committedMetadata: 'm' },
          { partitionIndex: 9, committedOffset: offset, committedMetadata: 'm' },
        ],
      },
    ],
  });
  return topics.flatMap(({ partitions }) => partitions.map(({ errorCode }) => errorCode));
}

async function fetchOffset(test: TestBroker): Promise<number | string> {
  const { groups } = await test.client.request(apis.offsetFetch, 8, {
    groups: [{ groupId: 'g', topics: [{ name: 'orders', partitionIndexes: [0] }] }],
    requireStable: true,
  });
  const { errorCode, committedOffset } = groups[0]!.topics[0]!.partitions[0]!;
  return errorCode === errorCodes.UNSTABLE_OFFSET_COMMIT ? 'unstable' : committedOffset;
}

const batch = (producer: Producer, value: string, baseSequence = 0): Uint8Array =>
  batchOf([{ value, timestampMs: Date.now() }], { ...producer, baseSequence, isTransactional: true });

async function open(options: { readonly data?: string } = {}): Promise<TestBroker> {
  const test = await TestBroker.open(options);
  await test.createTopic('orders', { partitions: 2 });
  return test;
}

describe('in every version', () => {
  it.each(versions(0, 5))('InitProducerId v%i gives ids, and refuses half an identity', async (version) => {
    await using test = await open();
    const first = await init(test, null, version);
    const second = await init(test, null, version);
    expect(second.producerId).toBe(first.producerId + 1);
    expect(await init(test, 'pay', version)).toMatchObject({ producerEpoch: 0 });
    expect(await init(test, 'pay', version)).toMatchObject({ producerEpoch: 1 });
    if (version < 3) return;
    const half = await test.client.request(apis.initProducerId, version, {
      transactionalId: 'pay',
      transactionTimeoutMs: 1000,
      producerId: first.producerId,
    });
    // oxlint-disable-next-line vitest/no-conditional-expect -- older versions have no identity
    expect(half).toMatchObject({ errorCode: errorCodes.INVALID_REQUEST, producerId: -1, producerEpoch: -1 });
  });

  it.each([
    [3, errorCodes.INVALID_PRODUCER_EPOCH],
    [4, errorCodes.PRODUCER_FENCED],
  ])('InitProducerId v%i tells a fenced producer by error %i', async (version, expected) => {
    await using test = await open();
    const producer = await init(test);
    await init(test);
    const fenced = await test.client.request(apis.initProducerId, version, {
      transactionalId: 'pay',
      transactionTimeoutMs: 1000,
      ...producer,
    });
    expect(fenced.errorCode).toBe(expected);
  });

  it.each(versions(0, 5))('AddPartitionsToTxn v%i adds all or nothing', async (version) => {
    await using test = await open();
    const producer = await init(test);
    expect(await add(test, producer, [0, 7], version)).toEqual([
      errorCodes.OPERATION_NOT_ATTEMPTED,
      errorCodes.UNKNOWN_TOPIC_OR_PARTITION,
    ]);
    expect(await add(test, producer, [0, 1], version)).toEqual([0, 0]);
    expect(await test.produce('orders', batch(producer, 'a'), { transactionalId: 'pay' })).toMatchObject({
      errorCode: 0,
    });
    const fenced = version < 2 ? errorCodes.INVALID_PRODUCER_EPOCH : errorCodes.PRODUCER_FENCED;
    expect(await add(test, { ...producer, producerEpoch: 5 }, [0], version)).toEqual([fenced]);
  });

  it.each(versions(4, 5))(
    'AddPartitionsToTxn v%i verifies without adding, for several transactions',
    async (version) => {
      await using test = await open();
      const producer = await init(test);
      await add(test, producer, [0]);
      const { resultsByTransaction } = await test.client.request(apis.addPartitionsToTxn, version, {
        transactions: ['pay', 'other'].map((transactionalId) => ({
          transactionalId,
          ...producer,
          verifyOnly: true,
          topics: [{ name: 'orders', partitions: [0, 1] }],
        })),
      });
      expect(
        resultsByTransaction.map(({ transactionalId, topicResults }) => [
          transactionalId,
          ...topicResults[0]!.resultsByPartition.map((partition) => partition.partitionErrorCode),
        ]),
      ).toEqual([
        ['pay', 0, errorCodes.TRANSACTION_ABORTABLE],
        ['other', errorCodes.INVALID_PRODUCER_ID_MAPPING, errorCodes.INVALID_PRODUCER_ID_MAPPING],
      ]);
      expect(
        await test.produce('orders', batch(producer, 'a'), { transactionalId: 'pay', partition: 1 }),
      ).toMatchObject({
        errorCode: errorCodes.INVALID_TXN_STATE,
      });
    },
  );

  it.each(versions(0, 4))('AddOffsetsToTxn v%i and TxnOffsetCommit hold offsets back until EndTxn', async (version) => {
    await using test = await open();
    const producer = await init(test);
    // From 4 on clients know that they may abort and go on (KIP-890).
    const outside = version < 4 ? errorCodes.INVALID_TXN_STATE : errorCodes.TRANSACTION_ABORTABLE;
    expect(await commitOffsets(test, producer, 5, { version })).toEqual([outside, outside]);
    expect(await addOffsets(test, producer, version)).toBe(0);
    expect(await commitOffsets(test, producer, 5, { version })).toEqual([0, errorCodes.UNKNOWN_TOPIC_OR_PARTITION]);
    expect(await fetchOffset(test)).toBe('unstable');
    expect(await end(test, producer, true, version)).toBe(0);
    expect(await fetchOffset(test)).toBe(5);

    const stale = { ...producer, producerEpoch: 5 };
    const fenced = version < 2 ? errorCodes.INVALID_PRODUCER_EPOCH : errorCodes.PRODUCER_FENCED;
    expect([await addOffsets(test, stale, version), await end(test, stale, true, version)]).toEqual([fenced, fenced]);
    expect(await commitOffsets(test, stale, 6, { version })).toEqual([
      errorCodes.INVALID_PRODUCER_EPOCH,
      errorCodes.INVALID_PRODUCER_EPOCH,
    ]);
  });

  it.each(versions(0, 4))('EndTxn v%i aborts, drops offsets, and is repeated without effect', async (version) => {
    await using test = await open();
    const producer = await init(test);
    await addOffsets(test, producer);
    await commitOffsets(test, producer, 5);
    expect(await end(test, producer, false, version)).toBe(0);
    expect(await end(test, producer, false, version)).toBe(0);
    expect(await end(test, producer, true, version)).toBe(errorCodes.INVALID_TXN_STATE);
    expect(await fetchOffset(test)).toBe(-1);
  });

  it('TxnOffsetCommit v3 holds to the generation that it names', async () => {
    await using test = await open();
    const producer = await init(test);
    await addOffsets(test, producer);
    const stale = await commitOffsets(test, producer, 5, { generationId: 3, memberId: 'm' });
    expect(stale).toEqual([errorCodes.ILLEGAL_GENERATION, errorCodes.ILLEGAL_GENERATION]);
  });
});

describe('a transaction', () => {
  it('is visible everywhere when EndTxn is answered, and the next begins without a refusal', async () => {
    await using test = await open();
    const producer = await init(test);
    for (let round = 0; round < 5; round++) {
      expect(await add(test, producer, [0, 1])).toEqual([0, 0]);
      expect(await addOffsets(test, producer)).toBe(0);
      for (const partition of [0, 1]) {
        await test.produce('orders', batch(producer, `${round}`, round), { transactionalId: 'pay', partition });
      }
      await commitOffsets(test, producer, round);
      expect(await end(test, producer, true)).toBe(0);
      for (const partition of [0, 1]) {
        const { lastStableOffset } = await test.fetch('orders', 0, { partition, isolationLevel: 1 });
        expect(lastStableOffset).toBe(2 * (round + 1));
      }
      expect(await fetchOffset(test)).toBe(round);
    }
  });

  it('of a producer that was superseded is aborted, and what it still sends is refused', async () => {
    await using test = await open();
    const producer = await init(test);
    await add(test, producer, [0]);
    await test.produce('orders', batch(producer, 'zombie'), { transactionalId: 'pay' });
    const begin = (): Promise<ResponseOf<typeof apis.initProducerId>> =>
      test.client.request(apis.initProducerId, 4, { transactionalId: 'pay', transactionTimeoutMs: 1000 });
    expect((await begin()).errorCode).toBe(errorCodes.CONCURRENT_TRANSACTIONS);
    let heir = await begin();
    while (heir.errorCode === errorCodes.CONCURRENT_TRANSACTIONS) heir = await begin();
    expect(heir).toMatchObject({ errorCode: 0, producerId: producer.producerId, producerEpoch: 2 });
    expect(await end(test, producer, true)).toBe(errorCodes.PRODUCER_FENCED);
    const late = await test.produce('orders', batch(producer, 'late', 1), { transactionalId: 'pay' });
    expect(late.errorCode).not.toBe(0);
    const fetched = await test.fetch('orders', 0, { isolationLevel: 1 });
    expect(fetched).toMatchObject({
      lastStableOffset: 2,
      abortedTransactions: [{ producerId: producer.producerId, firstOffset: 0 }],
    });
  });

  it('that is open lets no batch pass whose epoch the coordinator did not give: no marker could end it', async () => {
    await using test = await open();
    const producer = await init(test);
    await add(test, producer, [0]);
    await test.produce('orders', batch(producer, 'a'), { transactionalId: 'pay' });
    const forged = batch({ ...producer, producerEpoch: 9 }, 'forged');
    expect(await test.produce('orders', forged, { transactionalId: 'pay' })).toMatchObject({
      errorCode: errorCodes.INVALID_TXN_STATE,
    });
    expect(await end(test, producer, true)).toBe(0);
    const fetched = await test.fetch('orders', 0, { isolationLevel: 1 });
    expect(valuesOf(fetched.records)[0]).toEqual([0, 'a']);
    expect(fetched.lastStableOffset).toBe(2);
  });

  it('ends, and the broker starts again, where a partition has seen a newer epoch of its producer', async () => {
    const files = new SimulatedFileSystem();
    const options = { data: '/data', platform: { ...nodePlatform(), files } };
    {
      await using test = await TestBroker.open(options);
      await test.createTopic('orders', { partitions: 2 });
      const producer = await init(test);
      await add(test, producer, [0, 1]);
      await test.produce('orders', batch(producer, 'a'), { transactionalId: 'pay', partition: 1 });
      const plain = batchOf(['plain'], { ...producer, producerEpoch: 9, baseSequence: 0 });
      expect((await test.produce('orders', plain)).errorCode).toBe(0);
      expect(await end(test, producer, true)).toBe(0);
    }
    await using test = await TestBroker.open(options);
    expect(await test.fetch('orders', 0, { partition: 1, isolationLevel: 1 })).toMatchObject({ lastStableOffset: 2 });
    expect(await init(test)).toMatchObject({ producerEpoch: 1 });
  });

  it('survives a restart of the broker: it goes on where it was', async () => {
    const data = mkdtempSync(join(tmpdir(), 'millrace-'));
    try {
      const before = await open({ data });
      const producer = await init(before);
      await add(before, producer, [0]);
      await addOffsets(before, producer);
      await before.produce('orders', batch(producer, 'a'), { transactionalId: 'pay' });
      await commitOffsets(before, producer, 5);
      await before.broker.close();

      const after = await TestBroker.open({ data });
      expect(await fetchOffset(after)).toBe('unstable');
      expect(await after.produce('orders', batch(producer, 'b', 1), { transactionalId: 'pay' })).toMatchObject({
        errorCode: 0,
        baseOffset: 1,
      });
      expect(await end(after, producer, true)).toBe(0);
      await after.broker.close();

      await using last = await TestBroker.open({ data });
      expect(await fetchOffset(last)).toBe(5);
      const fetched = await last.fetch('orders', 0, { isolationLevel: 1 });
      expect(valuesOf(fetched.records).slice(0, 2)).toEqual([
        [0, 'a'],
        [1, 'b'],
      ]);
      expect(fetched).toMatchObject({ lastStableOffset: 3, abortedTransactions: [] });
      expect(await init(last)).toEqual({ ...producer, producerEpoch: 1 });
    } finally {
      rmSync(data, { recursive: true });
    }
  });
});

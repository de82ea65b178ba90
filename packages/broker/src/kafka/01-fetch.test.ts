import { apis, type ResponseOf } from '@millrace/protocol';
import { VirtualClock } from '@millrace/platform/simulated';
import { nodePlatform } from '@millrace/platform';
import { describe, expect, it } from 'vitest';
import { batchOf, valuesOf } from '../testing/batches.ts';
import { TestBroker } from '../testing/memory-broker.ts';
import { RawClient } from '../testing/raw-client.ts';
import { onVirtualTime } from '../testing/virtual-time.ts';
import { errorCodes } from './error-codes.ts';

type Fetched = ResponseOf<typeof apis.fetch>;

describe('Fetch', () => {
  it('gives the whole batch that holds the offset, unmodified: the client skips what it did not ask for', async () => {
    await using test = await TestBroker.open();
    await test.createTopic('orders');
    await test.produce('orders', batchOf(['a', 'b', 'c']));
    await test.produce('orders', batchOf(['d']));
    expect(valuesOf((await test.fetch('orders', 1)).records)).toEqual([
      [0, 'a'],
      [1, 'b'],
      [2, 'c'],
      [3, 'd'],
    ]);
  });

  it('answers high watermark and log start with every partition, also an empty one', async () => {
    await using test = await TestBroker.open();
    await test.createTopic('orders');
    await test.produce('orders', batchOf(['a']));
    expect(await test.fetch('orders', 1)).toMatchObject({
      errorCode: 0,
      highWatermark: 1,
      lastStableOffset: 1,
      logStartOffset: 0,
      records: new Uint8Array(0),
    });
  });

  it.each([
    [-1, errorCodes.OFFSET_OUT_OF_RANGE],
    [0, errorCodes.OFFSET_OUT_OF_RANGE],
    [1, errorCodes.NONE],
    [2, errorCodes.NONE],
    [3, errorCodes.OFFSET_OUT_OF_RANGE],
  ])('answers offset %i of a log from 1 to 2 with error %i', async (offset, errorCode) => {
    await using test = await TestBroker.open();
    await test.createTopic('orders');
    await test.produce('orders', batchOf(['a']));
    await test.produce('orders', batchOf(['b']));
    await test.client.request(apis.deleteRecords, 2, {
      topics: [{ name: 'orders', partitions: [{ partitionIndex: 0, offset: 1 }] }],
    });
    expect(await test.fetch('orders', offset, { maxWaitMs: 0 })).toMatchObject({ errorCode });
  });

  it('gives the first batch even if it exceeds max_bytes, and nothing more', async () => {
    await using test = await TestBroker.open();
    await test.createTopic('orders', { partitions: 2 });
    for (const partition of [0, 1]) await test.produce('orders', batchOf(['x'.repeat(1000)]), { partition });
    const { responses } = await fetchBoth(test, { maxBytes: 10, partitionMaxBytes: 10 });
    const sizes = responses[0]?.partitions.map(({ records }) => (records as Uint8Array).length) ?? [];
    expect(sizes.filter((size) => size > 1000)).toHaveLength(1);
    expect(sizes.filter((size) => size === 0)).toHaveLength(1);
  });

  it('gives that batch whichever of the partitions has it: one that has nothing takes no turn', async () => {
    await using test = await TestBroker.open();
    await test.createTopic('orders', { partitions: 2 });
    await test.produce('orders', batchOf(['x'.repeat(1000)]), { partition: 1 });
    for (let round = 0; round < 8; round++) {
      const { responses } = await fetchBoth(test, { maxBytes: 10, partitionMaxBytes: 10 });
      const sizes = responses[0]?.partitions.map(({ records }) => (records as Uint8Array).length > 0);
      expect(sizes).toEqual([false, true]);
    }
  });

  it('gives no more than fetch.max.bytes, whatever the client would take, and waits for no more', async () => {
    await using test = await TestBroker.open({ config: { 'fetch.max.bytes': 1024 } });
    await test.createTopic('orders');
    const batch = batchOf(['x'.repeat(300)]);
    for (let count = 0; count < 5; count++) await test.produce('orders', batchOf(['x'.repeat(300)]));
    const { records } = await test.fetch('orders', 0, {
      maxBytes: 1 << 24,
      minBytes: 1 << 20,
      maxWaitMs: 60_000,
    });
    expect((records as Uint8Array).length).toBe(2 * batch.length);
  });

  it('begins with another partition each time, so that a small budget starves none', async () => {
    await using test = await TestBroker.open();
    await test.createTopic('orders', { partitions: 2 });
    for (const partition of [0, 1]) await test.produce('orders', batchOf(['x'.repeat(1000)]), { partition });
    const served = new Set<number>();
    for (let round = 0; round < 8; round++) {
      const { responses } = await fetchBoth(test, { maxBytes: 10, partitionMaxBytes: 10 });
      for (const { partitionIndex, records } of responses[0]?.partitions ?? []) {
        if ((records as Uint8Array).length > 0) served.add(partitionIndex);
      }
    }
    expect(served).toEqual(new Set([0, 1]));
  });

  it('gives the null of read_uncommitted, not an empty list of aborted transactions', async () => {
    await using test = await TestBroker.open();
    await test.createTopic('orders');
    expect((await test.fetch('orders', 0)).abortedTransactions).toBeNull();
    expect((await test.fetch('orders', 0, { isolationLevel: 1 })).abortedTransactions).toEqual([]);
  });

  it('answers an error at once, whatever the wait', async () => {
    await using test = await VirtualTest.open();
    await test.run(test.broker.createTopic('orders'));
    const answer = test.broker.client.request(apis.fetch, 12, {
      maxWaitMs: 60_000,
      minBytes: 1,
      topics: [
        { topic: 'orders', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }] },
        { topic: 'nowhere', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }] },
      ],
    });
    await test.clock.advance(0);
    const { responses } = await answer;
    expect(responses.map(({ partitions }) => partitions[0]?.errorCode)).toEqual([
      errorCodes.NONE,
      errorCodes.UNKNOWN_TOPIC_OR_PARTITION,
    ]);
  });

  it('waits exactly max_wait for records that do not come', async () => {
    await using test = await VirtualTest.open();
    await test.run(test.broker.createTopic('orders'));
    let answeredAtMs = -1;
    const startMs = test.clock.monotonic();
    void test.broker.fetch('orders', 0, { maxWaitMs: 500 }).then(() => (answeredAtMs = test.clock.monotonic()));
    await test.clock.advance(499);
    expect(answeredAtMs).toBe(-1);
    await test.clock.advance(1);
    expect(answeredAtMs - startMs).toBe(500);
  });

  it('wakes for a record that comes while it waits', async () => {
    await using test = await VirtualTest.open();
    await test.run(test.broker.createTopic('orders'));
    const answer = test.broker.fetch('orders', 0, { maxWaitMs: 60_000 });
    await test.clock.advance(10);
    await test.run(produceFromElsewhere(test, batchOf(['news'])));
    await test.clock.advance(0);
    expect(valuesOf((await answer).records)).toEqual([[0, 'news']]);
    expect(test.clock.monotonic()).toBeLessThan(1000);
  });

  it('waits for min_bytes over all partitions', async () => {
    await using test = await VirtualTest.open();
    await test.run(test.broker.createTopic('orders', { partitions: 2 }));
    const batch = batchOf(['x'.repeat(100)]);
    let answer: Fetched | undefined;
    void fetchBoth(test.broker, { minBytes: 2 * batch.length, maxWaitMs: 60_000 }).then(
      (fetched) => (answer = fetched),
    );
    await test.run(produceFromElsewhere(test, batchOf(['x'.repeat(100)])));
    await test.clock.advance(100);
    expect(answer).toBeUndefined();
    await test.run(produceFromElsewhere(test, batchOf(['x'.repeat(100)]), 1));
    await test.clock.advance(0);
    expect(answer?.responses[0]?.partitions.map(({ records }) => (records as Uint8Array).length)).toEqual([
      batch.length,
      batch.length,
    ]);
  });

  it('tells a fetch that waits that its topic was deleted', async () => {
    await using test = await VirtualTest.open();
    await test.run(test.broker.createTopic('orders'));
    const answer = test.broker.fetch('orders', 0, { maxWaitMs: 60_000 });
    await test.clock.advance(10);
    const other = test.other();
    await test.run(other.request(apis.deleteTopics, 5, { topicNames: ['orders'], timeoutMs: 1000 }));
    await test.clock.advance(0);
    expect((await answer).errorCode).toBe(errorCodes.UNKNOWN_TOPIC_OR_PARTITION);
  });

  it('forgets a fetch whose client has gone', async () => {
    await using test = await VirtualTest.open();
    await test.run(test.broker.createTopic('orders'));
    const other = test.other();
    other.post(apis.fetch, 12, {
      maxWaitMs: 60_000,
      minBytes: 1,
      topics: [{ topic: 'orders', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }] }],
    });
    await test.clock.advance(10);
    expect(test.broker.broker.metrics().prometheus()).toContain('millrace_parked_fetches 1\n');
    other.close();
    await test.clock.advance(10);
    expect(test.broker.broker.metrics().prometheus()).toContain('millrace_parked_fetches 0\n');
  });

  it('names topics by id from version 13 on, and knows a topic made anew from the one before', async () => {
    await using test = await TestBroker.open();
    const before = await test.createTopic('orders');
    await test.produce('orders', batchOf(['a']));
    const byId = async (topicId: string): Promise<Fetched['responses'][number]> => {
      const { responses } = await test.client.request(apis.fetch, 17, {
        maxWaitMs: 0,
        minBytes: 1,
        topics: [{ topicId, partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }] }],
      });
      return responses[0]!;
    };
    expect(valuesOf((await byId(before)).partitions[0]!.records)).toEqual([[0, 'a']]);
    await test.client.request(apis.deleteTopics, 5, { topicNames: ['orders'], timeoutMs: 1000 });
    const after = await test.createTopic('orders');
    expect(after).not.toBe(before);
    expect((await byId(before)).partitions[0]?.errorCode).toBe(errorCodes.UNKNOWN_TOPIC_ID);
    expect((await byId(after)).partitions[0]).toMatchObject({ errorCode: 0, highWatermark: 0 });
  });

  it('compares the leader epoch that the client believes in', async () => {
    await using test = await TestBroker.open();
    await test.createTopic('orders');
    const { topics } = await test.client.request(apis.metadata, 9, { topics: [{ name: 'orders' }] });
    const epoch = topics[0]!.partitions[0]!.leaderEpoch;
    expect((await test.fetch('orders', 0, { currentLeaderEpoch: epoch })).errorCode).toBe(errorCodes.NONE);
    expect((await test.fetch('orders', 0, { currentLeaderEpoch: epoch + 1 })).errorCode).toBe(
      errorCodes.UNKNOWN_LEADER_EPOCH,
    );
  });

  it('keeps no sessions: answers id 0, and refuses to continue one', async () => {
    await using test = await TestBroker.open();
    await test.createTopic('orders');
    const topics = [{ topic: 'orders', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }] }];
    const created = await test.client.request(apis.fetch, 12, { maxWaitMs: 0, sessionId: 0, sessionEpoch: 0, topics });
    expect(created).toMatchObject({ errorCode: 0, sessionId: 0 });
    const continued = await test.client.request(apis.fetch, 12, { sessionId: 9, sessionEpoch: 1, topics: [] });
    expect(continued.errorCode).toBe(errorCodes.FETCH_SESSION_ID_NOT_FOUND);
  });
});

async function fetchBoth(
  test: TestBroker,
  options: { maxBytes?: number; partitionMaxBytes?: number; minBytes?: number; maxWaitMs?: number },
): Promise<Fetched> {
  const { maxBytes = 1 << 24, partitionMaxBytes = 1 << 20, minBytes = 1, maxWaitMs = 0 } = options;
  return await test.client.request(apis.fetch, 12, {
    maxWaitMs,
    minBytes,
    maxBytes,
    topics: [
      { topic: 'orders', partitions: [0, 1].map((partition) => ({ partition, fetchOffset: 0, partitionMaxBytes })) },
    ],
  });
}

/** A broker on virtual time. */
class VirtualTest implements AsyncDisposable {
  readonly clock: VirtualClock = new VirtualClock();
  readonly run: <T>(task: Promise<T>) => Promise<T> = onVirtualTime(this.clock);
  broker!: TestBroker;

  static async open(): Promise<VirtualTest> {
    const test = new VirtualTest();
    test.broker = await test.run(TestBroker.open({ platform: { ...nodePlatform(), clock: test.clock } }));
    return test;
  }

  /** On one connection requests are handled in turn: what shall overtake a fetch that waits needs another. */
  other(): RawClient {
    return RawClient.dial(this.broker.broker);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.run(this.broker.broker.close());
  }
}

async function produceFromElsewhere(test: VirtualTest, records: Uint8Array, index = 0): Promise<void> {
  const other = test.other();
  await other.request(apis.produce, 9, {
    acks: -1,
    timeoutMs: 1000,
    topicData: [{ name: 'orders', partitionData: [{ index, records }] }],
  });
}

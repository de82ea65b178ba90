import { nodePlatform, systemClock, type FileSystem } from '@millrace/platform';
import { SeededRandom, SimulatedFileSystem } from '@millrace/platform/simulated';
import { apis, attributesOf, RecordReader, readBatchHeader } from '@millrace/protocol';
import { expect, it } from 'vitest';
import { Broker } from '../../broker.ts';
import { errorCodes } from '../../kafka/error-codes.ts';
import { batchOf, endOffsetOf } from '../../testing/batches.ts';
import { TestBroker } from '../../testing/memory-broker.ts';

const nowMs = systemClock().now();
const transactionalId = 'pay';
const partitions = [0, 1];
/** What each round asks for. */
const rounds = ['commit', 'abort', 'commit'] as const;

function openOn(files: FileSystem): Promise<Broker> {
  return Broker.open({ data: '/data', platform: { ...nodePlatform(), files } });
}

/** Begins under the transactional id, once what was under way has been aborted. */
async function begin(test: TestBroker): Promise<{ producerId: number; producerEpoch: number }> {
  for (let tries = 0; tries < 1000; tries++) {
    const { errorCode, ...identity } = await test.client.request(apis.initProducerId, 4, {
      transactionalId,
      transactionTimeoutMs: 60_000,
    });
    if (errorCode === 0) return { producerId: identity.producerId, producerEpoch: identity.producerEpoch };
    if (errorCode !== errorCodes.CONCURRENT_TRANSACTIONS) throw new Error(`error ${errorCode}`);
  }
  throw new Error('the transaction that was under way does not end');
}

/** Each round writes its number to both partitions and, one more, as the offset of a group. Notes what was acknowledged. */
async function work(files: FileSystem, acknowledged: Set<number>): Promise<void> {
  const broker = await openOn(files);
  const test = TestBroker.over(broker);
  try {
    await test.createTopic('orders', { partitions: partitions.length });
    const producer = { transactionalId, ...(await begin(test)) };
    for (const [round, outcome] of rounds.entries()) {
      await test.client.request(apis.addPartitionsToTxn, 3, {
        v3AndBelowTransactionalId: transactionalId,
        v3AndBelowProducerId: producer.producerId,
        v3AndBelowProducerEpoch: producer.producerEpoch,
        v3AndBelowTopics: [{ name: 'orders', partitions }],
      });
      await test.client.request(apis.addOffsetsToTxn, 3, { ...producer, groupId: 'g' });
      for (const partition of partitions) {
        const { producerId, producerEpoch } = producer;
        const options = { producerId, producerEpoch, baseSequence: round, isTransactional: true };
        const batch = batchOf([{ value: `${round}`, timestampMs: nowMs }], options);
        const { errorCode } = await test.produce('orders', batch, { partition, transactionalId });
        if (errorCode !== 0) throw new Error(`error ${errorCode}`);
      }
      await test.client.request(apis.txnOffsetCommit, 3, {
        ...producer,
        groupId: 'g',
        topics: [{ name: 'orders', partitions: [{ partitionIndex: 0, committedOffset: round + 1 }] }],
      });
      const ended = await test.client.request(apis.endTxn, 3, { ...producer, committed: outcome === 'commit' });
      if (ended.errorCode !== 0) throw new Error(`error ${ended.errorCode}`);
      acknowledged.add(round);
    }
  } finally {
    await broker.close({ timeoutMs: 1000 });
  }
}

/** The rounds that a reader of committed records sees in a partition, as a client works them out. */
async function committedRounds(test: TestBroker, partition: number): Promise<number[]> {
  const seen: number[] = [];
  const reader = new RecordReader();
  for (let offset = 0; ;) {
    const fetched = await test.fetch('orders', offset, { partition, isolationLevel: 1 });
    expect(fetched.lastStableOffset, 'nothing hangs open').toBe(fetched.highWatermark);
    const endOffset = endOffsetOf(fetched.records);
    if (endOffset === undefined) return seen;
    const bytes = Buffer.concat([fetched.records ?? []].flat());
    const aborted = new Set<number>();
    for (let position = 0; position < bytes.length; position += readBatchHeader(bytes, position).sizeBytes) {
      reader.reset(bytes, position);
      const { producerId, baseOffset, attributes } = reader.header;
      for (const transaction of fetched.abortedTransactions ?? []) {
        if (transaction.firstOffset === baseOffset) aborted.add(transaction.producerId);
      }
      if (attributesOf.isControl(attributes)) aborted.delete(producerId);
      else if (!aborted.has(producerId)) while (reader.next()) seen.push(Number(Buffer.from(reader.value!).toString()));
    }
    offset = endOffset;
  }
}

async function committedOffset(test: TestBroker): Promise<number> {
  const { groups } = await test.client.request(apis.offsetFetch, 8, {
    groups: [{ groupId: 'g', topics: [{ name: 'orders', partitionIndexes: [0] }] }],
    requireStable: true,
  });
  const { errorCode, committedOffset: offset } = groups[0]!.topics[0]!.partitions[0]!;
  expect(errorCode, 'no offset is left unstable').toBe(0);
  return offset;
}

/** After a crash: each transaction is everywhere or nowhere, and where it was acknowledged. */
async function check(files: FileSystem, acknowledged: ReadonlySet<number>, what: string): Promise<void> {
  await using broker = await openOn(files);
  const test = TestBroker.over(broker);
  const { topics } = await test.client.request(apis.metadata, 9, { topics: null });
  const isMade = topics.some((topic) => topic.name === 'orders');
  expect(isMade || acknowledged.size === 0, `${what}: the topic of what was acknowledged is there`).toBe(true);
  if (!isMade) return;
  await begin(test);
  const [first, second] = [await committedRounds(test, 0), await committedRounds(test, 1)];
  expect(second, `${what}: both partitions show the same`).toEqual(first);
  const offset = await committedOffset(test);
  expect(offset, `${what}: the offset is of the last that is shown`).toBe((first.at(-1) ?? -2) + 1);
  const asked = (round: number): boolean => rounds[round] === 'commit';
  expect(first.filter(asked), `${what}: nothing aborted is shown`).toEqual(first);
  const promised = [...acknowledged].filter(asked);
  expect(first.slice(0, promised.length), `${what}: all that was acknowledged is shown`).toEqual(promised);
}

it('is atomic over partitions and offsets, wherever power fails, whatever part of the rest the disk keeps', async () => {
  const whole = new SimulatedFileSystem();
  await work(whole, new Set());
  const operations = whole.operationCount;
  expect(operations).toBeGreaterThan(50);
  for (let operation = 1; operation <= operations; operation++) {
    for (const seed of [undefined, operation, operation + 10_000]) {
      const files = new SimulatedFileSystem();
      const acknowledged = new Set<number>();
      files.losePowerAt(operation);
      await work(files, acknowledged).catch(() => {});
      files.losePower(seed === undefined ? {} : { random: new SeededRandom(seed) });
      await check(files, acknowledged, `power failed at operation ${operation} of ${operations}, seed ${seed}`);
    }
  }
}, 180_000);

it('leaves no transaction open for ever where a disk that is not synced has kept its records and lost it', async () => {
  let openCount = 0;
  for (let seed = 1; seed <= 40; seed++) {
    const files = new SimulatedFileSystem();
    const options = { data: '/data', platform: { ...nodePlatform(), files }, flush: 'os' } as const;
    {
      await using broker = await Broker.open(options);
      const test = TestBroker.over(broker);
      await test.createTopic('orders');
      await begin(test);
    }
    const before = TestBroker.over(await Broker.open(options));
    const identity = await begin(before);
    await before.client.request(apis.addPartitionsToTxn, 3, {
      v3AndBelowTransactionalId: transactionalId,
      v3AndBelowProducerId: identity.producerId,
      v3AndBelowProducerEpoch: identity.producerEpoch,
      v3AndBelowTopics: [{ name: 'orders', partitions: [0] }],
    });
    const batch = batchOf([{ value: 'a', timestampMs: nowMs }], {
      ...identity,
      baseSequence: 0,
      isTransactional: true,
    });
    expect(await before.produce('orders', batch, { transactionalId })).toMatchObject({ errorCode: 0 });
    files.losePower({ random: new SeededRandom(seed) });
    await before.broker.close({ timeoutMs: 10 }).catch(() => {});

    await using broker = await Broker.open(options);
    const test = TestBroker.over(broker);
    // The producer's next one would end it, if the coordinator still knew it.
    await begin(test);
    const fetched = await test.fetch('orders', 0, { isolationLevel: 1 });
    if (fetched.highWatermark > 0) openCount++;
    expect(fetched.lastStableOffset, `seed ${seed}`).toBe(fetched.highWatermark);
  }
  expect(openCount, 'the records survived in some runs').toBeGreaterThan(0);
});

import { apis, errorCodes } from '@millrace/protocol';
import { string, topic, type Serde } from '@millrace/serde';
import { afterEach, expect, it } from 'vitest';
import type { Consumer, RecordBatch } from './consumer.ts';
import { recordsFrom, ScriptedGroup } from '../testing/scripted-group.ts';
import type { RecordOf } from '../records.ts';

const letters = topic('t', { key: string, value: string });
type Letter = RecordOf<typeof letters>;
const groups: ScriptedGroup[] = [];

function open(partitionCount: number = 1): ScriptedGroup {
  const group = new ScriptedGroup(partitionCount);
  groups.push(group);
  group.fetched = (_, offset) => (offset === 0 ? { records: recordsFrom(0, 2) } : undefined);
  return group;
}

/** Lets the group rebalance while the loop is asked for more, which is when callbacks run. */
async function rebalance(group: ScriptedGroup): Promise<void> {
  const next = group.generationId + 1;
  group.isRebalancing = true;
  await group.until(() => group.generationId >= next);
  await group.clock.advance(1_000);
}

afterEach(async () => {
  for (const group of groups.splice(0)) await group.run(group.client.close());
});

it('goes on when a rebalance refuses its commits for longer than a request may take, and commits later', async () => {
  const group = open();
  let refused = 0;
  const client = await group.connect();
  group.broker.on(apis.offsetCommit, (request) => ({
    topics: request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex, committedOffset }) => {
        if (refused++ < 1_000) return { partitionIndex, errorCode: errorCodes.REBALANCE_IN_PROGRESS };
        group.committed.push(`${partitionIndex}@${committedOffset}`);
        return { partitionIndex };
      }),
    })),
  }));
  let later = false;
  group.fetched = (_, offset) => {
    if (offset === 0) return { records: recordsFrom(0, 2) };
    return later && offset === 2 ? { records: recordsFrom(2, 1) } : undefined;
  };
  const records = client.consumer({ groupId: 'g', topics: [letters] })[Symbol.asyncIterator]();
  for (const offset of [0, 1]) expect((await group.run(records.next())).value).toMatchObject({ offset });
  const third = records.next();
  await group.clock.advance(60_000); // the commits' time is over
  later = true;
  refused = 1_000;
  expect((await group.run(third)).value).toMatchObject({ offset: 2 });
  await group.until(() => group.committed.includes('0@2'));
});

it('ends its loop soon when it may never commit, also if no more records come', async () => {
  const group = open();
  const client = await group.connect();
  group.broker.on(apis.offsetCommit, (request) => ({
    topics: request.topics.map(({ name }) => ({
      name,
      partitions: [{ partitionIndex: 0, errorCode: errorCodes.GROUP_AUTHORIZATION_FAILED }],
    })),
  }));
  const batches = client
    .consumer({ groupId: 'g', topics: [letters] })
    .batches()
    [Symbol.asyncIterator]();
  await group.run(batches.next());
  const next = batches.next();
  await expect(group.run(next, 6_000)).rejects.toMatchObject({ code: 'GROUP_AUTHORIZATION_FAILED' });
});

it('does not commit a record of a partition that it does not have any more', async () => {
  const group = open(2);
  group.partitionsIn = (generationId) => (generationId < 2 ? [0, 1] : [1]);
  group.fetched = (partition, offset) => (partition + offset === 0 ? { records: recordsFrom(0, 2) } : undefined);
  const client = await group.connect();
  const consumer = client.consumer({ groupId: 'g', topics: [letters], enableAutoCommit: false });
  const batches = consumer.batches()[Symbol.asyncIterator]();
  const batch = (await group.run(batches.next())).value as RecordBatch<Letter>;
  const record = batch.records[0]!;
  await group.run(consumer.commit(record));
  const asking = batches.next();
  asking.catch(() => {}); // ends by closing
  await rebalance(group);
  expect(consumer.assignment).toEqual([{ topic: 't', partition: 1 }]);
  await expect(group.run(consumer.commit(record))).rejects.toMatchObject({ code: 'COMMIT_FAILED' });
  expect(group.committed).toEqual(['1: 0@1']);
});

it('drops what was fetched when it seeks while its schemas are being fetched', async () => {
  let ready: () => void = () => {};
  const prepared = new Promise<void>((resolve) => (ready = resolve));
  let isPreparing = false;
  const slow: Serde<string> = {
    ...string,
    prepare: () => {
      isPreparing = true;
      return prepared;
    },
  };
  const group = open();
  group.fetched = (_, offset) => (offset < 8 ? { records: recordsFrom(offset, 1) } : undefined);
  const client = await group.connect();
  const consumer = client.consumer({ groupId: 'g', topics: [topic('t', { key: string, value: slow })] });
  const records = consumer[Symbol.asyncIterator]();
  const first = records.next();
  await group.until(() => isPreparing);
  consumer.seek({ topic: 't', partition: 0, offset: 7 });
  ready();
  expect((await group.run(first)).value).toMatchObject({ offset: 7 });
});

/** A broker's side of transactions: what is committed with them, by generation. */
function withTransactions(group: ScriptedGroup): void {
  const { broker } = group;
  broker.on(apis.addOffsetsToTxn, () => ({ errorCode: errorCodes.NONE }));
  broker.on(apis.endTxn, () => ({ errorCode: errorCodes.NONE }));
  broker.on(apis.txnOffsetCommit, ({ generationId, topics }) => ({
    topics: topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex, committedOffset }) => {
        // As brokers do: one that says it is outside of the group is believed.
        if (generationId !== -1 && generationId !== group.generationId)
          return { partitionIndex, errorCode: errorCodes.ILLEGAL_GENERATION };
        group.committed.push(`${generationId}: ${partitionIndex}@${committedOffset}`);
        return { partitionIndex };
      }),
    })),
  }));
}

async function firstBatch(group: ScriptedGroup): Promise<[RecordBatch<Letter>, Consumer<Letter>]> {
  const consumer = group.client.consumer({ groupId: 'g', topics: [letters], enableAutoCommit: false });
  const batches = consumer.batches()[Symbol.asyncIterator]();
  const first = await group.run(batches.next());
  return [first.value as RecordBatch<Letter>, consumer];
}

it('commits a batch in a transaction although the group rebalanced meanwhile, if its partition is kept', async () => {
  const group = open();
  withTransactions(group);
  const client = await group.connect();
  const [batch] = await firstBatch(group);
  const producer = client.transactionalProducer({ transactionalId: 'copier' });
  await group.run(
    producer.transaction(async (transaction) => {
      transaction.sendOffsets(batch);
      await rebalance(group);
    }),
  );
  expect(group.committed).toEqual(['2: 0@2']);
});

it('commits a batch in a transaction while the answer is on its way that tells of a new generation', async () => {
  const group = open();
  withTransactions(group);
  const client = await group.connect();
  const [batch] = await firstBatch(group);
  let tell: () => void = () => {};
  group.broker.on(apis.joinGroup, async ({ protocols }) => {
    group.generationId++;
    group.isRebalancing = false;
    await new Promise<void>((resolve) => (tell = resolve));
    const protocolName = protocols[0]!.name;
    return { generationId: group.generationId, protocolType: 'consumer', protocolName, leader: 'b', memberId: 'a' };
  });
  const producer = client.transactionalProducer({ transactionalId: 'copier' });
  const done = producer.transaction(async (transaction) => {
    transaction.sendOffsets(batch);
    group.isRebalancing = true;
    await group.until(() => group.generationId === 2);
    group.clock.after(2_000, () => tell());
  });
  await group.run(done);
  expect(group.committed).toEqual(['2: 0@2']);
});

it('does not commit a batch while it is no member of the group, not in a transaction either', async () => {
  const group = open();
  withTransactions(group);
  const client = await group.connect();
  const [batch, consumer] = await firstBatch(group);
  group.broker.on(apis.heartbeat, () => ({ errorCode: errorCodes.UNKNOWN_MEMBER_ID }));
  group.broker.on(apis.joinGroup, () => 'lost');
  await group.clock.advance(10_000); // the group has thrown it out
  await expect(group.run(consumer.commit(batch))).rejects.toMatchObject({ code: 'COMMIT_FAILED' });
  const producer = client.transactionalProducer({ transactionalId: 'copier' });
  const work = producer.transaction((transaction) => Promise.resolve(transaction.sendOffsets(batch)));
  await expect(group.run(work)).rejects.toMatchObject({ code: 'COMMIT_FAILED' });
  expect(group.committed).toEqual([]);
});

it('gives up a partition only when the commit that was under way is answered', async () => {
  const group = open();
  group.partitionsIn = (generationId) => (generationId === 1 ? [0] : []);
  const client = await group.connect();
  let answer: (() => void) | undefined;
  group.broker.on(apis.offsetCommit, async (request) => {
    await new Promise<void>((resolve) => (answer = resolve));
    group.committed.push(`0@${request.topics[0]!.partitions[0]!.committedOffset}`);
    return { topics: [{ name: 't', partitions: [{ partitionIndex: 0 }] }] };
  });
  const records = client.consumer({ groupId: 'g', topics: [letters] })[Symbol.asyncIterator]();
  for (let i = 0; i < 2; i++) await group.run(records.next());
  records.next().catch(() => {}); // ends by closing
  await group.until(() => answer !== undefined);
  group.isRebalancing = true;
  await group.until(() => group.generationId === 2);
  await group.clock.advance(10_000);
  expect(group.generationId, 'it joins again when it has given the partition up').toBe(2);
  answer!();
  await group.until(() => group.generationId === 3, 1_000);
  expect(group.committed).toEqual(['0@2']);
});

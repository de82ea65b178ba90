import { string, topic, type Serde } from '@millrace/serde';
import { afterEach, expect, it } from 'vitest';
import type { ConsumerOptions } from './consumer-options.ts';
import type { Consumer } from './consumer.ts';
import { recordsFrom, ScriptedGroup } from '../testing/scripted-group.ts';
import type { RecordOf } from '../records.ts';

const letters = topic('t', { key: string, value: string });
type Letter = RecordOf<typeof letters>;
const groups: ScriptedGroup[] = [];
const picky: Serde<string> = {
  ...string,
  deserialize: (bytes, context) => {
    const text = string.deserialize(bytes, context);
    if (text === '3') throw new Error('three is refused');
    return text;
  },
};
const manyRecords = 1_000;

/** Each partition has one fetch of many records. */
async function open(
  partitionsIn: (generationId: number) => readonly number[],
  options: Partial<ConsumerOptions<readonly [typeof letters]>> = {},
): Promise<{ group: ScriptedGroup; consumer: Consumer<Letter> }> {
  const group = new ScriptedGroup(2);
  groups.push(group);
  group.partitionsIn = partitionsIn;
  group.fetched = (_, offset) => (offset === 0 ? { records: recordsFrom(0, manyRecords) } : undefined);
  const client = await group.connect();
  return { group, consumer: client.consumer({ groupId: 'g', topics: [letters], ...options }) };
}

function place(result: { readonly value: unknown }): string {
  const { partition, offset } = result.value as Letter;
  return `${partition}@${offset}`;
}

async function read(group: ScriptedGroup, records: AsyncIterator<Letter>, count: number): Promise<string[]> {
  const places: string[] = [];
  for (let i = 0; i < count; i++) places.push(place(await group.run(records.next())));
  return places;
}

/** The group rebalances while the loop holds a record. */
async function rebalance(group: ScriptedGroup): Promise<void> {
  const next = group.generationId + 1;
  group.isRebalancing = true;
  await group.until(() => group.generationId >= next);
  await group.clock.advance(100);
}

afterEach(async () => {
  for (const group of groups.splice(0)) await group.run(group.client.close());
});

it('gives up a partition at the next turn, not after what is decoded of it, and commits what is done', async () => {
  const revoked: unknown[] = [];
  const { group, consumer } = await open((generationId) => (generationId === 1 ? [0] : []), {
    onPartitionsRevoked: (partitions) => void revoked.push(...partitions),
  });
  const records = consumer[Symbol.asyncIterator]();
  expect(await read(group, records, 3)).toEqual(['0@0', '0@1', '0@2']);
  await rebalance(group);
  expect(revoked).toEqual([]);
  let isMore = false;
  void records.next().then(({ done }) => (isMore = done !== true));
  await group.clock.advance(100);
  expect(revoked).toEqual([{ topic: 't', partition: 0 }]);
  expect(group.committed).toEqual(['2: 0@3']);
  expect(isMore).toBe(false);
});

it('goes on with what is decoded when the partition is kept through a rebalance', async () => {
  const assigned: number[] = [];
  const { group, consumer } = await open((generationId) => (generationId === 1 ? [0] : [0, 1]), {
    onPartitionsAssigned: (partitions) => void assigned.push(...partitions.map(({ partition }) => partition)),
  });
  const records = consumer[Symbol.asyncIterator]();
  await read(group, records, 3);
  await rebalance(group);
  expect(await read(group, records, 2)).toEqual(['0@3', '0@4']);
  expect(assigned).toEqual([0, 1]);
  const rest = await read(group, records, 2 * manyRecords - 5);
  expect(rest.filter((at) => at.startsWith('0')).length).toBe(manyRecords - 5);
  expect(new Set(rest).size).toBe(2 * manyRecords - 5);
});

it('runs callbacks also between two batches of one fetch', async () => {
  const revoked: unknown[] = [];
  const { group, consumer } = await open((generationId) => (generationId === 1 ? [0] : []), {
    maxBufferedRecords: 10,
    onPartitionsRevoked: (partitions) => void revoked.push(...partitions),
  });
  const batches = consumer.batches()[Symbol.asyncIterator]();
  await group.run(batches.next());
  await rebalance(group);
  void batches.next();
  await group.clock.advance(100);
  expect(revoked).toEqual([{ topic: 't', partition: 0 }]);
  expect(group.committed).toEqual(['2: 0@10']);
});

it('holds back what is decoded of a paused partition, and goes on there when it is resumed', async () => {
  const { group, consumer } = await open(() => [0, 1]);
  const records = consumer[Symbol.asyncIterator]();
  const [first] = await read(group, records, 3);
  const paused = Number(first![0]);
  const other = 1 - paused;
  consumer.pause([{ topic: 't', partition: paused }]);
  expect(await read(group, records, 2)).toEqual([`${other}@0`, `${other}@1`]);
  expect(consumer.lag.find(({ partition }) => partition === paused)).toMatchObject({ lagRecords: 1_000_000 - 3 });
  consumer.pause();
  let next: string | undefined;
  void records.next().then((result) => (next = place(result)));
  await group.clock.advance(5_000);
  expect(next).toBeUndefined();
  expect(group.committed.toSorted()).toEqual([`1: ${paused}@3`, `1: ${other}@2`].toSorted());
  consumer.resume([{ topic: 't', partition: paused }]);
  await group.until(() => next !== undefined);
  expect(next).toBe(`${paused}@3`);
  const rest = await read(group, records, manyRecords - 4);
  expect([rest[0], rest.at(-1)]).toEqual([`${paused}@4`, `${paused}@${manyRecords - 1}`]);
  consumer.resume();
  expect(await read(group, records, 1)).toEqual([`${other}@2`]);
});

it('holds back the other batches of a fetch when its partition is paused, and forgets them when it is sought', async () => {
  const { group, consumer } = await open(() => [0], { maxBufferedRecords: 10 });
  const batches = consumer.batches()[Symbol.asyncIterator]();
  const offsets = async (): Promise<unknown> => (await group.run(batches.next())).value;
  expect(await offsets()).toMatchObject({ firstOffset: 0, lastOffset: 9 });
  consumer.pause();
  consumer.resume();
  expect(await offsets()).toMatchObject({ firstOffset: 10, lastOffset: 19 });
  consumer.pause();
  let isThere = false;
  const next = batches.next();
  void next.then(() => (isThere = true));
  await group.clock.advance(1_000);
  expect(isThere).toBe(false);
  consumer.seek({ topic: 't', partition: 0, offset: 0 });
  consumer.resume();
  expect((await group.run(next)).value).toMatchObject({ firstOffset: 0, lastOffset: 9 });
});

it('ends at once when it is closed, whatever is decoded', async () => {
  const { group, consumer } = await open(() => [0]);
  const records = consumer[Symbol.asyncIterator]();
  await read(group, records, 3);
  const closed = consumer.close();
  expect(await group.run(records.next())).toEqual({ done: true, value: undefined });
  await group.run(closed);
  expect(group.committed).toEqual(['1: 0@2']); // the third was in hand
});

it('does not tell of an invalid record of a partition that is paused before it', async () => {
  const { group, consumer } = await open(() => [0], {
    onInvalid: 'fail',
    topics: [topic('t', { key: string, value: picky })],
  });
  const records = consumer[Symbol.asyncIterator]();
  await read(group, records, 3);
  consumer.pause();
  let outcome: string | undefined;
  records.next().then(
    () => (outcome = 'a record'),
    (error: { code: string }) => (outcome = error.code),
  );
  await group.clock.advance(1_000);
  expect(outcome).toBeUndefined();
  consumer.resume();
  await group.until(() => outcome !== undefined);
  expect(outcome).toBe('INVALID_RECORD');
});

it('fetches no more ahead however often it pauses and resumes', async () => {
  const { group, consumer } = await open(() => [0], { maxBufferedBytes: 1, maxBufferedRecords: 10 });
  const asked: number[] = [];
  group.fetched = (_, offset) => {
    asked.push(offset);
    return { records: recordsFrom(offset, 100) };
  };
  const batches = consumer.batches()[Symbol.asyncIterator]();
  await group.run(batches.next());
  for (let i = 0; i < 10; i++) {
    consumer.pause();
    consumer.resume();
    expect((await group.run(batches.next())).value).toMatchObject({ firstOffset: 10 * (i + 1) });
  }
  await group.clock.advance(1_000);
  expect(asked.length).toBeLessThanOrEqual(3);
});

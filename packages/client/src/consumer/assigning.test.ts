import { apis, errorCodes } from '@millrace/protocol';
import { string, topic } from '@millrace/serde';
import { afterEach, expect, it } from 'vitest';
import { recordsFrom, ScriptedGroup } from '../testing/scripted-group.ts';

const letters = topic('t', { key: string, value: string });
const groups: ScriptedGroup[] = [];

async function open(partitionCount: number = 1): Promise<ScriptedGroup> {
  const group = new ScriptedGroup(partitionCount);
  groups.push(group);
  await group.connect();
  return group;
}

afterEach(async () => {
  for (const group of groups.splice(0)) await group.run(group.client.close());
});

it('reads its partitions also when what the group has committed there could not be asked for at first', async () => {
  const group = await open();
  group.fetched = (_, offset) => (offset === 0 ? { records: recordsFrom(0, 2) } : undefined);
  const since = group.clock.monotonic();
  // A transaction with offsets was left open: its timeout is longer than that of a request.
  group.broker.on(apis.offsetFetch, ({ groups: [asked] }) => {
    const isOpen = group.clock.monotonic() - since < 60_000;
    if (isOpen) return { groups: [{ groupId: 'g', errorCode: errorCodes.UNSTABLE_OFFSET_COMMIT }] };
    const partitions = [{ partitionIndex: 0, committedOffset: -1 }];
    return { groups: [{ groupId: asked!.groupId, topics: [{ name: 't', partitions }] }] };
  });
  const consumer = group.client.consumer({ groupId: 'g', topics: [letters] });
  const records = consumer[Symbol.asyncIterator]();
  const first = await group.run(records.next());
  expect(first.value).toMatchObject({ offset: 0, value: '0' });
});

it('asks for stable offsets where it reads what is committed, and only there', async () => {
  const asked: boolean[] = [];
  for (const isolationLevel of ['read_committed', 'read_uncommitted'] as const) {
    const group = await open();
    group.broker.on(apis.offsetFetch, ({ requireStable }) => {
      asked.push(requireStable);
      const partitions = [{ partitionIndex: 0, committedOffset: 0 }];
      return { groups: [{ groupId: 'g', topics: [{ name: 't', partitions }] }] };
    });
    group.fetched = (_, offset) => (offset === 0 ? { records: recordsFrom(0, 1) } : undefined);
    const consumer = group.client.consumer({ groupId: 'g', topics: [letters], isolationLevel });
    await group.run(consumer[Symbol.asyncIterator]().next());
  }
  expect(asked).toEqual([true, false]);
});

it('fetches nothing of a partition before the callback that may seek has come to its end', async () => {
  const group = await open(2);
  group.partitionsIn = () => [0, 1];
  const fetchedAt: number[] = [];
  let isPrepared = false;
  group.fetched = (partition, offset) => {
    if (partition === 0) fetchedAt.push(offset);
    return partition === 0 && offset === 5 ? { records: recordsFrom(5, 1) } : undefined;
  };
  const consumer = group.client.consumer({
    groupId: 'g',
    topics: [letters],
    onPartitionsAssigned: async () => {
      consumer.resume([{ topic: 't', partition: 1 }]); // has the fetcher look for what it may fetch
      isPrepared = true;
      await new Promise<void>((resolve) => void group.clock.after(2_000, resolve));
      consumer.seek({ topic: 't', partition: 0, offset: 5 });
    },
  });
  const first = await group.run(consumer[Symbol.asyncIterator]().next());
  expect(first.value).toMatchObject({ offset: 5 });
  expect(isPrepared).toBe(true);
  expect(fetchedAt[0]).toBe(5);
});

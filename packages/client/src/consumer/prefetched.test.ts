import { apis, errorCodes } from '@millrace/protocol';
import { afterEach, expect, it } from 'vitest';
import { bytesConsumer, type BytesConsumer, type BytesConsumerOptions } from '../bytes/index.ts';
import { recordsFrom, ScriptedGroup } from '../testing/scripted-group.ts';

const place = { topic: 't', partition: 0 };
const groups: ScriptedGroup[] = [];

async function open(options: Partial<BytesConsumerOptions> = {}): Promise<[ScriptedGroup, BytesConsumer]> {
  const group = new ScriptedGroup();
  groups.push(group);
  const client = await group.connect();
  const consumer = bytesConsumer(client, { isolationLevel: 'read_committed', autoOffsetReset: 'earliest', ...options });
  return [group, consumer];
}

async function offsetsOf(group: ScriptedGroup, consumer: BytesConsumer): Promise<number[] | null> {
  const chunk = await group.run(consumer.poll(1_000));
  if (chunk === null) return null;
  const offsets: number[] = [];
  chunk.forEach((reader) => offsets.push(reader.offset));
  return offsets;
}

afterEach(async () => {
  for (const group of groups.splice(0)) await group.run(group.client.close());
});

it('hands out what remains of a log that was cut, from where the reader is, not from where it was fetched to', async () => {
  const [group, consumer] = await open();
  let isCut = false;
  group.fetched = (_, offset) => {
    if (offset === 4 && !isCut) {
      isCut = true;
      return { divergingEpoch: { epoch: 0, endOffset: 3 }, records: new Uint8Array(0) };
    }
    return offset < 4 ? { records: recordsFrom(offset, 2 - (offset % 2)) } : undefined;
  };
  consumer.assign([{ ...place, offset: 0 }]);
  await group.until(() => isCut);
  await group.clock.advance(1_000);
  expect(consumer.position(place)).toBe(0);
  expect(await offsetsOf(group, consumer)).toEqual([0, 1]);
  expect(await offsetsOf(group, consumer)).toEqual([2, 3]);
});

it.each(['latest', 'none'] as const)(
  'hands out what was fetched before it heeds that what follows is out of range (reset: %s)',
  async (autoOffsetReset) => {
    const [group, consumer] = await open({ autoOffsetReset });
    let refused = 0;
    group.fetched = (_, offset) => {
      if (offset === 0) return { records: recordsFrom(0, 2) };
      if (offset >= 10) return offset === 10 ? { records: recordsFrom(10, 1) } : undefined;
      refused++;
      return { errorCode: errorCodes.OFFSET_OUT_OF_RANGE };
    };
    group.broker.on(apis.listOffsets, () => ({
      topics: [{ name: 't', partitions: [{ partitionIndex: 0, offset: 10 }] }],
    }));
    consumer.assign([{ ...place, offset: 0 }]);
    await group.until(() => refused > 0);
    await group.clock.advance(1_000);
    expect(await offsetsOf(group, consumer)).toEqual([0, 1]);
    if (autoOffsetReset === 'latest') expect(await offsetsOf(group, consumer)).toEqual([10]);
    else await expect(offsetsOf(group, consumer)).rejects.toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' });
  },
);

it('looks for the end of a log for as long as its leader is away, as it fetches for as long', async () => {
  const [group, consumer] = await open({ groupId: 'g', topics: ['t'] });
  group.broker.on(apis.offsetFetch, () => ({
    groups: [{ groupId: 'g', topics: [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset: -1 }] }] }],
  }));
  const since = group.clock.monotonic();
  group.broker.on(apis.listOffsets, () => {
    const isAway = group.clock.monotonic() - since < 45_000;
    const errorCode = isAway ? errorCodes.LEADER_NOT_AVAILABLE : errorCodes.NONE;
    return { topics: [{ name: 't', partitions: [{ partitionIndex: 0, errorCode, offset: 0 }] }] };
  });
  group.fetched = (_, offset) => (offset === 0 ? { records: recordsFrom(0, 2) } : undefined);
  let offsets: number[] | null = null;
  while (offsets === null) offsets = await offsetsOf(group, consumer);
  expect(offsets).toEqual([0, 1]);
  expect(group.clock.monotonic() - since).toBeGreaterThanOrEqual(45_000);
});

it.each([
  [0, 7],
  [7, 0],
])('drops the answer that was on its way when it was sought (from %i to %i)', async (from, to) => {
  const [group, consumer] = await open();
  let answer: () => void = () => {};
  let asked = 0;
  group.broker.on(apis.fetch, async (request) => {
    const { fetchOffset } = request.topics[0]!.partitions[0]!;
    if (asked++ === 0) await new Promise<void>((resolve) => (answer = resolve));
    const records = { partitionIndex: 0, highWatermark: 10, records: recordsFrom(fetchOffset, 1) };
    return { responses: [{ topic: 't', partitions: [records] }] };
  });
  consumer.assign([{ ...place, offset: from }]);
  await group.until(() => asked === 1);
  consumer.seek({ ...place, offset: to });
  answer();
  expect(await offsetsOf(group, consumer)).toEqual([to]);
});

import { apis, errorCodes } from '@millrace/protocol';
import { string, topic } from '@millrace/serde';
import { afterEach, expect, it } from 'vitest';
import { recordsFrom, ScriptedGroup } from '../testing/scripted-group.ts';

const letters = topic('t', { key: string, value: string });
const groups: ScriptedGroup[] = [];

afterEach(async () => {
  for (const group of groups.splice(0)) await group.run(group.client.close());
});

it.each([10, 12])(
  'comes to its end when all up to there is deleted while it reads (the log begins at %i then)',
  async (start) => {
    const group = new ScriptedGroup();
    groups.push(group);
    let isDeleted = false;
    group.broker.on(apis.listOffsets, (request) => {
      const earliest = isDeleted ? start : 0;
      const offset = request.topics[0]!.partitions[0]!.timestamp === -2 ? earliest : Math.max(10, earliest);
      return { topics: [{ name: 't', partitions: [{ partitionIndex: 0, offset }] }] };
    });
    group.fetched = (_, offset) => {
      if (isDeleted) return offset < start ? { errorCode: errorCodes.OFFSET_OUT_OF_RANGE } : undefined;
      isDeleted = true;
      return { records: recordsFrom(0, 2) };
    };
    const client = await group.connect();
    const read: number[] = [];
    const reading = (async () => {
      for await (const { offset } of client.records(letters, { to: 'end' })) read.push(offset);
    })();
    await group.run(reading, 5_000);
    expect(read).toEqual([0, 1]);
  },
);

import { nodePlatform } from '@millrace/platform';
import { SeededRandom, VirtualClock } from '@millrace/platform/simulated';
import { apis, errorCodes, RecordBatchWriter } from '@millrace/protocol';
import { string, topic } from '@millrace/serde';
import { expect, it } from 'vitest';
import { Client } from '../client.ts';
import { ScriptedBroker } from '../testing/scripted-broker.ts';
import { encodeAssignment } from './consumer-protocol.ts';
import { sourceOf } from './record-batch.ts';

const letters = topic('t', { key: string, value: string });

function letter(): Uint8Array {
  const writer = new RecordBatchWriter();
  writer.append(1, Buffer.from('k'), Buffer.from('a'));
  return writer.close({ baseOffset: 0, partitionLeaderEpoch: 0 });
}

it('commits a batch while its partition is kept, whatever the generation, and not once it was taken away or given up', async () => {
  const clock = new VirtualClock(1_000_000);
  const broker = new ScriptedBroker(clock);
  broker.topics.set('t', 2);
  let generationId = 0;
  let isRebalancing = false;
  // The second generation keeps both partitions, the third takes partition 0.
  const assigned = (): number[] => (generationId < 3 ? [0, 1] : [1]);
  const committed: string[] = [];
  broker.on(apis.findCoordinator, () => ({
    coordinators: [{ key: 'g', nodeId: 1, host: 'broker', port: 9092, errorCode: 0 }],
  }));
  broker.on(apis.joinGroup, ({ protocols }) => {
    generationId++;
    isRebalancing = false;
    // Another member leads: it does the assigning.
    return { generationId, protocolType: 'consumer', protocolName: protocols[0]!.name, leader: 'b', memberId: 'a' };
  });
  broker.on(apis.syncGroup, () => ({
    assignment: encodeAssignment(assigned().map((partition) => ({ topic: 't', partition }))),
  }));
  broker.on(apis.heartbeat, () => ({ errorCode: isRebalancing ? errorCodes.REBALANCE_IN_PROGRESS : errorCodes.NONE }));
  broker.on(apis.offsetFetch, () => ({
    groups: [
      {
        groupId: 'g',
        topics: [{ name: 't', partitions: [0, 1].map((partitionIndex) => ({ partitionIndex, committedOffset: 0 })) }],
      },
    ],
  }));
  broker.on(apis.offsetCommit, (request) => {
    const { partitionIndex, committedOffset } = request.topics[0]!.partitions[0]!;
    committed.push(`${request.generationIdOrMemberEpoch}: ${partitionIndex}@${committedOffset}`);
    return { topics: [{ name: 't', partitions: [{ partitionIndex }] }] };
  });
  broker.on(apis.fetch, async (request) => {
    const wanted = request.topics[0]?.partitions ?? [];
    const isAtStart = wanted.some(({ partition, fetchOffset }) => partition === 0 && fetchOffset === 0);
    if (!isAtStart) await new Promise<void>((resolve) => void clock.after(request.maxWaitMs, resolve));
    const partitions = wanted.map(({ partition }) => ({
      partitionIndex: partition,
      highWatermark: 1,
      ...(isAtStart && partition === 0 ? { records: letter() } : {}),
    }));
    return { responses: [{ topic: 't', partitions }] };
  });
  broker.on(apis.leaveGroup, () => ({ members: [] }));

  const run = async <T>(work: Promise<T>): Promise<T> => {
    let isDone = false;
    void work.catch(() => {}).finally(() => void (isDone = true));
    for (let i = 0; i < 5000 && !isDone; i++) await clock.advance(10);
    return await work;
  };
  const client = await run(
    Client.connect(broker, { platform: { ...nodePlatform(), clock, random: new SeededRandom(5) } }),
  );
  const consumer = client.consumer({ groupId: 'g', topics: [letters], enableAutoCommit: false });
  const batches = consumer.batches()[Symbol.asyncIterator]();
  const first = await run(batches.next());
  const batch = first.done === true ? undefined : first.value;
  expect(batch?.records.map(({ value }) => value)).toEqual(['a']);
  const asking = batches.next(); // the group is looked after while the next one is asked for
  asking.catch(() => {}); // it ends by closing

  const reach = async (generation: number): Promise<void> => {
    isRebalancing = generation > generationId;
    for (let i = 0; i < 5000 && generationId < generation; i++) await clock.advance(10);
    await clock.advance(1000);
  };
  await reach(2);
  expect(sourceOf(batch!)).toMatchObject({ position: { partition: 0, offset: 1 } });
  expect(sourceOf(batch!).group.metadata()).toMatchObject({ generationId: 2 });
  await run(consumer.commit(batch!));
  expect(committed).toEqual(['2: 0@1']);

  await reach(3);
  expect(consumer.assignment).toEqual([{ topic: 't', partition: 1 }]);
  const moved = { code: 'COMMIT_FAILED', context: { groupId: 'g' } };
  expect(() => sourceOf(batch!).group.metadata()).toThrow(expect.objectContaining(moved));
  await expect(run(consumer.commit(batch!))).rejects.toMatchObject(moved);

  await run(consumer.close());
  expect(() => sourceOf(batch!).group.metadata()).toThrow(expect.objectContaining(moved));
  expect(committed).toEqual(['2: 0@1']);
  await run(client.close());
});

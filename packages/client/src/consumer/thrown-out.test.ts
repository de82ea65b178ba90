import { nodePlatform } from '@millrace/platform';
import { SeededRandom, VirtualClock } from '@millrace/platform/simulated';
import { apis, errorCodes } from '@millrace/protocol';
import { expect, it } from 'vitest';
import { bytesConsumer } from '../bytes/index.ts';
import { Client } from '../client.ts';
import { ScriptedBroker } from '../testing/scripted-broker.ts';
import { encodeAssignment } from './consumer-protocol.ts';

it.each([errorCodes.UNKNOWN_MEMBER_ID, errorCodes.ILLEGAL_GENERATION])(
  'joins again when a heartbeat says that the group has thrown it out (error %i)',
  async (errorCode) => {
    const clock = new VirtualClock(1_000_000);
    const broker = new ScriptedBroker(clock);
    broker.topics.set('t', 1);
    const joins: string[] = [];
    const told: string[] = [];
    let beats = 0;
    broker.on(apis.findCoordinator, () => ({
      coordinators: [{ key: 'g', nodeId: 1, host: 'broker', port: 9092, errorCode: 0 }],
    }));
    broker.on(apis.joinGroup, ({ memberId, protocols }) => {
      joins.push(memberId);
      const id = `member-${joins.length}`;
      const members = [{ memberId: id, metadata: protocols[0]!.metadata }];
      const protocolName = protocols[0]!.name;
      return { generationId: joins.length, protocolType: 'consumer', protocolName, leader: id, memberId: id, members };
    });
    broker.on(apis.syncGroup, () => ({ assignment: encodeAssignment([{ topic: 't', partition: 0 }]) }));
    broker.on(apis.heartbeat, () => ({ errorCode: ++beats === 1 ? errorCode : errorCodes.NONE }));
    broker.on(apis.offsetFetch, () => ({
      groups: [{ groupId: 'g', topics: [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset: -1 }] }] }],
    }));
    broker.on(apis.listOffsets, () => ({ topics: [{ name: 't', partitions: [{ partitionIndex: 0, offset: 0 }] }] }));
    broker.on(apis.fetch, async (request) => {
      await new Promise<void>((resolve) => void clock.after(request.maxWaitMs, resolve));
      return { responses: [{ topic: 't', partitions: [{ partitionIndex: 0, highWatermark: 0 }] }] };
    });
    broker.on(apis.leaveGroup, () => ({ members: [] }));

    let client: Client | undefined;
    void Client.connect(broker, { platform: { ...nodePlatform(), clock, random: new SeededRandom(5) } }).then(
      (connected) => (client = connected),
    );
    while (client === undefined) await clock.advance(10);
    const consumer = bytesConsumer(client, {
      groupId: 'g',
      topics: ['t'],
      isolationLevel: 'read_committed',
      autoOffsetReset: 'earliest',
      onPartitionsRevoked: () => void told.push('revoked'),
      onPartitionsLost: () => void told.push('lost'),
    });
    let isOver = false;
    const polling = (async () => {
      while (!isOver) await consumer.poll(100); // callbacks of a rebalance run inside
    })();
    for (let i = 0; i < 2000 && beats < 3; i++) await clock.advance(10);
    isOver = true;
    await Promise.all([polling, clock.advance(1000)]);
    // One that is unknown comes as a new one; one of another generation is still the same.
    const isUnknown = errorCode === errorCodes.UNKNOWN_MEMBER_ID;
    expect({ joins, told, generation: consumer.groupMetadata.generationId }).toEqual({
      joins: ['', isUnknown ? '' : 'member-1'],
      told: ['lost'],
      generation: 2,
    });
  },
);

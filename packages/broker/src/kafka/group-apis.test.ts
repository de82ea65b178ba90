import { apis, type RequestInput, type ResponseOf } from '@millrace/protocol';
import { describe, expect, it } from 'vitest';
import { subscriptionTo } from '../core/testing/group-bench.ts';
import { TestBroker } from '../testing/memory-broker.ts';
import type { RawClient } from '../testing/raw-client.ts';
import { errorCodes } from './error-codes.ts';

const versions = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);
const assignment = new Uint8Array([7, 7]);

/** Joins as clients of the version do: again with the id they get, where the version asks for it. */
async function join(
  client: RawClient,
  version: number,
  request: RequestInput<typeof apis.joinGroup> = {},
): Promise<ResponseOf<typeof apis.joinGroup>> {
  const ask = (memberId: string): Promise<ResponseOf<typeof apis.joinGroup>> =>
    client.request(apis.joinGroup, version, {
      groupId: 'g',
      memberId,
      sessionTimeoutMs: 6000,
      ...(version >= 1 ? { rebalanceTimeoutMs: 6000 } : {}),
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: subscriptionTo('orders') }],
      ...request,
    });
  const first = await ask('');
  return first.errorCode === errorCodes.MEMBER_ID_REQUIRED ? ask(first.memberId) : first;
}

function sync(
  client: RawClient,
  version: number,
  memberId: string,
  generationId: number,
): Promise<ResponseOf<typeof apis.syncGroup>> {
  return client.request(apis.syncGroup, version, {
    groupId: 'g',
    memberId,
    generationId,
    ...(version >= 5 ? { protocolType: 'consumer', protocolName: 'range' } : {}),
    assignments: [{ memberId, assignment }],
  });
}

/** A broker with topic `orders` of two partitions, and one stable member of group `g`. */
async function stableGroup(): Promise<{ test: TestBroker; memberId: string }> {
  const test = await TestBroker.open();
  await test.createTopic('orders', { partitions: 2 });
  const { memberId } = await join(test.client, 9);
  await sync(test.client, 5, memberId, 1);
  return { test, memberId };
}

describe('in every version', () => {
  it.each(versions(0, 5))('FindCoordinator v%i finds this broker', async (version) => {
    await using test = await TestBroker.open();
    for (const keyType of version === 0 ? [0] : [0, 1]) {
      const found = await test.client.request(
        apis.findCoordinator,
        version,
        version < 4 ? { key: 'g', ...(version > 0 ? { keyType } : {}) } : { keyType, coordinatorKeys: ['g', 'h'] },
      );
      const node = { errorCode: 0, nodeId: 1, host: '127.0.0.1' };
      const coordinators = [
        { key: 'g', ...node },
        { key: 'h', ...node },
      ];
      expect(found).toMatchObject(version < 4 ? node : { coordinators });
    }
  });

  it.each([3, 5])('FindCoordinator v%i refuses other types of keys', async (version) => {
    await using test = await TestBroker.open();
    const found = await test.client.request(
      apis.findCoordinator,
      version,
      version < 4 ? { key: 'g', keyType: 2 } : { keyType: 2, coordinatorKeys: ['g'] },
    );
    const refusal = { errorCode: errorCodes.INVALID_REQUEST, nodeId: -1, port: -1 };
    expect(version < 4 ? found : found.coordinators[0]).toMatchObject(refusal);
  });

  it.each(versions(0, 9))('JoinGroup v%i joins, and names the protocol', async (version) => {
    await using test = await TestBroker.open();
    const joined = await join(test.client, version);
    expect(joined).toMatchObject({
      errorCode: 0,
      generationId: 1,
      protocolType: version >= 7 ? 'consumer' : null,
      protocolName: 'range',
      leader: joined.memberId,
    });
    expect(joined.members).toMatchObject([{ memberId: joined.memberId }]);
    expect(joined.memberId).toMatch(/^raw-/);
  });

  it.each(versions(0, 9))('JoinGroup v%i spells the protocol of a refusal as its clients expect', async (version) => {
    await using test = await TestBroker.open();
    const refused = await join(test.client, version, { groupId: '' });
    expect(refused).toMatchObject({
      errorCode: errorCodes.INVALID_GROUP_ID,
      generationId: -1,
      protocolName: version < 7 ? '' : null,
      leader: '',
      members: [],
    });
  });

  it.each(versions(0, 5))('SyncGroup v%i gives the assignment', async (version) => {
    await using test = await TestBroker.open();
    const { memberId } = await join(test.client, 5);
    const synced = await sync(test.client, version, memberId, 1);
    expect([...synced.assignment]).toEqual([...assignment]);
    const [protocolType, protocolName] = version >= 5 ? ['consumer', 'range'] : [null, null];
    expect(synced).toMatchObject({ errorCode: 0, protocolType, protocolName });
  });

  it('SyncGroup v5 wants the protocol named', async () => {
    await using test = await TestBroker.open();
    const { memberId } = await join(test.client, 9);
    const synced = await test.client.request(apis.syncGroup, 5, { groupId: 'g', memberId, generationId: 1 });
    expect(synced.errorCode).toBe(errorCodes.INCONSISTENT_GROUP_PROTOCOL);
  });

  it.each(versions(0, 4))('Heartbeat v%i is answered by the state of the group', async (version) => {
    const { test, memberId } = await stableGroup();
    await using _ = test;
    const beat = async (generationId: number): Promise<number> =>
      (await test.client.request(apis.heartbeat, version, { groupId: 'g', memberId, generationId })).errorCode;
    expect([await beat(1), await beat(2)]).toEqual([0, errorCodes.ILLEGAL_GENERATION]);
  });

  it.each(versions(0, 2))('LeaveGroup v%i takes one member, whose error is the answer', async (version) => {
    const { test, memberId } = await stableGroup();
    await using _ = test;
    const leave = async (): Promise<number> =>
      (await test.client.request(apis.leaveGroup, version, { groupId: 'g', memberId })).errorCode;
    expect([await leave(), await leave()]).toEqual([0, errorCodes.UNKNOWN_MEMBER_ID]);
  });

  it.each(versions(3, 5))('LeaveGroup v%i takes several, each with an error of its own', async (version) => {
    const { test, memberId } = await stableGroup();
    await using _ = test;
    const left = await test.client.request(apis.leaveGroup, version, {
      groupId: 'g',
      members: [{ memberId }, { memberId: 'ghost', groupInstanceId: null }],
    });
    expect(left).toMatchObject({
      errorCode: 0,
      members: [
        { memberId, groupInstanceId: null, errorCode: 0 },
        { memberId: 'ghost', errorCode: errorCodes.UNKNOWN_MEMBER_ID },
      ],
    });
    const empty = await test.client.request(apis.leaveGroup, version, { groupId: '', members: [] });
    expect(empty.errorCode).toBe(errorCodes.INVALID_GROUP_ID);
  });

  it.each(versions(2, 9))('OffsetCommit v%i commits what OffsetFetch finds', async (version) => {
    const { test, memberId } = await stableGroup();
    await using _ = test;
    const commit = (generationIdOrMemberEpoch: number): Promise<ResponseOf<typeof apis.offsetCommit>> =>
      test.client.request(apis.offsetCommit, version, {
        groupId: 'g',
        memberId,
        generationIdOrMemberEpoch,
        topics: [
          {
            name: 'orders',
            partitions: [
              {
                partitionIndex: 1,
                committedOffset: 40 + version,
                committedMetadata: `v${version}`,
                ...(version >= 6 ? { committedLeaderEpoch: 3 } : {}),
              },
              { partitionIndex: 2, committedOffset: 1, committedMetadata: null },
            ],
          },
        ],
      });
    const codesOf = ({ topics }: ResponseOf<typeof apis.offsetCommit>): number[] =>
      topics.flatMap(({ partitions }) => partitions.map(({ errorCode }) => errorCode));
    expect(codesOf(await commit(1))).toEqual([0, errorCodes.UNKNOWN_TOPIC_OR_PARTITION]);
    expect(codesOf(await commit(9))).toEqual([errorCodes.ILLEGAL_GENERATION, errorCodes.ILLEGAL_GENERATION]);
    const { groups } = await test.client.request(apis.offsetFetch, 8, { groups: [{ groupId: 'g', topics: null }] });
    expect(groups[0]!.topics).toEqual([
      {
        name: 'orders',
        partitions: [
          {
            partitionIndex: 1,
            committedOffset: 40 + version,
            committedLeaderEpoch: version >= 6 ? 3 : -1,
            metadata: `v${version}`,
            errorCode: 0,
          },
        ],
      },
    ]);
  });

  it.each([
    [8, errorCodes.ILLEGAL_GENERATION],
    [9, errorCodes.GROUP_ID_NOT_FOUND],
  ])('OffsetCommit v%i tells a group that does not exist by error %i', async (version, expected) => {
    await using test = await TestBroker.open();
    const { topics } = await test.client.request(apis.offsetCommit, version, {
      groupId: 'nobody',
      memberId: 'm',
      generationIdOrMemberEpoch: 1,
      topics: [{ name: 'orders', partitions: [{ partitionIndex: 0, committedOffset: 1 }] }],
    });
    expect(topics[0]!.partitions[0]!.errorCode).toBe(expected);
  });

  it.each(versions(1, 9))('OffsetFetch v%i tells what is committed, and -1 for what is not', async (version) => {
    const { test, memberId } = await stableGroup();
    await using _ = test;
    await test.client.request(apis.offsetCommit, 8, {
      groupId: 'g',
      memberId,
      generationIdOrMemberEpoch: 1,
      topics: [
        {
          name: 'orders',
          partitions: [{ partitionIndex: 0, committedOffset: 5, committedLeaderEpoch: 2, committedMetadata: 'm' }],
        },
      ],
    });
    const fetch = async (
      topics: { name: string; partitionIndexes: number[] }[] | null,
    ): Promise<{ name: string; partitions: object[] }[]> => {
      const request = version < 8 ? { groupId: 'g', topics } : { groups: [{ groupId: 'g', topics }] };
      const fetched = await test.client.request(apis.offsetFetch, version, request);
      expect(fetched.errorCode).toBe(0);
      return version < 8 ? fetched.topics : fetched.groups[0]!.topics;
    };
    const committed = {
      partitionIndex: 0,
      committedOffset: 5,
      committedLeaderEpoch: version >= 5 ? 2 : -1,
      metadata: 'm',
      errorCode: 0,
    };
    const none = { partitionIndex: 1, committedOffset: -1, committedLeaderEpoch: -1, metadata: '', errorCode: 0 };
    expect(await fetch([{ name: 'orders', partitionIndexes: [0, 1] }])).toEqual([
      { name: 'orders', partitions: [committed, none] },
    ]);
    if (version < 2) return;
    // oxlint-disable-next-line vitest/no-conditional-expect -- version 1 cannot ask for all
    expect(await fetch(null)).toEqual([{ name: 'orders', partitions: [committed] }]);
  });

  it('OffsetFetch v8 asks for several groups at once', async () => {
    const { test } = await stableGroup();
    await using _ = test;
    for (const groupId of ['a', 'b']) {
      await test.client.request(apis.offsetCommit, 8, {
        groupId,
        topics: [{ name: 'orders', partitions: [{ partitionIndex: 0, committedOffset: groupId === 'a' ? 1 : 2 }] }],
      });
    }
    const topics = [{ name: 'orders', partitionIndexes: [0] }];
    const { groups } = await test.client.request(apis.offsetFetch, 8, {
      groups: ['a', 'nobody', 'b'].map((groupId) => ({ groupId, topics })),
    });
    expect(
      groups.map((group) => [group.groupId, group.errorCode, group.topics[0]!.partitions[0]!.committedOffset]),
    ).toEqual([
      ['a', 0, 1],
      ['nobody', 0, -1],
      ['b', 0, 2],
    ]);
  });

  it.each(versions(0, 6))('DescribeGroups v%i tells of members, and of groups that do not exist', async (version) => {
    const { test, memberId } = await stableGroup();
    await using _ = test;
    const { groups } = await test.client.request(apis.describeGroups, version, {
      groups: ['g', 'nobody'],
      ...(version >= 3 ? { includeAuthorizedOperations: true } : {}),
    });
    expect(groups[0]).toMatchObject({
      errorCode: 0,
      groupState: 'Stable',
      protocolType: 'consumer',
      protocolData: 'range',
      members: [{ memberId, clientId: 'raw' }],
      // read, delete, describe, describe configs, alter configs
      authorizedOperations: version >= 3 ? 0b1101_0100_1000 : -2_147_483_648,
    });
    expect([...groups[0]!.members[0]!.memberMetadata]).toEqual([...subscriptionTo('orders')]);
    expect([...groups[0]!.members[0]!.memberAssignment]).toEqual([...assignment]);
    expect(groups[1]).toMatchObject({
      errorCode: version >= 6 ? errorCodes.GROUP_ID_NOT_FOUND : 0,
      groupState: 'Dead',
      members: [],
    });
  });

  it.each(versions(0, 5))('ListGroups v%i lists, and filters where it can', async (version) => {
    const { test } = await stableGroup();
    await using _ = test;
    const list = async (filter: RequestInput<typeof apis.listGroups>): Promise<object[]> =>
      (await test.client.request(apis.listGroups, version, filter)).groups;
    const listed = {
      groupId: 'g',
      protocolType: 'consumer',
      groupState: version >= 4 ? 'Stable' : '',
      groupType: version >= 5 ? 'classic' : '',
    };
    expect(await list({})).toEqual([listed]);
    expect(await list(version >= 4 ? { statesFilter: ['Stable'] } : {})).toEqual([listed]);
    expect(await list(version >= 4 ? { statesFilter: ['Empty'] } : {})).toEqual(version >= 4 ? [] : [listed]);
    expect(await list(version >= 5 ? { typesFilter: ['consumer'] } : {})).toEqual(version >= 5 ? [] : [listed]);
  });

  it.each(versions(0, 2))('DeleteGroups v%i deletes what is empty, each on its own', async (version) => {
    const { test } = await stableGroup();
    await using _ = test;
    await test.client.request(apis.offsetCommit, 8, {
      groupId: 'simple',
      topics: [{ name: 'orders', partitions: [{ partitionIndex: 0, committedOffset: 1 }] }],
    });
    const { results } = await test.client.request(apis.deleteGroups, version, {
      groupsNames: ['simple', 'g', 'nobody'],
    });
    expect(results.map(({ groupId, errorCode }) => [groupId, errorCode])).toEqual([
      ['simple', 0],
      ['g', errorCodes.NON_EMPTY_GROUP],
      ['nobody', errorCodes.GROUP_ID_NOT_FOUND],
    ]);
  });

  it('OffsetDelete v0 deletes offsets of topics that nobody subscribes to', async () => {
    const { test, memberId } = await stableGroup();
    await using _ = test;
    await test.createTopic('old');
    await test.client.request(apis.offsetCommit, 8, {
      groupId: 'g',
      memberId,
      generationIdOrMemberEpoch: 1,
      topics: ['orders', 'old'].map((name) => ({ name, partitions: [{ partitionIndex: 0, committedOffset: 1 }] })),
    });
    const remove = (groupId: string): Promise<ResponseOf<typeof apis.offsetDelete>> =>
      test.client.request(apis.offsetDelete, 0, {
        groupId,
        topics: ['orders', 'old'].map((name) => ({ name, partitions: [{ partitionIndex: 0 }] })),
      });
    const removed = await remove('g');
    expect(removed.errorCode).toBe(0);
    expect(removed.topics.map(({ name, partitions }) => [name, partitions[0]!.errorCode])).toEqual([
      ['orders', errorCodes.GROUP_SUBSCRIBED_TO_TOPIC],
      ['old', 0],
    ]);
    expect(await remove('nobody')).toMatchObject({ errorCode: errorCodes.GROUP_ID_NOT_FOUND, topics: [] });
  });
});

describe('with connections of their own', () => {
  it('members meet in one generation, each with the assignment that the leader gave it', async () => {
    await using test = await TestBroker.open();
    const others = [TestBroker.over(test.broker).client, TestBroker.over(test.broker).client];
    const leader = await join(test.client, 9);
    await sync(test.client, 5, leader.memberId, 1);
    const follows = join(others[0]!, 9);
    // The leader hears of it by its heartbeat, as members do.
    for (;;) {
      const { errorCode } = await test.client.request(apis.heartbeat, 4, {
        groupId: 'g',
        memberId: leader.memberId,
        generationId: 1,
      });
      if (errorCode === errorCodes.REBALANCE_IN_PROGRESS) break;
      expect(errorCode).toBe(0);
    }
    const again = await join(test.client, 9, { memberId: leader.memberId });
    const follower = await follows;
    expect([again.generationId, follower.generationId]).toEqual([2, 2]);
    expect(again.members.map((member) => member.memberId).toSorted()).toEqual(
      [leader.memberId, follower.memberId].toSorted(),
    );
    const parked = sync(others[0]!, 5, follower.memberId, 2);
    const assignments = [leader, follower].map(({ memberId }) => ({ memberId, assignment: Buffer.from(memberId) }));
    await test.client.request(apis.syncGroup, 5, {
      groupId: 'g',
      memberId: leader.memberId,
      generationId: 2,
      protocolType: 'consumer',
      protocolName: 'range',
      assignments,
    });
    expect(Buffer.from((await parked).assignment).toString()).toBe(follower.memberId);
  });

  it('a parked JoinGroup is answered when the broker closes', async () => {
    await using test = await TestBroker.open();
    const leader = await join(test.client, 9);
    await sync(test.client, 5, leader.memberId, 1);
    const waits = join(TestBroker.over(test.broker).client, 9);
    const settled = waits.then(
      ({ errorCode }) => errorCode,
      (error: Error) => error.message,
    );
    await test.client.request(apis.listGroups, 4, {});
    await test.broker.close();
    expect([errorCodes.COORDINATOR_NOT_AVAILABLE, 'the connection closed before the answer came']).toContain(
      await settled,
    );
  });
});

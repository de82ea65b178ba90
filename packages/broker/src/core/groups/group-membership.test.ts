import { expect, it, describe } from 'vitest';
import { bytesOf, GroupBench, protocolsNamed, subscriptionTo, textOf } from '../testing/group-bench.ts';

describe('joining', () => {
  it('gives a member without an id one, and takes it in when it comes back', async () => {
    const bench = await GroupBench.open();
    const first = await bench.join().done;
    expect(first).toMatchObject({ error: 'MEMBER_ID_REQUIRED', generationId: -1, members: [] });
    expect(first.memberId).toMatch(/^client-[0-9a-f]{8}-[0-9a-f-]{27}$/);
    expect(bench.state).toBe('Empty');

    const join = bench.join({ memberId: first.memberId });
    await bench.clock.advance(0);

    expect(await join.done).toEqual({
      error: null,
      memberId: first.memberId,
      generationId: 1,
      protocolType: 'consumer',
      protocolName: 'range',
      leader: first.memberId,
      skipAssignment: false,
      members: [{ memberId: first.memberId, groupInstanceId: null, metadata: subscriptionTo('orders') }],
    });
    expect(bench.state).toBe('CompletingRebalance');
  });

  it('takes in members of old clients at once, without the detour for an id', async () => {
    const bench = await GroupBench.open();
    const join = bench.join({ requiresKnownMemberId: false });
    await bench.clock.advance(0);
    expect(await join.done).toMatchObject({ error: null, generationId: 1 });
  });

  it('answers UNKNOWN_MEMBER_ID for an id of a group that does not exist, or that the group does not know', async () => {
    const bench = await GroupBench.open();
    expect(await bench.join({ memberId: 'ghost' }).done).toMatchObject({ error: 'UNKNOWN_MEMBER_ID' });
    expect(bench.state).toBe('Dead');
    await bench.stableGroup(1);
    expect(await bench.join({ memberId: 'ghost' }).done).toMatchObject({
      error: 'UNKNOWN_MEMBER_ID',
      memberId: 'ghost',
    });
  });

  it('refuses an empty group id', async () => {
    const bench = await GroupBench.open();
    expect(await bench.join({ groupId: '' }).done).toMatchObject({ error: 'INVALID_GROUP_ID' });
  });

  it.each([
    [5999, 'INVALID_SESSION_TIMEOUT'],
    [6000, 'MEMBER_ID_REQUIRED'],
    [1_800_000, 'MEMBER_ID_REQUIRED'],
    [1_800_001, 'INVALID_SESSION_TIMEOUT'],
  ])('judges a session timeout of %i ms by the limits: %s', async (sessionTimeoutMs, error) => {
    const bench = await GroupBench.open();
    expect(await bench.join({ sessionTimeoutMs }).done).toMatchObject({ error });
  });

  it('refuses a member that shares no protocol with the others, or has another type of protocols', async () => {
    const bench = await GroupBench.open();
    await bench.stableGroup(1);
    expect(await bench.join({ protocols: protocolsNamed('sticky') }).done).toMatchObject({
      error: 'INCONSISTENT_GROUP_PROTOCOL',
    });
    expect(await bench.join({ protocolType: 'connect' }).done).toMatchObject({ error: 'INCONSISTENT_GROUP_PROTOCOL' });
    expect(await bench.join({ groupId: 'new', protocols: [] }).done).toMatchObject({
      error: 'INCONSISTENT_GROUP_PROTOCOL',
    });
    expect(await bench.join({ groupId: 'new', protocolType: '' }).done).toMatchObject({
      error: 'INCONSISTENT_GROUP_PROTOCOL',
    });
    expect(bench.coordinator.list().map((group) => group.groupId)).toEqual(['g']);
  });

  it('chooses the protocol with most votes among those that all members know', async () => {
    const bench = await GroupBench.open();
    const wishes = [
      ['sticky', 'range', 'roundrobin'],
      ['roundrobin', 'range'],
      ['range', 'roundrobin'],
      ['range', 'roundrobin', 'sticky'],
    ];
    const ids: string[] = [];
    for (const _ of wishes) ids.push(await bench.newMemberId());
    const joins = wishes.map((names, index) =>
      bench.join({ memberId: ids[index]!, protocols: protocolsNamed(...names) }),
    );
    await bench.clock.advance(0);
    for (const join of joins) expect(await join.done).toMatchObject({ error: null, protocolName: 'range' });
  });

  it('tells the members to the leader alone', async () => {
    const bench = await GroupBench.open();
    const ids = [await bench.newMemberId(), await bench.newMemberId()];
    const joins = ids.map((memberId) => bench.join({ memberId }));
    await bench.clock.advance(0);
    const [leader, follower] = [await joins[0]!.done, await joins[1]!.done];
    expect(leader.members.map((member) => member.memberId)).toEqual(ids);
    expect(follower).toMatchObject({ members: [], leader: ids[0], generationId: 1 });
  });

  it('takes in as many members as group.max.size, and drops the last to rejoin', async () => {
    const bench = await GroupBench.open({ 'group.max.size': 2 });
    const ids = [await bench.newMemberId(), await bench.newMemberId(), await bench.newMemberId()];
    const joins = ids.map((memberId) => bench.join({ memberId }));
    await bench.clock.advance(0);
    expect(await joins[2]!.done).toMatchObject({ error: 'GROUP_MAX_SIZE_REACHED', memberId: '' });
    expect(await joins[1]!.done).toMatchObject({ error: null, generationId: 1 });
    await bench.stabilise(ids.slice(0, 2), 1);

    expect(await bench.join().done).toMatchObject({ error: 'GROUP_MAX_SIZE_REACHED' });
    const rejoin = bench.join({ memberId: ids[1]! });
    expect(await rejoin.done).toMatchObject({ error: null, generationId: 1 });
  });

  it('does not wait for more members by default, and waits for them as long as it is told', async () => {
    const bench = await GroupBench.open({ 'group.initial.rebalance.delay.ms': 3000 });
    const ids = [await bench.newMemberId(), await bench.newMemberId(), await bench.newMemberId()];
    const first = bench.join({ memberId: ids[0]!, rebalanceTimeoutMs: 7000 });
    await bench.clock.advance(2999);
    const second = bench.join({ memberId: ids[1]!, rebalanceTimeoutMs: 7000 });
    await bench.clock.advance(1); // the delay is over, and begins anew: one came
    expect(first.value).toBeUndefined();
    await bench.clock.advance(2999);
    const third = bench.join({ memberId: ids[2]!, rebalanceTimeoutMs: 7000 });
    await bench.clock.advance(1);
    expect(first.value).toBeUndefined();
    await bench.clock.advance(999); // 6,999 ms: no longer than the rebalance timeout of 7,000
    expect(first.value).toBeUndefined();
    await bench.clock.advance(1);
    expect([first.value, second.value, third.value].map((result) => result?.generationId)).toEqual([1, 1, 1]);
  });

  it('ends the first rebalance at its delay if nobody came', async () => {
    const bench = await GroupBench.open({ 'group.initial.rebalance.delay.ms': 3000 });
    const join = bench.join({ memberId: await bench.newMemberId() });
    await bench.clock.advance(2999);
    expect(join.value).toBeUndefined();
    await bench.clock.advance(1);
    expect(join.value).toMatchObject({ error: null, generationId: 1 });
  });

  it('forgets a pending member that does not come back within its session timeout', async () => {
    const bench = await GroupBench.open();
    const memberId = await bench.newMemberId();
    await bench.clock.advance(10_000);
    expect(await bench.join({ memberId }).done).toMatchObject({ error: 'UNKNOWN_MEMBER_ID' });
  });

  it('refuses an instance id from a pending member: only dynamic members are ever pending', async () => {
    const bench = await GroupBench.open();
    const memberId = await bench.newMemberId();
    expect(await bench.join({ memberId, groupInstanceId: 'one' }).done).toMatchObject({ error: 'UNKNOWN_MEMBER_ID' });
  });
});

describe('joining again', () => {
  it('lets a follower of a stable group with the same protocols go on without a rebalance', async () => {
    const bench = await GroupBench.open();
    const { ids } = await bench.stableGroup(2);
    expect(await bench.join({ memberId: ids[1]! }).done).toMatchObject({
      error: null,
      generationId: 1,
      leader: ids[0],
      members: [],
    });
    expect(bench.state).toBe('Stable');
  });

  it('rebalances when the leader of a stable group joins again, whatever it says', async () => {
    const bench = await GroupBench.open();
    const { ids } = await bench.stableGroup(2);
    const leader = bench.join({ memberId: ids[0]! });
    await bench.clock.advance(0);
    expect(bench.state).toBe('PreparingRebalance');
    const follower = bench.join({ memberId: ids[1]! });
    expect(await leader.done).toMatchObject({ generationId: 2, leader: ids[0] });
    expect(await follower.done).toMatchObject({ generationId: 2 });
  });

  it('rebalances when a follower changes its metadata', async () => {
    const bench = await GroupBench.open();
    const { ids } = await bench.stableGroup(2);
    const changed = [{ name: 'range', metadata: subscriptionTo('payments') }];
    const follower = bench.join({ memberId: ids[1]!, protocols: changed });
    await bench.clock.advance(0);
    expect(bench.state).toBe('PreparingRebalance');
    bench.join({ memberId: ids[0]! });
    expect(await follower.done).toMatchObject({ generationId: 2 });
  });

  it('repeats its answer to a member that lost it, as long as its metadata is the same', async () => {
    const bench = await GroupBench.open();
    const ids = [await bench.newMemberId(), await bench.newMemberId()];
    ids.forEach((memberId) => bench.join({ memberId }));
    await bench.clock.advance(0);
    expect(bench.state).toBe('CompletingRebalance');

    const again = await bench.join({ memberId: ids[0]! }).done;
    expect(again).toMatchObject({ error: null, generationId: 1 });
    expect(again.members).toHaveLength(2);

    bench.join({ memberId: ids[1]!, protocols: protocolsNamed('range', 'sticky') });
    await bench.clock.advance(0);
    expect(bench.state).toBe('PreparingRebalance');
  });

  it('refuses the older of two requests of the same member', async () => {
    const bench = await GroupBench.open();
    const { ids } = await bench.stableGroup(2);
    const older = bench.join({ memberId: ids[0]! });
    const newer = bench.join({ memberId: ids[0]! });
    await bench.clock.advance(0);
    expect(older.value).toMatchObject({ error: 'REBALANCE_IN_PROGRESS' });
    bench.join({ memberId: ids[1]! });
    expect(await newer.done).toMatchObject({ generationId: 2 });
  });
});

describe('the end of a rebalance', () => {
  it('waits for pending members too', async () => {
    const bench = await GroupBench.open();
    const { ids } = await bench.stableGroup(1);
    const pendingId = await bench.newMemberId();
    const leader = bench.join({ memberId: ids[0]! });
    await bench.clock.advance(0);
    expect(leader.value).toBeUndefined();
    const newcomer = bench.join({ memberId: pendingId });
    expect(await leader.done).toMatchObject({ generationId: 2 });
    expect(await newcomer.done).toMatchObject({ generationId: 2, leader: ids[0] });
  });

  it('comes when a pending member is given up', async () => {
    const bench = await GroupBench.open();
    const { ids } = await bench.stableGroup(1);
    await bench.newMemberId();
    const leader = bench.join({ memberId: ids[0]! });
    await bench.clock.advance(9_999);
    expect(leader.value).toBeUndefined();
    await bench.clock.advance(1);
    expect(leader.value).toMatchObject({ generationId: 2 });
  });

  it('comes at the longest rebalance timeout, drops dynamic members that did not rejoin, and elects another leader', async () => {
    const bench = await GroupBench.open();
    const { ids } = await bench.stableGroup(3, { sessionTimeoutMs: 120_000, rebalanceTimeoutMs: 30_000 });
    const [leader, second, third] = ids as [string, string, string];
    const newcomerId = await bench.newMemberId();
    const newcomer = bench.join({ memberId: newcomerId, rebalanceTimeoutMs: 20_000 });
    const rejoined = bench.join({ memberId: third });
    await bench.clock.advance(29_999);
    expect(rejoined.value).toBeUndefined();
    await bench.clock.advance(1);

    expect(rejoined.value).toMatchObject({ error: null, generationId: 2 });
    const leaders = [rejoined.value!.leader, newcomer.value!.leader];
    expect(leaders[0]).toBe(leaders[1]);
    expect([third, newcomerId]).toContain(leaders[0]);
    const told = [rejoined.value!, newcomer.value!].find((result) => result.memberId === result.leader)!;
    expect(told.members.map((member) => member.memberId).toSorted()).toEqual([third, newcomerId].toSorted());
    expect(bench.heartbeat(leader, 2)).toBe('UNKNOWN_MEMBER_ID');
    expect(bench.heartbeat(second, 2)).toBe('UNKNOWN_MEMBER_ID');
  });

  it('keeps static members that did not rejoin, without letting one lead', async () => {
    const bench = await GroupBench.open();
    const absent = bench.join({ groupInstanceId: 'one', sessionTimeoutMs: 100_000 });
    await bench.clock.advance(0);
    const absentId = (await absent.done).memberId;
    await bench.stabilise([absentId], 1);

    const newcomer = bench.join({ groupInstanceId: 'two' });
    await bench.clock.advance(60_000);

    expect(newcomer.value).toMatchObject({ error: null, generationId: 2, leader: newcomer.value!.memberId });
    expect(newcomer.value!.members.map((member) => member.groupInstanceId)).toEqual(['one', 'two']);
    expect(bench.heartbeat(absentId, 2, 'one')).toBeNull();
  });

  it('is put off while only static members are left and none rejoins; their session timeouts empty the group', async () => {
    const bench = await GroupBench.open();
    const joins = ['one', 'two'].map((groupInstanceId) =>
      bench.join({ groupInstanceId, sessionTimeoutMs: 100_000, rebalanceTimeoutMs: 60_000 }),
    );
    await bench.clock.advance(0);
    const ids = await Promise.all(joins.map(async (join) => (await join.done).memberId));
    await bench.stabilise(ids, 1);
    // A newcomer causes a rebalance and goes away at once.
    const newcomerId = await bench.newMemberId();
    bench.join({ memberId: newcomerId });
    await bench.clock.advance(0);
    bench.leave(newcomerId);
    await bench.clock.advance(60_000);
    expect(bench.state).toBe('PreparingRebalance');
    await bench.clock.advance(40_000);
    expect(bench.state).toBe('Empty');
  });
});

describe('SyncGroup', () => {
  it('parks followers until the leader has assigned, and gives those it forgot nothing', async () => {
    const bench = await GroupBench.open();
    const ids = [await bench.newMemberId(), await bench.newMemberId(), await bench.newMemberId()];
    ids.forEach((memberId) => bench.join({ memberId }));
    await bench.clock.advance(0);
    const [leader, second, third] = ids as [string, string, string];
    const early = bench.sync(second, 1);
    await bench.clock.advance(0);
    expect(early.value).toBeUndefined();

    const assignments = new Map([
      [leader, bytesOf('a')],
      [second, bytesOf('b')],
    ]);
    const leads = bench.sync(leader, 1, { assignments });
    await bench.clock.advance(0);
    expect(leads.value).toEqual({
      error: null,
      protocolType: 'consumer',
      protocolName: 'range',
      assignment: bytesOf('a'),
    });
    expect(early.value).toMatchObject({ error: null, assignment: bytesOf('b') });
    expect(await bench.sync(third, 1).done).toMatchObject({ error: null, assignment: new Uint8Array(0) });
    expect(bench.state).toBe('Stable');
  });

  it('is answered when the assignment is durable, not before', async () => {
    const bench = await GroupBench.open();
    const memberId = await bench.newMemberId();
    bench.join({ memberId });
    await bench.clock.advance(0);
    bench.log.isHeld = true;
    const sync = bench.sync(memberId, 1, { assignments: new Map([[memberId, bytesOf('a')]]) });
    await bench.clock.advance(5);
    expect(sync.value).toBeUndefined();
    expect(bench.state).toBe('CompletingRebalance');
    bench.log.sync();
    expect(await sync.done).toMatchObject({ error: null, assignment: bytesOf('a') });
    expect(bench.state).toBe('Stable');
  });

  it('answers REBALANCE_IN_PROGRESS to those who wait when a new rebalance begins, and drops the assignment under way', async () => {
    const bench = await GroupBench.open();
    const ids = [await bench.newMemberId(), await bench.newMemberId()];
    ids.forEach((memberId) => bench.join({ memberId }));
    await bench.clock.advance(0);
    bench.log.isHeld = true;
    const assignments = new Map(ids.map((id) => [id, bytesOf('stale')]));
    const syncs = ids.map((id) => bench.sync(id, 1, { assignments }));
    const newcomerId = await bench.newMemberId();
    bench.join({ memberId: newcomerId });
    await bench.clock.advance(0);
    for (const sync of syncs) expect(sync.value).toMatchObject({ error: 'REBALANCE_IN_PROGRESS' });
    expect(bench.state).toBe('PreparingRebalance');
    const rejoins = ids.map((memberId) => bench.join({ memberId }));
    await Promise.all(rejoins.map((join) => join.done));
    const waiting = bench.sync(ids[1]!, 2);
    bench.log.sync(); // the first generation's assignment becomes durable in the second
    await bench.clock.advance(0);
    expect(bench.state).toBe('CompletingRebalance');
    expect(waiting.value).toBeUndefined();
  });

  it('does not end a rebalance that began before the assignment of its generation was durable', async () => {
    const bench = await GroupBench.open();
    const { ids } = await bench.stableGroup(2);
    const joins = ids.map((memberId) => bench.join({ memberId }));
    await bench.clock.advance(0);
    const { generationId } = await joins[0]!.done;
    bench.log.isHeld = true;
    bench.sync(ids[0]!, generationId);
    await bench.clock.advance(0);
    bench.join({ memberId: await bench.newMemberId() });
    await bench.clock.advance(0);
    bench.log.sync();
    await bench.clock.advance(0);
    expect(bench.state).toBe('PreparingRebalance');
    expect(bench.heartbeat(ids[1]!, generationId)).toBe('REBALANCE_IN_PROGRESS');
  });

  it('keeps to the assignment that is on its way to the disk when the leader sends another', async () => {
    const bench = await GroupBench.open();
    const memberId = await bench.newMemberId();
    bench.join({ memberId });
    await bench.clock.advance(0);
    bench.log.isHeld = true;
    const first = bench.sync(memberId, 1, { assignments: new Map([[memberId, bytesOf('first')]]) });
    const second = bench.sync(memberId, 1, { assignments: new Map([[memberId, bytesOf('second')]]) });
    bench.log.sync();
    await bench.clock.advance(0);
    expect(first.value).toMatchObject({ error: 'REBALANCE_IN_PROGRESS' });
    expect(second.value).toMatchObject({ error: null, assignment: bytesOf('first') });
    const restarted = await bench.restart();
    expect(textOf(restarted.coordinator.describe('g').members[0]!.assignment)).toBe('first');
  });

  it('is refused in the order unknown member, fenced instance, generation, protocol', async () => {
    const bench = await GroupBench.open();
    expect(await bench.sync('m', 1).done).toMatchObject({ error: 'UNKNOWN_MEMBER_ID' });
    expect(await bench.sync('m', 1, { groupId: '' }).done).toMatchObject({ error: 'INVALID_GROUP_ID' });
    const join = bench.join({ groupInstanceId: 'one' });
    await bench.clock.advance(0);
    const { memberId } = await join.done;

    expect(await bench.sync('m', 9).done).toMatchObject({ error: 'UNKNOWN_MEMBER_ID' });
    expect(await bench.sync(memberId, 9, { groupInstanceId: 'other' }).done).toMatchObject({
      error: 'UNKNOWN_MEMBER_ID',
    });
    expect(await bench.sync('m', 9, { groupInstanceId: 'one' }).done).toMatchObject({ error: 'FENCED_INSTANCE_ID' });
    expect(await bench.sync(memberId, 9, { protocolName: 'sticky' }).done).toMatchObject({
      error: 'ILLEGAL_GENERATION',
    });
    expect(await bench.sync(memberId, 1, { protocolName: 'sticky' }).done).toMatchObject({
      error: 'INCONSISTENT_GROUP_PROTOCOL',
    });
    expect(await bench.sync(memberId, 1, { protocolType: 'connect' }).done).toMatchObject({
      error: 'INCONSISTENT_GROUP_PROTOCOL',
    });
    const right = bench.sync(memberId, 1, { protocolName: 'range', protocolType: 'consumer', groupInstanceId: 'one' });
    expect(await right.done).toMatchObject({ error: null });
  });

  it('is refused with REBALANCE_IN_PROGRESS while members join', async () => {
    const bench = await GroupBench.open();
    const { ids } = await bench.stableGroup(2);
    bench.join({ memberId: ids[0]! });
    await bench.clock.advance(0);
    expect(await bench.sync(ids[1]!, 1).done).toMatchObject({ error: 'REBALANCE_IN_PROGRESS' });
  });

  it('drops members that join and never sync, at the rebalance timeout', async () => {
    const bench = await GroupBench.open();
    const ids = [await bench.newMemberId(), await bench.newMemberId()];
    ids.forEach((memberId) => bench.join({ memberId, sessionTimeoutMs: 120_000, rebalanceTimeoutMs: 20_000 }));
    await bench.clock.advance(0);
    const leads = bench.sync(ids[0]!, 1);
    await bench.clock.advance(19_999);
    expect(leads.value).toMatchObject({ error: null });
    expect(bench.state).toBe('Stable');
    await bench.clock.advance(1);
    expect(bench.state).toBe('PreparingRebalance');
    expect(bench.heartbeat(ids[1]!, 1)).toBe('UNKNOWN_MEMBER_ID');
    const rejoin = bench.join({ memberId: ids[0]! });
    expect(await rejoin.done).toMatchObject({ generationId: 2 });
  });

  it('tells the members when an assignment is too large to be stored, and lets them try again', async () => {
    const bench = await GroupBench.open();
    const memberId = await bench.newMemberId();
    bench.join({ memberId });
    await bench.clock.advance(0);
    bench.log.nextFailure = Object.assign(new Error('too large'), { code: 'MESSAGE_TOO_LARGE' });
    expect(await bench.sync(memberId, 1).done).toMatchObject({ error: 'UNKNOWN_SERVER_ERROR' });
    const rejoin = bench.join({ memberId });
    expect(await rejoin.done).toMatchObject({ generationId: 2 });
    expect(await bench.sync(memberId, 2).done).toMatchObject({ error: null });
  });
});

describe('heartbeats', () => {
  it('keep a member, and without them it is gone at its session timeout', async () => {
    const bench = await GroupBench.open();
    const { ids } = await bench.stableGroup(1);
    for (let beat = 0; beat < 5; beat++) {
      await bench.clock.advance(9_999);
      expect(bench.heartbeat(ids[0]!, 1)).toBeNull();
    }
    await bench.clock.advance(9_999);
    expect(bench.state).toBe('Stable');
    await bench.clock.advance(1);
    expect(bench.state).toBe('Empty');
    expect(bench.heartbeat(ids[0]!, 1)).toBe('UNKNOWN_MEMBER_ID');
  });

  it('are refused in the order unknown member, fenced instance, generation', async () => {
    const bench = await GroupBench.open();
    expect(bench.coordinator.heartbeat({ groupId: '', memberId: 'm', generationId: 1, groupInstanceId: null })).toBe(
      'INVALID_GROUP_ID',
    );
    expect(bench.heartbeat('m', 1)).toBe('UNKNOWN_MEMBER_ID');
    const join = bench.join({ groupInstanceId: 'one' });
    await bench.clock.advance(0);
    const { memberId } = await join.done;
    expect(bench.heartbeat('m', 9)).toBe('UNKNOWN_MEMBER_ID');
    expect(bench.heartbeat('m', 9, 'one')).toBe('FENCED_INSTANCE_ID');
    expect(bench.heartbeat(memberId, 9, 'one')).toBe('ILLEGAL_GENERATION');
    expect(bench.heartbeat(memberId, 1, 'one')).toBeNull();
  });

  it('say REBALANCE_IN_PROGRESS while members join, and still keep the member', async () => {
    const bench = await GroupBench.open();
    const { ids } = await bench.stableGroup(2);
    bench.join({ memberId: ids[0]! });
    await bench.clock.advance(9_000);
    expect(bench.heartbeat(ids[1]!, 1)).toBe('REBALANCE_IN_PROGRESS');
    await bench.clock.advance(9_999);
    expect(bench.coordinator.describe('g').members).toHaveLength(2);
    await bench.clock.advance(1);
    expect(bench.coordinator.describe('g').members).toHaveLength(1);
  });

  it('are well while members sync', async () => {
    const bench = await GroupBench.open();
    const memberId = await bench.newMemberId();
    bench.join({ memberId });
    await bench.clock.advance(9_000);
    expect(bench.state).toBe('CompletingRebalance');
    expect(bench.heartbeat(memberId, 1)).toBeNull();
    await bench.clock.advance(9_000);
    expect(bench.state).toBe('CompletingRebalance');
  });

  it('are not asked of members whose request is parked, but are again from its answer on', async () => {
    const bench = await GroupBench.open();
    const { ids } = await bench.stableGroup(2);
    const parked = bench.join({ memberId: ids[0]! });
    for (let beat = 0; beat < 5; beat++) {
      await bench.clock.advance(9_000);
      bench.heartbeat(ids[1]!, 1);
    }
    bench.join({ memberId: ids[1]! });
    expect(await parked.done).toMatchObject({ error: null, generationId: 2 });

    const waiting = bench.sync(ids[1]!, 2);
    for (let beat = 0; beat < 5; beat++) {
      await bench.clock.advance(9_000);
      bench.heartbeat(ids[0]!, 2);
    }
    expect(waiting.value).toBeUndefined();
    await bench.stabilise([ids[0]!], 2);
    expect(await waiting.done).toMatchObject({ error: null });
    await bench.clock.advance(9_999);
    expect(bench.heartbeat(ids[0]!, 2)).toBeNull();
    await bench.clock.advance(1);
    expect(bench.state).toBe('PreparingRebalance');
    expect(bench.heartbeat(ids[1]!, 2)).toBe('UNKNOWN_MEMBER_ID');
  });

  it('are asked again after a join that took longer than the session timeout', async () => {
    const bench = await GroupBench.open();
    const { ids } = await bench.stableGroup(2);
    const parked = bench.join({ memberId: ids[0]! });
    await bench.clock.advance(9_000);
    bench.heartbeat(ids[1]!, 1);
    await bench.clock.advance(9_000);
    bench.join({ memberId: ids[1]! });
    await parked.done;
    await bench.clock.advance(9_999);
    expect(bench.coordinator.describe('g').members).toHaveLength(2);
    await bench.clock.advance(1);
    expect(bench.state).toBe('Empty');
  });

  it('cannot come from a new member, so it is given up after five minutes of waiting', async () => {
    const bench = await GroupBench.open({ 'group.max.session.timeout.ms': 3_600_000 });
    const { ids } = await bench.stableGroup(1, { sessionTimeoutMs: 3_600_000, rebalanceTimeoutMs: 3_600_000 });
    const newcomer = bench.join({ memberId: await bench.newMemberId() });
    await bench.clock.advance(299_999);
    expect(newcomer.value).toBeUndefined();
    await bench.clock.advance(1);
    expect(newcomer.value).toMatchObject({ error: 'UNKNOWN_MEMBER_ID', memberId: '' });
    expect(bench.heartbeat(ids[0]!, 1)).toBe('REBALANCE_IN_PROGRESS');
  });

  it('are asked again of a member whose client goes away while it waits', async () => {
    const bench = await GroupBench.open();
    const { ids } = await bench.stableGroup(1, { sessionTimeoutMs: 100_000, rebalanceTimeoutMs: 100_000 });
    let goAway = (): void => {};
    const newcomer = bench.join({
      memberId: await bench.newMemberId(),
      onGone: (listener) => {
        goAway = listener;
        return () => {};
      },
    });
    await bench.clock.advance(30_000);
    expect(newcomer.value).toBeUndefined();
    goAway();
    await bench.clock.advance(9_999);
    expect(bench.coordinator.describe('g').members).toHaveLength(2);
    await bench.clock.advance(1);
    expect(bench.coordinator.describe('g').members.map((member) => member.memberId)).toEqual(ids);
  });
});

describe('leaving', () => {
  it('rebalances those who stay, and empties the group when the last goes', async () => {
    const bench = await GroupBench.open();
    const { ids } = await bench.stableGroup(2);
    expect(bench.leave(ids[0]!)).toEqual([null]);
    expect(bench.state).toBe('PreparingRebalance');
    const rejoin = bench.join({ memberId: ids[1]! });
    expect(await rejoin.done).toMatchObject({ generationId: 2, leader: ids[1] });
    expect(bench.leave(ids[1]!)).toEqual([null]);
    expect(bench.state).toBe('Empty');
    expect(bench.leave(ids[1]!)).toEqual(['UNKNOWN_MEMBER_ID']);
  });

  it('judges each of several members on its own', async () => {
    const bench = await GroupBench.open();
    const { ids } = await bench.stableGroup(3);
    expect(bench.leave(ids[0]!, 'ghost', ids[1]!)).toEqual([null, 'UNKNOWN_MEMBER_ID', null]);
    expect(bench.coordinator.describe('g').members.map((member) => member.memberId)).toEqual([ids[2]]);
  });

  it('answers UNKNOWN_MEMBER_ID for each member of a group that does not exist, and refuses an empty id', async () => {
    const bench = await GroupBench.open();
    expect(bench.leave('a', 'b')).toEqual(['UNKNOWN_MEMBER_ID', 'UNKNOWN_MEMBER_ID']);
    expect(() => bench.coordinator.leave('', [])).toThrow(expect.objectContaining({ code: 'INVALID_GROUP_ID' }));
  });

  it('of a pending member lets the others go on', async () => {
    const bench = await GroupBench.open();
    const { ids } = await bench.stableGroup(1);
    const pendingId = await bench.newMemberId();
    expect(bench.leave(pendingId)).toEqual([null]);
    expect(bench.state).toBe('Stable');

    const otherPendingId = await bench.newMemberId();
    const rejoin = bench.join({ memberId: ids[0]! });
    await bench.clock.advance(0);
    expect(rejoin.value).toBeUndefined();
    expect(bench.leave(otherPendingId)).toEqual([null]);
    expect(await rejoin.done).toMatchObject({ generationId: 2 });
  });

  it('answers what the member waits for', async () => {
    const bench = await GroupBench.open();
    const ids = [await bench.newMemberId(), await bench.newMemberId()];
    ids.forEach((memberId) => bench.join({ memberId }));
    await bench.clock.advance(0);
    const sync = bench.sync(ids[1]!, 1);
    bench.leave(ids[1]!);
    expect(await sync.done).toMatchObject({ error: 'UNKNOWN_MEMBER_ID' });
    const join = bench.join({ memberId: ids[0]! });
    expect(await join.done).toMatchObject({ generationId: 2 });
  });

  it('removes a static member by its instance id alone, for operators', async () => {
    const bench = await GroupBench.open();
    const join = bench.join({ groupInstanceId: 'one' });
    await bench.clock.advance(0);
    const { memberId } = await join.done;
    const leave = (id: string, groupInstanceId: string | null): (string | null)[] =>
      bench.coordinator.leave('g', [{ memberId: id, groupInstanceId, reason: null }]).map((result) => result.error);
    expect(leave('', 'two')).toEqual(['UNKNOWN_MEMBER_ID']);
    expect(leave('', null)).toEqual(['UNKNOWN_MEMBER_ID']);
    expect(leave('ghost', 'one')).toEqual(['FENCED_INSTANCE_ID']);
    expect(leave('', 'one')).toEqual([null]);
    expect(bench.heartbeat(memberId, 1, 'one')).toBe('UNKNOWN_MEMBER_ID');
    expect(bench.state).toBe('Empty');
  });
});

describe('static members', () => {
  const stable = async (count: number): Promise<{ bench: GroupBench; ids: string[] }> => {
    const bench = await GroupBench.open();
    const joins = Array.from({ length: count }, (_, index) => bench.join({ groupInstanceId: `i${index}` }));
    await bench.clock.advance(0);
    const ids = await Promise.all(joins.map(async (join) => (await join.done).memberId));
    await bench.stabilise(ids, 1);
    return { bench, ids };
  };

  it('join without the detour for an id, under one that begins with their instance id', async () => {
    const bench = await GroupBench.open();
    const join = bench.join({ groupInstanceId: 'one' });
    await bench.clock.advance(0);
    const result = await join.done;
    expect(result).toMatchObject({ error: null, generationId: 1 });
    expect(result.memberId).toMatch(/^one-/);
    expect(result.members).toMatchObject([{ groupInstanceId: 'one' }]);
  });

  it('come back under a new id without a rebalance, with their assignment, and fence the old id', async () => {
    const { bench, ids } = await stable(2);
    const back = await bench.join({ groupInstanceId: 'i1' }).done;
    expect(back).toMatchObject({ error: null, generationId: 1, leader: ids[0], members: [], skipAssignment: false });
    expect(back.memberId).not.toBe(ids[1]);
    expect(bench.state).toBe('Stable');
    expect(textOf((await bench.sync(back.memberId, 1, { groupInstanceId: 'i1' }).done).assignment)).toBe(
      `for ${ids[1]}`,
    );
    expect(bench.heartbeat(ids[1]!, 1, 'i1')).toBe('FENCED_INSTANCE_ID');
    expect(bench.heartbeat(ids[1]!, 1)).toBe('UNKNOWN_MEMBER_ID');
    expect(bench.heartbeat(back.memberId, 1, 'i1')).toBeNull();
    expect(await bench.join({ memberId: ids[1]!, groupInstanceId: 'i1' }).done).toMatchObject({
      error: 'FENCED_INSTANCE_ID',
    });
  });

  it('that lead are told the members, and to skip the assignment; older clients hear that another leads', async () => {
    const { bench, ids } = await stable(2);
    const back = await bench.join({ groupInstanceId: 'i0' }).done;
    expect(back).toMatchObject({ error: null, skipAssignment: true, leader: back.memberId });
    expect(back.members.map((member) => member.memberId)).toEqual([ids[1], back.memberId]);

    const older = await bench.join({ groupInstanceId: 'i0', supportsSkippingAssignment: false }).done;
    expect(older).toMatchObject({ error: null, skipAssignment: false, leader: back.memberId, members: [] });
    expect(older.memberId).not.toBe(back.memberId);
  });

  it('are answered when their new id is durable: a crash knows the one that was answered', async () => {
    const { bench, ids } = await stable(1);
    bench.log.isHeld = true;
    bench.log.sync();
    const back = bench.join({ groupInstanceId: 'i0' });
    await bench.clock.advance(0);
    expect(back.value).toBeUndefined();
    const before = await bench.restart();
    expect(before.coordinator.describe('g').members.map((member) => member.memberId)).toEqual(ids);
    bench.log.sync();
    const { memberId } = await back.done;
    const after = await bench.restart();
    expect(after.coordinator.describe('g').members.map((member) => member.memberId)).toEqual([memberId]);
    expect(after.heartbeat(memberId, 1, 'i0')).toBeNull();
  });

  it('rebalance when the protocol of the group would change with them', async () => {
    const bench = await GroupBench.open();
    const joins = ['i0', 'i1'].map((groupInstanceId) =>
      bench.join({ groupInstanceId, protocols: protocolsNamed('range', 'sticky') }),
    );
    await bench.clock.advance(0);
    const ids = await Promise.all(joins.map(async (join) => (await join.done).memberId));
    await bench.stabilise(ids, 1);
    const back = bench.join({ groupInstanceId: 'i1', protocols: protocolsNamed('sticky') });
    await bench.clock.advance(0);
    expect(bench.state).toBe('PreparingRebalance');
    bench.join({ memberId: ids[0]!, groupInstanceId: 'i0', protocols: protocolsNamed('range', 'sticky') });
    expect(await back.done).toMatchObject({ generationId: 2, protocolName: 'sticky' });
  });

  it('rebalance while the leader may be assigning to the old id', async () => {
    const bench = await GroupBench.open();
    const joins = ['i0', 'i1'].map((groupInstanceId) => bench.join({ groupInstanceId }));
    await bench.clock.advance(0);
    const ids = await Promise.all(joins.map(async (join) => (await join.done).memberId));
    const waiting = bench.sync(ids[1]!, 1);
    const back = bench.join({ groupInstanceId: 'i1' });
    await bench.clock.advance(0);
    expect(waiting.value).toMatchObject({ error: 'FENCED_INSTANCE_ID' });
    expect(bench.state).toBe('PreparingRebalance');
    bench.join({ memberId: ids[0]!, groupInstanceId: 'i0' });
    expect(await back.done).toMatchObject({ generationId: 2 });
  });

  it('take the place of a predecessor that waits for the same rebalance', async () => {
    const { bench, ids } = await stable(2);
    const predecessor = bench.join({ memberId: ids[0]!, groupInstanceId: 'i0' });
    await bench.clock.advance(0);
    const back = bench.join({ groupInstanceId: 'i0' });
    await bench.clock.advance(0);
    expect(predecessor.value).toMatchObject({ error: 'FENCED_INSTANCE_ID', memberId: ids[0] });
    bench.join({ memberId: ids[1]!, groupInstanceId: 'i1' });
    expect(await back.done).toMatchObject({ generationId: 2, leader: back.value!.memberId });
  });

  it('are not answered with a generation that is over when a rebalance begins before their new id is durable', async () => {
    const { bench, ids } = await stable(3);
    bench.log.isHeld = true;
    const back = bench.join({ groupInstanceId: 'i1' });
    bench.join({ memberId: ids[0]!, groupInstanceId: 'i0' });
    await bench.clock.advance(0);
    expect(bench.state).toBe('PreparingRebalance');
    bench.log.sync();
    await bench.clock.advance(0);
    expect(back.value).toBeUndefined();
    bench.join({ memberId: ids[2]!, groupInstanceId: 'i2' });
    expect(await back.done).toMatchObject({ error: null, generationId: 2 });
  });

  it('that come back before their predecessor has synced have to sync in its stead', async () => {
    const bench = await GroupBench.open();
    const joins = ['i0', 'i1'].map((groupInstanceId) =>
      bench.join({ groupInstanceId, sessionTimeoutMs: 120_000, rebalanceTimeoutMs: 20_000 }),
    );
    await bench.clock.advance(0);
    const ids = await Promise.all(joins.map(async (join) => (await join.done).memberId));
    await bench.sync(ids[0]!, 1, { groupInstanceId: 'i0' }).done;
    const back = await bench.join({ groupInstanceId: 'i1', sessionTimeoutMs: 120_000 }).done;
    expect(back).toMatchObject({ error: null, generationId: 1 });
    await bench.clock.advance(20_000);
    expect(bench.coordinator.describe('g').members.map((member) => member.groupInstanceId)).toEqual(['i0']);
  });

  it('whose new id takes longer to be durable than their session lasts have a session from the answer on', async () => {
    const { bench, ids } = await stable(2);
    bench.log.isHeld = true;
    const back = bench.join({ groupInstanceId: 'i1' });
    for (let waitedMs = 0; waitedMs < 12_000; waitedMs += 6000) {
      await bench.clock.advance(6000);
      expect(bench.heartbeat(ids[0]!, 1, 'i0')).toBeNull();
    }
    bench.log.sync();
    expect(await back.done).toMatchObject({ error: null, generationId: 1 });
    await bench.clock.advance(9000);
    expect(bench.heartbeat(ids[0]!, 1, 'i0')).toBeNull();
    expect(bench.coordinator.describe('g').members).toHaveLength(2);
    await bench.clock.advance(1000);
    expect(bench.coordinator.describe('g').members).toHaveLength(1);
  });

  it('are gone at their session timeout like all others', async () => {
    const { bench, ids } = await stable(1);
    await bench.clock.advance(10_000);
    expect(bench.heartbeat(ids[0]!, 1, 'i0')).toBe('UNKNOWN_MEMBER_ID');
    expect(bench.state).toBe('Empty');
  });
});

describe('closing', () => {
  it('answers what is parked and leaves no timer', async () => {
    const bench = await GroupBench.open();
    const { ids } = await bench.stableGroup(2);
    const join = bench.join({ memberId: ids[0]! });
    await bench.clock.advance(0);
    bench.coordinator.close();
    expect(await join.done).toMatchObject({ error: 'COORDINATOR_NOT_AVAILABLE' });
    expect(bench.clock.pendingCount).toBe(0);
    expect(await bench.join().done).toMatchObject({ error: 'COORDINATOR_NOT_AVAILABLE' });
    expect(await bench.sync(ids[1]!, 1).done).toMatchObject({ error: 'COORDINATOR_NOT_AVAILABLE' });
  });

  it('for good: what comes or fails later is refused, and sets no timer', async () => {
    const bench = await GroupBench.open();
    const { ids } = await bench.stableGroup(2);
    const joins = ids.map((memberId) => bench.join({ memberId }));
    await bench.clock.advance(0);
    expect((await joins[0]!.done).generationId).toBe(2);
    bench.log.isHeld = true;
    const sync = bench.sync(ids[0]!, 2);
    await bench.clock.advance(0);
    bench.coordinator.close();
    bench.log.fail(new Error('the disk failed'));
    expect(await sync.done).toMatchObject({ error: 'COORDINATOR_NOT_AVAILABLE' });
    await bench.clock.advance(0);
    expect(bench.heartbeat(ids[0]!, 2)).toBe('COORDINATOR_NOT_AVAILABLE');
    const records = bench.log.records.length;
    expect(() => bench.leave(ids[0]!)).toThrow(expect.objectContaining({ code: 'COORDINATOR_NOT_AVAILABLE' }));
    expect([bench.clock.pendingCount, bench.log.records.length]).toEqual([0, records]);
  });
});

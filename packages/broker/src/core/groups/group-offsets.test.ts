import { describe, expect, it } from 'vitest';
import { GroupBench, subscriptionTo } from '../testing/group-bench.ts';
import { MemoryCoordinatorLog } from '../testing/memory-coordinator-log.ts';

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;

const refusal = (code: string): unknown => expect.objectContaining({ code });

describe('committing offsets', () => {
  it('without a group makes one that only stores offsets', async () => {
    const bench = await GroupBench.open();
    expect(await bench.commit([{ partition: 1, offset: 5, leaderEpoch: 3, metadata: 'm' }])).toEqual([null]);
    expect(bench.coordinator.list()).toEqual([{ groupId: 'g', protocolType: '', state: 'Empty', type: 'classic' }]);
    expect(await bench.coordinator.fetchOffsets({ groupId: 'g', partitions: null, requiresStable: false })).toEqual([
      { topic: 'orders', partition: 1, error: null, offset: 5, leaderEpoch: 3, metadata: 'm' },
    ]);
  });

  it('makes the log when the first commit comes', async () => {
    const bench = await GroupBench.open({}, new MemoryCoordinatorLog({ isOpen: false }));
    expect(await bench.commit([{ offset: 5 }])).toEqual([null]);
    expect(bench.log.isOpen).toBe(true);
  });

  it('is answered when it is durable, and so is who reads the offset', async () => {
    const bench = await GroupBench.open();
    await bench.commit([{ offset: 1 }]);
    bench.log.isHeld = true;
    bench.log.sync();
    let isAnswered = false;
    const commit = bench.commit([{ offset: 2 }]).then(() => (isAnswered = true));
    let read: (number | string)[] | undefined;
    const reading = bench.committed(0).then((offsets) => (read = offsets));
    await bench.clock.advance(10);
    expect([isAnswered, read]).toEqual([false, undefined]);
    const afterCrash = await bench.restart();
    expect(await afterCrash.committed(0)).toEqual([1]);

    bench.log.sync();
    await Promise.all([commit, reading]);
    expect(read).toEqual([2]);
  });

  it('as no member is for empty groups only', async () => {
    const bench = await GroupBench.open();
    await bench.stableGroup(1);
    await expect(bench.commit([{ offset: 1 }])).rejects.toEqual(refusal('UNKNOWN_MEMBER_ID'));
  });

  it('of a generation of a group that does not exist is told by version: GROUP_ID_NOT_FOUND, before ILLEGAL_GENERATION', async () => {
    const bench = await GroupBench.open();
    const generation = { generationId: 1, memberId: 'm' };
    await expect(bench.commit([{}], generation)).rejects.toEqual(refusal('GROUP_ID_NOT_FOUND'));
    await expect(bench.commit([{}], { ...generation, tellsGroupNotFound: false })).rejects.toEqual(
      refusal('ILLEGAL_GENERATION'),
    );
  });

  it('is refused in the order fenced instance, unknown member, generation', async () => {
    const bench = await GroupBench.open();
    const join = bench.join({ groupInstanceId: 'one' });
    await bench.clock.advance(0);
    const { memberId } = await join.done;
    await bench.stabilise([memberId], 1);
    const commit = (member: object): Promise<unknown> => bench.commit([{ offset: 1 }], member);
    await expect(commit({ generationId: 9, memberId: 'x', groupInstanceId: 'one' })).rejects.toEqual(
      refusal('FENCED_INSTANCE_ID'),
    );
    await expect(commit({ generationId: 9, memberId: 'x' })).rejects.toEqual(refusal('UNKNOWN_MEMBER_ID'));
    await expect(commit({ generationId: 9, memberId })).rejects.toEqual(refusal('ILLEGAL_GENERATION'));
    await expect(commit({ generationId: -1, memberId })).rejects.toEqual(refusal('ILLEGAL_GENERATION'));
    expect(await commit({ generationId: 1, memberId, groupInstanceId: 'one' })).toEqual([null]);
  });

  it('is let pass while members join, and refused while they sync', async () => {
    const bench = await GroupBench.open();
    const { ids } = await bench.stableGroup(2);
    bench.join({ memberId: ids[0]! });
    await bench.clock.advance(0);
    expect(bench.state).toBe('PreparingRebalance');
    expect(await bench.commit([{ offset: 1 }], { generationId: 1, memberId: ids[1]! })).toEqual([null]);
    await bench.join({ memberId: ids[1]! }).done;
    expect(bench.state).toBe('CompletingRebalance');
    await expect(bench.commit([{ offset: 1 }], { generationId: 2, memberId: ids[1]! })).rejects.toEqual(
      refusal('REBALANCE_IN_PROGRESS'),
    );
  });

  it('shows that the member lives', async () => {
    const bench = await GroupBench.open();
    const { ids } = await bench.stableGroup(1);
    await bench.clock.advance(9_000);
    await bench.commit([{ offset: 1 }], { generationId: 1, memberId: ids[0]! });
    await bench.clock.advance(9_999);
    expect(bench.state).toBe('Stable');
    await bench.clock.advance(1);
    expect(bench.state).toBe('Empty');
  });

  it('judges each partition on its own: one that does not exist, metadata that is too long', async () => {
    const bench = await GroupBench.open({ 'offset.metadata.max.bytes': 10 });
    const results = await bench.commit([
      { partition: 0, offset: 1, metadata: 'm'.repeat(10) },
      { partition: 1, offset: 1, metadata: 'm'.repeat(11) },
      { partition: 2, offset: 1, metadata: null },
      { partition: 4, offset: 1 },
      { topic: 'unknown', offset: 1 },
    ]);
    expect(results).toEqual([
      null,
      'OFFSET_METADATA_TOO_LARGE',
      null,
      'UNKNOWN_TOPIC_OR_PARTITION',
      'UNKNOWN_TOPIC_OR_PARTITION',
    ]);
    expect(await bench.committed(0, 1, 2)).toEqual([1, -1, 1]);
  });

  it('changes nothing where the offsets do not fit one batch', async () => {
    const bench = await GroupBench.open();
    bench.log.nextFailure = Object.assign(new Error('too large'), { code: 'MESSAGE_TOO_LARGE' });
    await expect(bench.commit([{ offset: 1 }])).rejects.toEqual(refusal('INVALID_COMMIT_OFFSET_SIZE'));
    expect(await bench.committed(0)).toEqual([-1]);
  });
});

describe('fetching offsets', () => {
  it('of a group that does not exist is no error: nothing is committed', async () => {
    const bench = await GroupBench.open();
    const partitions = [{ topic: 'orders', partition: 0 }];
    expect(await bench.coordinator.fetchOffsets({ groupId: 'nobody', partitions, requiresStable: true })).toEqual([
      { topic: 'orders', partition: 0, error: null, offset: -1, leaderEpoch: -1, metadata: '' },
    ]);
    expect(await bench.coordinator.fetchOffsets({ groupId: 'nobody', partitions: null, requiresStable: true })).toEqual(
      [],
    );
  });
});

describe('offsets in transactions', () => {
  it('are invisible until the marker, and unstable for who asks for stable ones', async () => {
    const bench = await GroupBench.open();
    await bench.commit([{ partition: 0, offset: 1 }]);
    await bench.commitInTransaction(7, [
      { partition: 0, offset: 2 },
      { partition: 1, offset: 3 },
    ]);
    const fetch = async (requiresStable: boolean, partitions: { topic: string; partition: number }[] | null) =>
      (await bench.coordinator.fetchOffsets({ groupId: 'g', partitions, requiresStable })).map(({ offset, error }) => [
        offset,
        error,
      ]);
    const both = [0, 1].map((partition) => ({ topic: 'orders', partition }));
    expect(await fetch(false, both)).toEqual([
      [1, null],
      [-1, null],
    ]);
    expect(await fetch(true, both)).toEqual([
      [-1, 'UNSTABLE_OFFSET_COMMIT'],
      [-1, 'UNSTABLE_OFFSET_COMMIT'],
    ]);
    expect(await fetch(true, null)).toEqual([[-1, 'UNSTABLE_OFFSET_COMMIT']]);
    bench.endTransaction(7, true);
    expect(await fetch(true, both)).toEqual([
      [2, null],
      [3, null],
    ]);
  });

  it('are gone when the transaction is aborted', async () => {
    const bench = await GroupBench.open();
    await bench.commit([{ offset: 1 }]);
    await bench.commitInTransaction(7, [{ offset: 2 }]);
    bench.endTransaction(7, false);
    expect(await bench.committed(0)).toEqual([1]);
  });

  it('yield to a plain commit that came after them', async () => {
    const bench = await GroupBench.open();
    await bench.commitInTransaction(7, [{ offset: 2 }]);
    await bench.commit([{ offset: 9 }]);
    bench.endTransaction(7, true);
    expect(await bench.committed(0)).toEqual([9]);
  });

  it('of one producer do not settle those of another, nor those in another partition of the log', async () => {
    const bench = await GroupBench.open();
    await bench.commitInTransaction(7, [{ partition: 0, offset: 7 }]);
    await bench.commitInTransaction(8, [{ partition: 1, offset: 8 }]);
    bench.endTransaction(8, true);
    expect(await bench.committed(0, 1)).toEqual(['UNSTABLE_OFFSET_COMMIT', 8]);
    const elsewhere = ['h', 'i', 'j', 'k'].find((id) => bench.log.partitionOf(id) !== bench.log.partitionOf('g'))!;
    bench.endTransaction(7, true, elsewhere);
    expect(await bench.committed(0)).toEqual(['UNSTABLE_OFFSET_COMMIT']);
    bench.endTransaction(7, true);
    expect(await bench.committed(0)).toEqual([7]);
  });

  it('are shown when their marker is durable', async () => {
    const bench = await GroupBench.open();
    await bench.commitInTransaction(7, [{ offset: 2 }]);
    bench.log.isHeld = true;
    bench.log.sync();
    bench.endTransaction(7, true);
    let read: (number | string)[] | undefined;
    const reading = bench.committed(0).then((offsets) => (read = offsets));
    await bench.clock.advance(10);
    expect(read).toBeUndefined();
    bench.log.sync();
    await reading;
    expect(read).toEqual([2]);
  });

  it('hold to member and generation only who gives them', async () => {
    const bench = await GroupBench.open();
    await expect(bench.commitInTransaction(7, [{}], { groupId: '' })).rejects.toEqual(refusal('INVALID_GROUP_ID'));
    await expect(bench.commitInTransaction(7, [{}], { generationId: 1, memberId: 'm' })).rejects.toEqual(
      refusal('ILLEGAL_GENERATION'),
    );
    const { ids } = await bench.stableGroup(1);
    const memberId = ids[0]!;
    expect(await bench.commitInTransaction(7, [{ offset: 1 }])).toEqual([null]);
    await expect(bench.commitInTransaction(7, [{}], { generationId: 1, memberId: 'x' })).rejects.toEqual(
      refusal('UNKNOWN_MEMBER_ID'),
    );
    await expect(bench.commitInTransaction(7, [{}], { generationId: 2, memberId })).rejects.toEqual(
      refusal('ILLEGAL_GENERATION'),
    );
    await expect(bench.commitInTransaction(7, [{}], { generationId: 2 })).rejects.toEqual(refusal('UNKNOWN_MEMBER_ID'));
    expect(await bench.commitInTransaction(7, [{ offset: 1 }], { generationId: 1, memberId })).toEqual([null]);
  });

  it('are taken during a rebalance: the generation is what fences', async () => {
    const bench = await GroupBench.open();
    const memberId = await bench.newMemberId();
    bench.join({ memberId });
    await bench.clock.advance(0);
    expect(bench.state).toBe('CompletingRebalance');
    expect(await bench.commitInTransaction(7, [{ offset: 1 }], { generationId: 1, memberId })).toEqual([null]);
  });
});

describe('expiry', () => {
  const checks = { 'offsets.retention.minutes': 60, 'offsets.retention.check.interval.ms': minuteMs };

  it('drops offsets of a group that has been empty for the retention, counted from when it became empty', async () => {
    const bench = await GroupBench.open(checks);
    const { ids } = await bench.stableGroup(1, { sessionTimeoutMs: 1_800_000 });
    await bench.commit([{ offset: 1 }], { generationId: 1, memberId: ids[0]! });
    for (let beat = 0; beat < 10; beat++) {
      await bench.clock.advance(20 * minuteMs);
      expect(bench.heartbeat(ids[0]!, 1)).toBeNull();
    }
    expect(await bench.committed(0)).toEqual([1]);
    bench.leave(ids[0]!);
    await bench.clock.advance(59 * minuteMs);
    expect(await bench.committed(0)).toEqual([1]);
    await bench.clock.advance(minuteMs);
    expect(await bench.committed(0)).toEqual([-1]);
    expect(bench.coordinator.list()).toEqual([]);
    expect((await bench.restart()).coordinator.list()).toEqual([]);
  });

  it('is after seven days by default, looked at every ten minutes', async () => {
    const bench = await GroupBench.open();
    await bench.commit([{ offset: 1 }]);
    await bench.clock.advance(7 * dayMs - 1);
    expect(await bench.committed(0)).toEqual([1]);
    await bench.clock.advance(1);
    expect(await bench.committed(0)).toEqual([-1]);
  });

  it('counts from the commit in groups that only store offsets, each for itself', async () => {
    const bench = await GroupBench.open(checks);
    await bench.commit([{ partition: 0, offset: 1 }]);
    await bench.clock.advance(30 * minuteMs);
    await bench.commit([{ partition: 1, offset: 2 }]);
    await bench.clock.advance(30 * minuteMs);
    expect(await bench.committed(0, 1)).toEqual([-1, 2]);
    await bench.clock.advance(30 * minuteMs);
    expect(bench.coordinator.list()).toEqual([]);
  });

  it('of a stable group of consumers is of topics that nobody subscribes to any longer', async () => {
    const bench = await GroupBench.open(checks);
    const { ids } = await bench.stableGroup(1, { sessionTimeoutMs: 1_800_000 });
    const memberId = ids[0]!;
    await bench.commit([{ offset: 1 }, { topic: 'payments', offset: 2 }], { generationId: 1, memberId });
    for (let beat = 0; beat < 6; beat++) {
      await bench.clock.advance(10 * minuteMs);
      bench.heartbeat(memberId, 1);
    }
    const fetched = await bench.coordinator.fetchOffsets({ groupId: 'g', partitions: null, requiresStable: true });
    expect(fetched.map(({ topic, offset }) => [topic, offset])).toEqual([['orders', 1]]);
  });

  it('never touches a group at work whose subscriptions are not known', async () => {
    const bench = await GroupBench.open(checks);
    const protocols = [{ name: 'range', metadata: new Uint8Array([1]) }];
    const { ids } = await bench.stableGroup(1, { sessionTimeoutMs: 1_800_000, protocols });
    await bench.commit([{ topic: 'payments', offset: 2 }], { generationId: 1, memberId: ids[0]! });
    for (let beat = 0; beat < 20; beat++) {
      await bench.clock.advance(10 * minuteMs);
      bench.heartbeat(ids[0]!, 1);
    }
    const fetched = await bench.coordinator.fetchOffsets({ groupId: 'g', partitions: null, requiresStable: true });
    expect(fetched).toHaveLength(1);
  });

  it('waits for the end of a transaction', async () => {
    const bench = await GroupBench.open(checks);
    await bench.commit([{ offset: 1 }]);
    await bench.commitInTransaction(7, [{ offset: 2 }]);
    await bench.clock.advance(120 * minuteMs);
    bench.endTransaction(7, false);
    expect(await bench.committed(0)).toEqual([1]);
    await bench.clock.advance(minuteMs);
    expect(await bench.committed(0)).toEqual([-1]);
  });

  it('leaves a group alone that has nothing but offsets of an open transaction', async () => {
    const bench = await GroupBench.open();
    await bench.commitInTransaction(7, [{ offset: 9 }]);
    await bench.clock.advance(10 * minuteMs);
    bench.endTransaction(7, true);
    for (const each of [bench, await bench.restart()]) expect(await each.committed(0)).toEqual([9]);
  });

  it('follows a retention of its own where an old client asks for one, over a restart too', async () => {
    const bench = await GroupBench.open(checks);
    await bench.commit([{ offset: 1 }], { retentionMs: 5 * minuteMs });
    const restarted = await bench.restart();
    for (const each of [bench, restarted]) {
      await each.clock.advance(5 * minuteMs - 1);
      expect(await each.committed(0)).toEqual([1]);
      await each.clock.advance(1);
      expect(await each.committed(0)).toEqual([-1]);
    }
  });

  it('drops empty groups without offsets, but not while a member is about to join', async () => {
    const bench = await GroupBench.open({ 'offsets.retention.check.interval.ms': minuteMs });
    const { ids } = await bench.stableGroup(1);
    bench.leave(ids[0]!);
    await bench.clock.advance(minuteMs - 1);
    expect(bench.state).toBe('Empty');
    const memberId = await bench.newMemberId();
    await bench.clock.advance(1);
    expect(bench.state).toBe('Empty');
    const join = bench.join({ memberId });
    await bench.clock.advance(0);
    expect(join.value).toMatchObject({ error: null, generationId: 3 });
    await bench.clock.advance(3 * minuteMs);
    expect(bench.state).toBe('Dead');
  });
});

describe('deleting', () => {
  it('a group takes its offsets along, and is refused while it has members', async () => {
    const bench = await GroupBench.open();
    await expect(bench.coordinator.deleteGroup('g')).rejects.toEqual(refusal('GROUP_ID_NOT_FOUND'));
    const { ids } = await bench.stableGroup(1);
    await bench.commit([{ offset: 1 }], { generationId: 1, memberId: ids[0]! });
    await expect(bench.coordinator.deleteGroup('g')).rejects.toEqual(refusal('NON_EMPTY_GROUP'));
    bench.leave(ids[0]!);
    await bench.coordinator.deleteGroup('g');
    for (const each of [bench, await bench.restart()]) {
      expect(each.state).toBe('Dead');
      expect(await each.committed(0)).toEqual([-1]);
    }
  });

  it('a group with a transaction under way leaves nothing for its marker to bring back', async () => {
    const bench = await GroupBench.open();
    await bench.commitInTransaction(7, [{ offset: 2 }]);
    await bench.coordinator.deleteGroup('g');
    bench.endTransaction(7, true);
    expect(await bench.committed(0)).toEqual([-1]);
    expect((await bench.restart()).coordinator.list()).toEqual([]);
  });

  it('single offsets is refused for topics that are subscribed to, and for groups at work that are no consumers', async () => {
    const bench = await GroupBench.open();
    const remove = async (...topics: string[]): Promise<(string | null)[]> =>
      (
        await bench.coordinator.deleteOffsets(
          'g',
          topics.map((topic) => ({ topic, partition: 0 })),
        )
      ).map((r) => r.error);
    await expect(remove('orders')).rejects.toEqual(refusal('GROUP_ID_NOT_FOUND'));
    await expect(bench.coordinator.deleteOffsets('', [])).rejects.toEqual(refusal('INVALID_GROUP_ID'));
    const { ids } = await bench.stableGroup(1);
    await bench.commit([{ offset: 1 }, { topic: 'payments', offset: 2 }], { generationId: 1, memberId: ids[0]! });
    expect(await remove('orders', 'payments', 'unknown')).toEqual([
      'GROUP_SUBSCRIBED_TO_TOPIC',
      null,
      'UNKNOWN_TOPIC_OR_PARTITION',
    ]);
    bench.leave(ids[0]!);
    expect(await remove('orders')).toEqual([null]);
    for (const each of [bench, await bench.restart()]) {
      expect(await each.coordinator.fetchOffsets({ groupId: 'g', partitions: null, requiresStable: true })).toEqual([]);
    }

    const other = await GroupBench.open();
    await other.stableGroup(1, { protocolType: 'connect' });
    await expect(other.coordinator.deleteOffsets('g', [{ topic: 'orders', partition: 0 }])).rejects.toEqual(
      refusal('NON_EMPTY_GROUP'),
    );
  });

  it('a topic drops its offsets, pending ones too', async () => {
    const bench = await GroupBench.open();
    await bench.commit([{ offset: 1 }, { topic: 'payments', offset: 2 }]);
    await bench.commitInTransaction(7, [{ partition: 1, offset: 3 }]);
    bench.coordinator.topicDeleted('orders');
    bench.endTransaction(7, true);
    for (const each of [bench, await bench.restart()]) {
      const fetched = await each.coordinator.fetchOffsets({ groupId: 'g', partitions: null, requiresStable: true });
      expect(fetched.map(({ topic, offset }) => [topic, offset])).toEqual([['payments', 2]]);
    }
  });

  it('a topic, with a crash before its offsets are dropped, drops them at the next start', async () => {
    const bench = await GroupBench.open();
    await bench.commit([{ offset: 1 }, { topic: 'payments', offset: 2 }]);
    const restarted = await bench.restart({ topics: ['payments'] });
    restarted.topics.add('orders'); // made again
    for (const each of [restarted, await restarted.restart()]) {
      const fetched = await each.coordinator.fetchOffsets({ groupId: 'g', partitions: null, requiresStable: true });
      expect(fetched.map(({ topic, offset }) => [topic, offset])).toEqual([['payments', 2]]);
    }
  });
});

describe('a restart', () => {
  it('brings back members, their assignments, offsets and open transactions', async () => {
    const bench = await GroupBench.open();
    const { ids } = await bench.stableGroup(2);
    await bench.commit([{ partition: 0, offset: 5, leaderEpoch: 2, metadata: 'm' }], {
      generationId: 1,
      memberId: ids[0]!,
    });
    await bench.commitInTransaction(7, [{ partition: 1, offset: 6 }]);
    await bench.commitInTransaction(8, [{ partition: 2, offset: 7 }]);
    bench.endTransaction(8, true);
    await bench.commitInTransaction(9, [{ partition: 3, offset: 8 }]);
    bench.endTransaction(9, false);

    const restarted = await bench.restart();

    expect(restarted.coordinator.describe('g')).toEqual(bench.coordinator.describe('g'));
    expect(restarted.state).toBe('Stable');
    expect(await restarted.committed(0, 1, 2, 3)).toEqual([5, 'UNSTABLE_OFFSET_COMMIT', 7, -1]);
    restarted.endTransaction(7, true);
    expect(await restarted.committed(1)).toEqual([6]);
    expect(restarted.heartbeat(ids[1]!, 1)).toBeNull();
    expect(restarted.heartbeat(ids[1]!, 2)).toBe('ILLEGAL_GENERATION');
  });

  it('gives members their session timeout to show that they live', async () => {
    const bench = await GroupBench.open();
    await bench.stableGroup(1);
    const restarted = await bench.restart();
    await restarted.clock.advance(9_999);
    expect(restarted.state).toBe('Stable');
    await restarted.clock.advance(1);
    expect(restarted.state).toBe('Empty');
  });

  it('remembers since when a group has been empty, and its generation', async () => {
    const checks = { 'offsets.retention.minutes': 60, 'offsets.retention.check.interval.ms': minuteMs };
    const bench = await GroupBench.open(checks);
    const { ids } = await bench.stableGroup(1);
    await bench.commit([{ offset: 1 }], { generationId: 1, memberId: ids[0]! });
    bench.leave(ids[0]!);
    await bench.clock.advance(30 * minuteMs);
    const restarted = await bench.restart();
    await restarted.clock.advance(29 * minuteMs);
    expect(await restarted.committed(0)).toEqual([1]);
    const { generationId } = await restarted.stableGroup(1);
    expect(generationId).toBe(3); // 2 was the empty one
  });

  it('in mid-rebalance goes back to the last stable generation', async () => {
    const bench = await GroupBench.open();
    const { ids } = await bench.stableGroup(2);
    const newcomerId = await bench.newMemberId();
    [...ids, newcomerId].forEach((memberId) => bench.join({ memberId }));
    await bench.clock.advance(0);
    expect(bench.heartbeat(newcomerId, 2)).toBeNull();

    const restarted = await bench.restart();
    expect(restarted.heartbeat(ids[0]!, 2)).toBe('ILLEGAL_GENERATION');
    expect(restarted.heartbeat(newcomerId, 2)).toBe('UNKNOWN_MEMBER_ID');
    const rejoins = ids.map((memberId) => restarted.join({ memberId }));
    await restarted.clock.advance(0);
    expect(rejoins[0]!.value).toMatchObject({ error: null, generationId: 2 });
  });

  it('passes over records of kinds that it does not know', async () => {
    const bench = await GroupBench.open();
    bench.log.append(0, [{ key: new Uint8Array([0, 8, 1, 2]), value: new Uint8Array([9]) }]);
    await bench.commit([{ offset: 1 }]);
    expect(await (await bench.restart()).committed(0)).toEqual([1]);
  });
});

describe('listing', () => {
  it('filters by state and type, in any case', async () => {
    const bench = await GroupBench.open();
    await bench.stableGroup(1);
    await bench.commit([{ offset: 1 }], { groupId: 'simple' });
    const idsOf = (filter: { states?: string[]; types?: string[] }): string[] =>
      bench.coordinator.list(filter).map((group) => group.groupId);
    expect(idsOf({})).toEqual(['g', 'simple']);
    expect(idsOf({ states: [], types: [] })).toEqual(['g', 'simple']);
    expect(idsOf({ states: ['stable'] })).toEqual(['g']);
    expect(idsOf({ states: ['EMPTY', 'Dead'] })).toEqual(['simple']);
    expect(idsOf({ types: ['Classic'] })).toEqual(['g', 'simple']);
    expect(idsOf({ types: ['consumer'] })).toEqual([]);
  });

  it('describes assignments of stable groups only', async () => {
    const bench = await GroupBench.open();
    const { ids } = await bench.stableGroup(1);
    expect(bench.coordinator.describe('g')).toMatchObject({
      state: 'Stable',
      protocolType: 'consumer',
      protocolName: 'range',
      members: [{ memberId: ids[0], clientId: 'client', clientHost: '/127.0.0.1', metadata: subscriptionTo('orders') }],
    });
    bench.join({ memberId: ids[0]! });
    await bench.clock.advance(0);
    expect(bench.coordinator.describe('g')).toMatchObject({
      state: 'CompletingRebalance',
      protocolName: '',
      members: [{ metadata: new Uint8Array(0), assignment: new Uint8Array(0) }],
    });
  });
});

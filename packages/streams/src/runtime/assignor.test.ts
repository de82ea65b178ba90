import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { AssignorMember, TopicPartitionId } from '@millrace/client/bytes';
import { matches, streamsAssignor, tasksOf, type SubtopologySources } from './assignor.ts';

const plan = 'plan-1';
const joined: SubtopologySources = { subtopology: 0, topics: ['clicks', 'users'], patterns: [] };
const counted: SubtopologySources = { subtopology: 1, topics: ['app-by-user-repartition'], patterns: [] };
const assignor = streamsAssignor({ planHash: plan, sources: [joined, counted] });
const sizes = new Map([
  ['clicks', 4],
  ['users', 4],
  ['app-by-user-repartition', 2],
]);

function member(memberId: string, ownedPartitions: readonly TopicPartitionId[] = [], generationId = 1): AssignorMember {
  const userData = assignor.userData!(ownedPartitions);
  return { memberId, groupInstanceId: null, topics: [...sizes.keys()], ownedPartitions, generationId, userData };
}
const names = (partitions: readonly TopicPartitionId[] | undefined): string[] =>
  (partitions ?? []).map(({ topic, partition }) => `${topic}-${partition}`).sort();

it('keeps inputs of one task together and gives every task to somebody', () => {
  const assignment = assignor.assign([member('a'), member('b'), member('c')], sizes);
  const all = [...assignment.values()].flat();
  expect(names(all)).toEqual(
    names(
      [0, 1, 2, 3].flatMap((partition) => [
        { topic: 'clicks', partition },
        { topic: 'users', partition },
        ...(partition < 2 ? [{ topic: 'app-by-user-repartition', partition }] : []),
      ]),
    ),
  );
  for (const mine of assignment.values()) {
    const of = (topic: string): number[] => mine.filter((p) => p.topic === topic).map((p) => p.partition);
    expect(of('clicks')).toEqual(of('users'));
  }
});

it('withholds what must move until its owner has let go of it, then gives it', () => {
  const first = assignor.assign([member('a')], sizes).get('a')!;
  const second = assignor.assign([member('a', first), member('b')], sizes);
  expect(names(second.get('b'))).toEqual([]);
  const kept = second.get('a')!;
  expect(kept.length).toBeLessThan(first.length);

  const third = assignor.assign([member('a', kept, 2), member('b', [], 2)], sizes);
  expect(names(third.get('a'))).toEqual(names(kept));
  expect(names([...third.get('a')!, ...third.get('b')!])).toEqual(names(first));
});

it('believes the later generation when two members claim a partition', () => {
  const zero = [
    { topic: 'clicks', partition: 0 },
    { topic: 'users', partition: 0 },
  ];
  const assignment = assignor.assign([member('a', zero, 1), member('b', zero, 2)], sizes);
  expect(names(assignment.get('b'))).toEqual(expect.arrayContaining(['clicks-0', 'users-0']));
  expect(names(assignment.get('a'))).not.toEqual(expect.arrayContaining(['clicks-0']));
});

it('gives nothing to members with another plan, or with user data it cannot read', () => {
  const other = { ...member('b'), userData: new TextEncoder().encode('{"version":1,"plan":"plan-2"}') };
  const broken = { ...member('c'), userData: new Uint8Array([0xff, 0x00]) };
  const assignment = assignor.assign([member('a'), other, broken, { ...member('d'), userData: null }], sizes);
  expect(assignment.get('a')).toHaveLength(10);
  for (const id of ['b', 'c', 'd']) expect(assignment.get(id)).toEqual([]);
});

it('fails when a source does not exist any more', () => {
  const left = new Map([...sizes].filter(([topic]) => topic !== 'users'));
  expect(() => assignor.assign([member('a')], left)).toThrow(
    expect.objectContaining({ code: 'MISSING_TOPIC', context: { topics: ['users'] } }),
  );
});

it('makes as many tasks as the largest input has partitions, and takes topics that a pattern matches as a whole', () => {
  const sources = [{ subtopology: 3, topics: [], patterns: [/orders-\w+/g] }];
  const tasks = tasksOf(
    sources,
    new Map([
      ['orders-eu', 2],
      ['orders-us', 1],
      ['old-orders-eu', 9],
    ]),
  );
  expect(tasks.map((task) => names(task.inputs))).toEqual([['orders-eu-0', 'orders-us-0'], ['orders-eu-1']]);
  expect(matches(/orders/, 'orders-dead-letters')).toBe(false);
});

it('balances, converges in two rounds, and then moves nothing, whoever comes and goes', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { minLength: 1 }), {
        minLength: 1,
        maxLength: 6,
      }),
      (memberships) => {
        let owned = new Map<string, readonly TopicPartitionId[]>();
        let generation = 0;
        const round = (ids: readonly string[]): void => {
          generation++;
          owned = new Map(
            assignor.assign(
              ids.map((id) => member(id, owned.get(id) ?? [], generation)),
              sizes,
            ),
          );
        };
        for (const ids of memberships) {
          round(ids);
          round(ids);
          const counts = ids.map((id) => owned.get(id)!.filter((p) => p.topic !== 'users').length);
          expect(counts.reduce((a, b) => a + b)).toBe(6);
          expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
          const before = new Map(owned);
          round(ids);
          for (const id of ids) expect(names(owned.get(id))).toEqual(names(before.get(id)));
        }
      },
    ),
  );
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AssignorMember, TopicPartitionId } from '../../bytes/types.ts';
import { cooperativeSticky } from './cooperative-sticky.ts';
import { range } from './range.ts';

function member(
  memberId: string,
  topics: readonly string[],
  owned: readonly TopicPartitionId[] = [],
  generationId: number = 1,
): AssignorMember {
  return { memberId, groupInstanceId: null, topics, ownedPartitions: owned, generationId, userData: null };
}

function text(assignment: ReadonlyMap<string, readonly TopicPartitionId[]>): Record<string, string> {
  return Object.fromEntries(
    [...assignment].map(([id, partitions]) => [id, partitions.map((p) => `${p.topic}${p.partition}`).join(' ')]),
  );
}

describe('range', () => {
  it('gives runs, the first members one more, topic by topic', () => {
    const members = [member('c', ['t', 'u']), member('a', ['t', 'u']), member('b', ['t'])];
    const partitionsOf = new Map([
      ['t', 7],
      ['u', 3],
    ]);
    expect(text(range.assign(members, partitionsOf))).toEqual({ a: 't0 t1 t2 u0 u1', b: 't3 t4', c: 't5 t6 u2' });
  });

  it('puts static members first, by their instance ids', () => {
    const members = [{ ...member('z', ['t']), groupInstanceId: '1' }, member('a', ['t'])];
    expect(text(range.assign(members, new Map([['t', 2]])))).toEqual({ z: 't0', a: 't1' });
  });
});

describe('cooperative-sticky', () => {
  it('counts a partition with the one of two claimants who has it from the latest generation', () => {
    const held = { topic: 't', partition: 0 };
    const members = [member('a', ['t'], [held], 1), member('b', ['t'], [held], 2)];
    // `b` has its share with it, so what is free is for `a`; what both claim is given to neither before `a` has let go.
    expect(text(cooperativeSticky.assign(members, new Map([['t', 2]])))).toEqual({ a: 't1', b: '' });
  });

  it('leaves with members what they hold, and withholds what moves until its owner has let go', () => {
    const all = [0, 1, 2, 3].map((partition) => ({ topic: 't', partition }));
    const partitionsOf = new Map([['t', 4]]);
    const first = cooperativeSticky.assign([member('a', ['t'], all), member('b', ['t'])], partitionsOf);
    expect(text(first)).toEqual({ a: 't0 t1', b: '' });
    const second = cooperativeSticky.assign(
      [member('a', ['t'], first.get('a'), 2), member('b', ['t'], [], 2)],
      partitionsOf,
    );
    expect(text(second)).toEqual({ a: 't0 t1', b: 't2 t3' });
  });

  it('believes the later generation of two that claim a partition, and neither at the same generation', () => {
    const t0 = [{ topic: 't', partition: 0 }];
    const partitionsOf = new Map([['t', 1]]);
    const stale = cooperativeSticky.assign([member('a', ['t'], t0, 1), member('b', ['t'], t0, 2)], partitionsOf);
    expect(text(stale)).toEqual({ a: '', b: '' });
    const disputed = cooperativeSticky.assign([member('a', ['t'], t0, 2), member('b', ['t'], t0, 2)], partitionsOf);
    expect(text(disputed)).toEqual({ a: '', b: '' });
  });

  it('settles, whatever was owned: each partition once, balanced, and then nothing moves any more', () => {
    const topics = ['t', 'u', 'v'];
    const arbitrary = fc.record({
      counts: fc.tuple(...topics.map(() => fc.integer({ min: 0, max: 9 }))),
      members: fc.array(
        fc.record({
          wants: fc.subarray(topics, { minLength: 1 }),
          owned: fc.array(
            fc.record({ topic: fc.constantFrom(...topics), partition: fc.integer({ min: 0, max: 11 }) }),
            {
              maxLength: 8,
            },
          ),
          generationId: fc.integer({ min: 1, max: 3 }),
        }),
        { minLength: 1, maxLength: 5 },
      ),
    });
    fc.assert(
      fc.property(arbitrary, ({ counts, members }) => {
        const partitionsOf = new Map(topics.map((topic, i) => [topic, counts[i]!] as const));
        let current = members.map(({ wants, owned, generationId }, i) => member(`m${i}`, wants, owned, generationId));
        const round = (generationId: number): ReadonlyMap<string, readonly TopicPartitionId[]> => {
          const assignment = cooperativeSticky.assign(current, partitionsOf);
          // Nobody is given what another still holds.
          for (const { memberId } of current) {
            for (const { topic, partition } of assignment.get(memberId)!) {
              const others = current.filter((other) => other.memberId !== memberId);
              const isHeld = others.some((other) =>
                other.ownedPartitions.some((p) => p.topic === topic && p.partition === partition),
              );
              expect(isHeld).toBe(false);
            }
          }
          current = current.map(({ memberId, topics: wants }) =>
            member(memberId, wants, assignment.get(memberId), generationId),
          );
          return assignment;
        };
        // Who gives something up rejoins, so there are rounds until nobody does.
        let settled = round(4);
        for (let generationId = 5; generationId < 10; generationId++) settled = round(generationId);
        expect(text(round(10))).toEqual(text(settled));

        const given = [...settled.values()].flat().map((p) => `${p.topic}${p.partition}`);
        const wanted = topics.filter((topic) => current.some((m) => m.topics.includes(topic)));
        const expected = wanted.flatMap((topic) =>
          Array.from({ length: partitionsOf.get(topic)! }, (_, partition) => `${topic}${partition}`),
        );
        expect(given.toSorted()).toEqual(expected.toSorted());
        for (const from of current) {
          for (const to of current) {
            const mine = settled.get(from.memberId)!;
            const couldMove = mine.some((p) => to.topics.includes(p.topic));
            const difference = mine.length - settled.get(to.memberId)!.length;
            expect(couldMove && difference > 1, `${from.memberId} has ${difference} more than ${to.memberId}`).toBe(
              false,
            );
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});

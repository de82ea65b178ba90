import { expect, it } from 'vitest';
import { simulate } from './simulation.ts';

const seeds = Array.from({ length: 25 }, (_, i) => 1000 + i);

it.each(seeds)('keeps its promises in the world of seed %i', { timeout: 60_000 }, async (seed) => {
  const { violations, acknowledgedCount } = await simulate(seed);
  expect(violations).toEqual([]);
  expect(acknowledgedCount).toBeGreaterThan(0);
});

it('replays a seed exactly', { timeout: 60_000 }, async () => {
  const first = await simulate(8127);
  const again = await simulate(8127);
  expect(again).toEqual(first);
});

import { SeededRandom } from '@millrace/platform/simulated';
import { expect, it } from 'vitest';
import { Backoff } from './backoff.ts';

it('doubles up to its maximum, give or take a fifth, and begins anew after a success', () => {
  const random = new SeededRandom(1);
  const backoff = new Backoff(random, 50, 1_000);
  for (const baseMs of [50, 100, 200, 400, 800, 1_000, 1_000]) {
    const waitMs = backoff.nextMs();
    expect(waitMs).toBeGreaterThanOrEqual(0.8 * baseMs);
    expect(waitMs).toBeLessThan(1.2 * baseMs);
  }
  backoff.reset();
  expect(backoff.nextMs()).toBeLessThan(60);
});

it('spreads those who failed together over its two fifths', () => {
  const waits = Array.from({ length: 100 }, (_, seed) => new Backoff(new SeededRandom(seed), 100, 1_000).nextMs());
  expect(Math.min(...waits)).toBeLessThan(85);
  expect(Math.max(...waits)).toBeGreaterThan(115);
});

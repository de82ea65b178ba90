import { expect, it } from 'vitest';
import { boundedParallel } from './bounded-parallel.ts';
import { KeyedQueue } from './keyed-queue.ts';

it('runs no more than the limit at a time, and keeps the order of results', async () => {
  let running = 0;
  let most = 0;
  const results = await boundedParallel([30, 10, 20, 40], 2, async (value) => {
    most = Math.max(most, ++running);
    for (let turn = 0; turn < value / 10; turn++) await Promise.resolve();
    running--;
    return value * 2;
  });
  expect(results).toEqual([60, 20, 40, 80]);
  expect(most).toBe(2);
});

it('begins nothing after a failure, and throws the first once all that had begun is over', async () => {
  const begun: number[] = [];
  const ended: number[] = [];
  const failing = boundedParallel([1, 2, 3, 4], 2, async (value) => {
    begun.push(value);
    if (value === 1) throw new Error('first');
    await Promise.resolve();
    ended.push(value);
  });
  await expect(failing).rejects.toThrow('first');
  expect(begun).toEqual([1, 2]);
  expect(ended).toEqual([2]);
});

it('runs what has one key in order, after failures too, and different keys side by side', async () => {
  const queue = new KeyedQueue();
  const events: string[] = [];
  const task =
    (name: string, turns: number, fails = false) =>
    async (): Promise<void> => {
      events.push(`${name} begins`);
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      events.push(`${name} ends`);
      if (fails) throw new Error(name);
    };
  const first = queue.run('a', task('a1', 20, true));
  const second = queue.run('a', task('a2', 1));
  const other = queue.run('b', task('b1', 1));
  await expect(first).rejects.toThrow('a1');
  await Promise.all([second, other]);
  await queue.idle();
  expect(events).toEqual(['a1 begins', 'b1 begins', 'b1 ends', 'a1 ends', 'a2 begins', 'a2 ends']);
});

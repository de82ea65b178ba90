import { expect, it } from 'vitest';
import { ProducerIdBlocks } from './producer-ids.ts';

it('gives each id once to any number of askers, and only what was reserved durably before', async () => {
  const reserved: number[] = [];
  const releases: (() => void)[] = [];
  const ids = new ProducerIdBlocks(500, (nextProducerId) => {
    reserved.push(nextProducerId);
    return new Promise<void>((resolve) => releases.push(resolve));
  });
  const asked = Array.from({ length: 1001 }, () => ids.next());
  expect(reserved).toEqual([1500]); // the first block, once for all
  releases[0]!();
  await asked[999];
  expect(reserved).toEqual([1500, 2500]);
  releases[1]!();
  const given = await Promise.all(asked);
  expect(given).toEqual(Array.from({ length: 1001 }, (_, index) => 500 + index));
});

it('tries again to reserve after a failure', async () => {
  let attempts = 0;
  const ids = new ProducerIdBlocks(0, () => (attempts++ === 0 ? Promise.reject(new Error('disk')) : Promise.resolve()));
  await expect(ids.next()).rejects.toThrow('disk');
  expect(await ids.next()).toBe(0);
});

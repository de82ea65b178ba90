import { expect, it } from 'vitest';
import { addToSequence } from './producer-batch.ts';

it('goes on from 0 after the highest sequence number', () => {
  const highest = 2 ** 31 - 1;
  expect([addToSequence(highest - 1, 1), addToSequence(highest, 1), addToSequence(highest, 3)]).toEqual([
    highest,
    0,
    2,
  ]);
});

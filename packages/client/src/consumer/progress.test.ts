import { expect, it } from 'vitest';
import { Progress } from './progress.ts';

const place = { topic: 't', partition: 0 };
const batch = (first: number, count: number, lastOffset: number) => ({
  ...place,
  records: Array.from({ length: count }, (_, i) => ({ ...place, offset: first + i })),
  lastOffset,
});

it('counts a record as done when the next is asked for, and the rest of the batch when another one is', () => {
  const progress = new Progress();
  progress.begin(batch(10, 2, 14), false);
  expect(progress.takeDone()).toEqual([]);
  expect(progress.next()?.offset).toBe(10);
  expect(progress.takeDone()).toEqual([]);
  expect(progress.allHandedOut()).toEqual([{ ...place, offset: 11 }]);
  expect(progress.next()?.offset).toBe(11);
  expect(progress.takeDone()).toEqual([{ ...place, offset: 11 }]);
  // The last one was handed out: with it go the offsets behind it that nobody is given.
  expect(progress.allHandedOut()).toEqual([{ ...place, offset: 15 }]);
  expect(progress.takeDone()).toEqual([]);
  expect(progress.next()).toBeUndefined();
  expect(progress.takeDone()).toEqual([{ ...place, offset: 15 }]);
  expect(progress.takeDone()).toEqual([]);
});

it('counts a whole batch as done only when another is asked for', () => {
  const progress = new Progress();
  progress.begin(batch(0, 3, 2), true);
  expect(progress.takeDone()).toEqual([]);
  expect(progress.handedOut(place)).toBe(3);
  progress.batchDone();
  expect(progress.takeDone()).toEqual([{ ...place, offset: 3 }]);
});

it('gives back what was not committed after all, forgets what was revoked, and follows a seek', () => {
  const progress = new Progress();
  progress.begin(batch(0, 3, 2), true);
  progress.batchDone();
  progress.giveBack(progress.takeDone());
  expect(progress.takeDone([{ topic: 'other', partition: 0 }])).toEqual([]);
  expect(progress.takeDone([place])).toEqual([{ ...place, offset: 3 }]);
  progress.sought({ ...place, offset: 1 });
  expect(progress.takeDone()).toEqual([{ ...place, offset: 1 }]);
  progress.sought({ ...place, offset: 2 });
  progress.drop([place]);
  expect(progress.takeDone()).toEqual([]);
});

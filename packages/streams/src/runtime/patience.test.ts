import { expect, it } from 'vitest';
import { Patience } from './patience.ts';

it('waits longer after each failure, up to a bound, and ends when nothing has gone on for longer than its limit', () => {
  let nowMs = 0;
  const patience = new Patience(() => nowMs, 1000);
  expect(Array.from({ length: 8 }, () => patience.failed())).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  nowMs = 1000;
  expect(patience.failed()).toBe(5000);
  nowMs = 1001;
  expect(patience.failed()).toBeUndefined();
});

it('begins anew when something has gone on', () => {
  let nowMs = 0;
  const patience = new Patience(() => nowMs, 1000);
  patience.failed();
  nowMs = 1001;
  patience.progressed();
  expect(patience.failed()).toBe(100);
  nowMs = 2001;
  expect(patience.failed()).toBe(200);
  nowMs = 2002;
  expect(patience.failed()).toBeUndefined();
});

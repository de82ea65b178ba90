import { expect, it } from 'vitest';
import { VirtualClock } from '@millrace/platform/simulated';
import { Doorbell } from './doorbell.ts';

it('a wait ends with a ring, or when either clock has gone on so far, and not before', async () => {
  const clock = new VirtualClock();
  const wallClock = new VirtualClock();
  const doorbell = new Doorbell(clock, wallClock);
  const ended: string[] = [];

  void doorbell.wait(10, Infinity).then(() => ended.push('clock'));
  await clock.advance(9);
  expect(ended).toEqual([]);
  await clock.advance(1);
  expect(ended).toEqual(['clock']);

  void doorbell.wait(10, 5).then(() => ended.push('wall clock'));
  await wallClock.advance(4);
  expect(ended).toEqual(['clock']);
  await wallClock.advance(1);
  expect(ended).toEqual(['clock', 'wall clock']);

  doorbell.listen();
  const rung = doorbell.wait(10, 5);
  expect(doorbell.hasRung).toBe(false);
  doorbell.ring();
  await rung;
  expect(doorbell.hasRung).toBe(true); // also heard by a loop that was busy
  doorbell.listen();
  expect(doorbell.hasRung).toBe(false);
});

import { expect, it } from 'vitest';
import { VirtualClock } from './virtual-clock.ts';

it('fires timers in the order of their times, then of their making', async () => {
  const clock = new VirtualClock(1000);
  const fired: string[] = [];
  clock.after(20, () => fired.push(`c@${clock.now()}`));
  clock.after(10, () => fired.push(`a@${clock.now()}`));
  clock.after(10, () => fired.push(`b@${clock.now()}`));
  clock.after(30, () => fired.push('late'));
  clock.after(15, () => fired.push('cancelled'))();

  await clock.advance(20);

  expect(fired).toEqual(['a@1010', 'b@1010', 'c@1020']);
  expect(clock.pendingCount).toBe(1);
  expect(clock.untilNextMs).toBe(10);
});

it('sees timers that are set by promises settling on the way', async () => {
  const clock = new VirtualClock();
  const fired: number[] = [];
  const loop = async (): Promise<void> => {
    for (let i = 0; i < 3; i++) {
      await new Promise<void>((resolve) => void clock.after(5, resolve));
      fired.push(clock.monotonic());
    }
  };
  const done = loop();
  await clock.advance(15);
  await done;
  expect(fired).toEqual([5, 10, 15]);
});

it('wakes nobody a rounding error too early', async () => {
  const clock = new VirtualClock();
  const ms = (delayMs: number): Promise<void> => new Promise((resolve) => void clock.after(delayMs, resolve));
  const walk = (async (): Promise<number> => {
    await ms(56.4);
    const startMs = clock.monotonic();
    await ms(166);
    await ms(startMs + 200 - clock.monotonic());
    return clock.monotonic() - startMs;
  })();
  await clock.advance(1000);
  expect(await walk).toBeGreaterThanOrEqual(200);
});

import { afterEach, expect, it, vi } from 'vitest';
import { systemClock } from './clock.ts';

afterEach(() => void vi.useRealTimers());

it('waits for as long as it is told to, also where one timer of the machine cannot', () => {
  vi.useFakeTimers();
  const clock = systemClock();
  const longest = 2 ** 31 - 1; // beyond, the machine's timers fire at once
  const delays = [longest, longest + 1, 2 * longest + 10, Infinity];
  const fired: number[] = [];
  const cancels = delays.map((delayMs) => clock.after(delayMs, () => fired.push(delayMs)));
  for (const [passMs, expected] of [
    [longest - 1, 0],
    [1, 1],
    [1, 2],
    [longest + 8, 2],
    [1, 3],
    [10 * longest, 3],
  ] as const) {
    vi.advanceTimersByTime(passMs);
    expect(fired).toEqual(delays.slice(0, expected));
  }
  for (const cancel of cancels) cancel();
  expect(vi.getTimerCount()).toBe(0);
});

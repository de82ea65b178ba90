import type { VirtualClock } from '@millrace/platform/simulated';

/** Moves a virtual clock on, by no time at first, then in small steps, until a promise settles. For what is under way to end. */
export function onVirtualTime(clock: VirtualClock): <T>(task: Promise<T>) => Promise<T> {
  return async (task) => {
    let isDone = false;
    const settled = task.finally(() => (isDone = true));
    settled.catch(() => {}); // whoever awaits the result sees it
    for (let step = 0; step < 10_000 && !isDone; step++) await clock.advance(step < 500 ? 0 : 1);
    return await settled;
  };
}

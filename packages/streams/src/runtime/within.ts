import type { Clock } from '@millrace/platform';

/** Waits for this, however it ends, and no longer than so. False: it has not ended yet. */
export async function within(clock: Clock, limitMs: number, work: Promise<unknown>): Promise<boolean> {
  let cancel: (() => void) | undefined;
  const late = new Promise<boolean>((resolve) => (cancel = clock.after(limitMs, () => resolve(false))));
  const isDone = await Promise.race([Promise.allSettled([work]).then(() => true), late]);
  cancel?.(); // or the timer would keep the process
  return isDone;
}

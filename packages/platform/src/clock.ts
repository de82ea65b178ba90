import { performance } from 'node:perf_hooks';

/** Time, passed in, so that a test or a simulation can hold it still. */
export interface Clock {
  /** Whole milliseconds since 1970. May jump: for timestamps and retention, never for timeouts. */
  now(): number;
  /** Milliseconds, with fractions, since an arbitrary start; never goes back: for timeouts and rates. */
  monotonic(): number;
  /** Runs `task` once after `delayMs`. Gives back its cancellation, which may be called any number of times. */
  after(delayMs: number, task: () => void): () => void;
  /** Runs `task` when this turn of the event loop has read all the input there is: what groups writes and responses. */
  defer(task: () => void): void;
}

/** 24.8 days. A timer of Node's that is longer fires after 1 ms. */
const maxTimerMs = 2_147_483_647;

/** The machine's clock. Its timers do not keep the process alive unless `keepAlive` is set. */
export function systemClock(options: { readonly keepAlive?: boolean | undefined } = {}): Clock {
  const keepAlive = options.keepAlive ?? true;
  return {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    after(delayMs, task) {
      let timer: NodeJS.Timeout;
      const wait = (leftMs: number): void => {
        timer = leftMs > maxTimerMs ? setTimeout(wait, maxTimerMs, leftMs - maxTimerMs) : setTimeout(task, leftMs);
        if (!keepAlive) timer.unref();
      };
      wait(delayMs);
      return () => clearTimeout(timer);
    },
    defer: (task) => void setImmediate(task),
  };
}

/** A promise that resolves after `delayMs`, or at once when `signal` aborts (it does not reject: the caller looks). */
export function delay(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = (): void => {
      cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.after(delayMs, done);
    signal?.addEventListener('abort', done, { once: true });
  });
}

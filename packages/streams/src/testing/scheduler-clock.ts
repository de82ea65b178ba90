import type { Clock } from '@millrace/platform';
import type { VirtualTimeScheduler } from 'rxjs';

/** A clock on RxJS's virtual time, so that Observables under test and the engine have one time. */
export class SchedulerClock implements Clock {
  readonly #scheduler: VirtualTimeScheduler;
  readonly #startMs: number;

  constructor(scheduler: VirtualTimeScheduler, startMs: number) {
    this.#scheduler = scheduler;
    this.#startMs = startMs;
  }

  now(): number {
    return this.#startMs + this.#scheduler.frame;
  }
  monotonic(): number {
    return this.#scheduler.frame;
  }
  after(delayMs: number, task: () => void): () => void {
    const subscription = this.#scheduler.schedule(task, Math.max(0, delayMs));
    return () => subscription.unsubscribe();
  }
  defer(task: () => void): void {
    this.after(0, task);
  }

  /** Milliseconds until the next timer; undefined: there is none. */
  get untilNextMs(): number | undefined {
    const delays = this.#scheduler.actions.filter((action) => !action.closed).map((action) => action.delay);
    return delays.length === 0 ? undefined : Math.min(...delays) - this.#scheduler.frame;
  }

  /** Moves time on, firing what is due on the way. */
  moveTo(timeMs: number): void {
    const frame = Math.max(this.#scheduler.frame, timeMs - this.#startMs);
    this.#scheduler.maxFrames = frame;
    this.#scheduler.flush();
    this.#scheduler.frame = frame;
  }
}

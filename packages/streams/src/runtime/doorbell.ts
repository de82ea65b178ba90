import type { Clock } from '@millrace/platform';

/** What a loop waits at. A ring while it is busy is not lost: it is heard when the loop next looks. */
export class Doorbell {
  readonly #clock: Clock;
  readonly #wallClock: Clock;
  #hasRung = false;
  #wake: (() => void) | undefined;

  constructor(clock: Clock, wallClock: Clock) {
    this.#clock = clock;
    this.#wallClock = wallClock;
  }

  /** Something has come since `listen`. */
  get hasRung(): boolean {
    return this.#hasRung;
  }

  listen(): void {
    this.#hasRung = false;
  }

  ring(): void {
    this.#hasRung = true;
    this.#wake?.();
  }

  /** A turn of the event loop: what has come in is read, what was sent goes out. */
  turn(): Promise<void> {
    return new Promise((resolve) => this.#clock.defer(resolve));
  }

  /** Until it rings, or one of the clocks has gone on so far. Not to be called with a ring that nobody has heard. */
  wait(waitMs: number, wallWaitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        cancelWall?.();
        this.#wake = undefined;
        resolve();
      };
      this.#wake = done;
      const cancel = this.#clock.after(Math.max(0, waitMs), done);
      const cancelWall = wallWaitMs === Infinity ? undefined : this.#wallClock.after(Math.max(1, wallWaitMs), done);
    });
  }
}

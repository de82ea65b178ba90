const firstBackoffMs = 100;
const maxBackoffMs = 5_000;

/** How long it is worth to try again: until nothing has gone on for a time. */
export class Patience {
  readonly #monotonic: () => number;
  readonly #limitMs: number;
  /** Of the first failure since something went on. */
  #sinceMs: number | undefined;
  #failureCount = 0;

  constructor(monotonic: () => number, limitMs: number) {
    this.#monotonic = monotonic;
    this.#limitMs = limitMs;
  }

  /** Something has gone on: what failed before is over. */
  progressed(): void {
    this.#sinceMs = undefined;
    this.#failureCount = 0;
  }

  /** Something has failed. Gives how long to wait before the next try; undefined: it has been tried for long enough. */
  failed(): number | undefined {
    const nowMs = this.#monotonic();
    this.#sinceMs ??= nowMs;
    if (nowMs - this.#sinceMs > this.#limitMs) return undefined;
    return Math.min(firstBackoffMs * 2 ** this.#failureCount++, maxBackoffMs);
  }
}

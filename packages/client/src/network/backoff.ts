import type { Random } from '@millrace/platform';

/**
 * How long to wait before the next try: doubles from `initialMs` to `maxMs`, give or take a fifth, so that those who failed
 * together do not come back together (KIP-580).
 */
export class Backoff {
  readonly #random: Random;
  readonly #initialMs: number;
  readonly #maxMs: number;
  #failureCount = 0;

  constructor(random: Random, initialMs: number, maxMs: number) {
    this.#random = random;
    this.#initialMs = initialMs;
    this.#maxMs = maxMs;
  }

  nextMs(): number {
    const baseMs = Math.min(this.#maxMs, this.#initialMs * 2 ** this.#failureCount);
    if (this.#failureCount < 30) this.#failureCount++;
    return baseMs * (0.8 + 0.4 * this.#random.next());
  }

  /** It worked: the next failure begins anew. */
  reset(): void {
    this.#failureCount = 0;
  }
}

import type { Clock } from '../clock.ts';

/**
 * Timers fire on ticks of about a microsecond, rounded up, as a machine's clock has them: times that differ by rounding errors
 * alone would let who waits for `start + delay - now` wake before `now - start >= delay`, and wait for nothing for ever.
 */
const ticksPerMs = 1024;

interface Timer {
  readonly atMs: number;
  readonly sequence: number;
  readonly task: () => void;
  isCancelled: boolean;
}

/**
 * Time that moves only when told. Timers fire in order of their time, then of their making, so a run is the same each time.
 *
 *     const clock = new VirtualClock();
 *     clock.after(100, () => console.log(clock.now()));
 *     await clock.advance(100); // 100
 */
export class VirtualClock implements Clock {
  #nowMs: number;
  #monotonicMs = 0;
  #sequence = 0;
  readonly #timers: Timer[] = []; // a binary heap by (atMs, sequence)

  constructor(startMs: number = 0) {
    this.#nowMs = startMs;
  }

  now(): number {
    return Math.floor(this.#nowMs);
  }

  monotonic(): number {
    return this.#monotonicMs;
  }

  after(delayMs: number, task: () => void): () => void {
    const timer: Timer = {
      atMs: Math.ceil((this.#monotonicMs + Math.max(0, delayMs)) * ticksPerMs) / ticksPerMs,
      sequence: this.#sequence++,
      task,
      isCancelled: false,
    };
    this.#push(timer);
    return () => void (timer.isCancelled = true);
  }

  defer(task: () => void): void {
    this.after(0, task);
  }

  /** Timers that have not fired and are not cancelled. */
  get pendingCount(): number {
    return this.#timers.filter((timer) => !timer.isCancelled).length;
  }

  /** Milliseconds until the next timer; undefined: there is none. */
  get untilNextMs(): number | undefined {
    this.#dropCancelled();
    return this.#timers[0] === undefined ? undefined : this.#timers[0].atMs - this.#monotonicMs;
  }

  /** Moves the wall clock alone, as an operator setting it would. */
  setWallClock(nowMs: number): void {
    this.#nowMs = nowMs;
  }

  /**
   * Moves time on by `ms`, firing what falls due on the way. Between two timers, and at the end, promises settle first:
   * a timer set by one of them is seen.
   */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#monotonicMs + ms;
    for (;;) {
      await settle();
      this.#dropCancelled();
      const next = this.#timers[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.#pop();
      this.#moveTo(next.atMs);
      next.task();
    }
    this.#moveTo(untilMs);
    await settle();
  }

  /** Fires the next timer, however far away, once promises have settled; what it causes settles at the next step. False: there is none. */
  async step(): Promise<boolean> {
    await settle();
    this.#dropCancelled();
    const next = this.#timers[0];
    if (next === undefined) return false;
    this.#pop();
    this.#moveTo(next.atMs);
    next.task();
    return true;
  }

  #moveTo(atMs: number): void {
    this.#nowMs += atMs - this.#monotonicMs;
    this.#monotonicMs = atMs;
  }

  #dropCancelled(): void {
    while (this.#timers[0]?.isCancelled) this.#pop();
  }

  #push(timer: Timer): void {
    const heap = this.#timers;
    let at = heap.push(timer) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(timer, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = timer;
  }

  #pop(): void {
    const heap = this.#timers;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);
}

/** Lets every promise that can settle without a timer or I/O do so. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

import { delay, type Clock, type Logger } from '@millrace/platform';
import type { Redis } from 'ioredis';
import { ClosedError, RedisError } from './errors.ts';
import type { PackBuffer } from './pack-buffer.ts';
import { backoffMs, isPassing } from './refusals.ts';
import { commitScript, run } from './scripts.ts';

/** One script call of a commit, ready to be sent, any number of times. */
export interface Slice {
  readonly keys: readonly string[];
  /** Made anew for each sending: the memory of packed changes may have moved since. */
  readonly args: () => readonly (string | number | Buffer)[];
  readonly commit: OpenCommit;
}

/** A commit on its way: it holds its memory until no slice of it can be sent again. */
export interface OpenCommit {
  readonly buffer: PackBuffer;
  openSlices: number;
}

/** The script's reply: verdict, stored next offset, stored epoch. */
export type SliceReply = readonly string[];

interface Waiting {
  readonly slice: Slice;
  readonly resolve: (reply: SliceReply) => void;
  readonly reject: (error: unknown) => void;
  isSent: boolean;
}

export interface CommitQueueOptions {
  readonly redis: Redis;
  /** For messages. */
  readonly name: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Gives a commit's memory back. */
  readonly onDone: (commit: OpenCommit) => void;
}

/**
 * Sends the slices of a store's commits in order, without waiting for one before the next. While Redis cannot answer (out of
 * memory, loading, busy with another script), all that is unanswered is sent again, in the same order, until it can: slices
 * behind the refused one were then refused too, or found a gap of our own making. Lost connections are the driver's to mend.
 */
export class CommitQueue {
  readonly #options: CommitQueueOptions;
  readonly #closing = new AbortController();
  #queue: Waiting[] = [];
  #awaitedCount = 0;
  /** The first slice that must be sent again waits for the answers of those behind it. */
  #isBlocked = false;
  #attempt = 0;
  #idle: (() => void)[] = [];

  constructor(options: CommitQueueOptions) {
    this.#options = options;
  }

  send(slice: Slice): Promise<SliceReply> {
    return new Promise((resolve, reject) => {
      if (this.#closing.signal.aborted) {
        reject(new ClosedError(`The store ${this.#options.name}`));
        return;
      }
      const waiting: Waiting = { slice, resolve, reject, isSent: false };
      this.#queue.push(waiting);
      if (!this.#isBlocked) this.#dispatch(waiting);
    });
  }

  /** Resolves when nothing is on its way. */
  settled(): Promise<void> {
    if (this.#queue.length === 0) return Promise.resolve();
    return new Promise((resolve) => void this.#idle.push(resolve));
  }

  /** Slices on their way may still arrive, as after a crash; nobody hears of it. */
  close(): void {
    this.#closing.abort();
    const error = new ClosedError(`The store ${this.#options.name}`);
    const queue = this.#queue;
    this.#queue = [];
    for (const { reject } of queue) reject(error);
    this.#wake();
  }

  #dispatch(waiting: Waiting): void {
    waiting.isSent = true;
    this.#awaitedCount++;
    const { slice } = waiting;
    void run(this.#options.redis, commitScript, slice.keys, slice.args()).then(
      (reply) => this.#answered(waiting, reply, undefined),
      (error: unknown) => this.#answered(waiting, undefined, error),
    );
  }

  #answered(waiting: Waiting, reply: SliceReply | undefined, error: unknown): void {
    this.#awaitedCount--;
    if (!this.#closing.signal.aborted) {
      const isOurGap = this.#isBlocked && reply?.[0] === 'gap';
      if (reply !== undefined && !isOurGap) {
        this.#remove(waiting);
        waiting.resolve(reply);
        this.#attempt = 0;
      } else if (isOurGap || isPassing(error)) {
        if (!this.#isBlocked)
          this.#options.logger.warn({ store: this.#options.name, error }, 'Redis refused a commit for now');
        this.#isBlocked = true;
      } else {
        this.#remove(waiting);
        waiting.reject(new RedisError(this.#options.name, error));
      }
    }
    if (this.#isBlocked && this.#awaitedCount === 0) void this.#sendAgain();
    this.#wake();
  }

  async #sendAgain(): Promise<void> {
    this.#attempt++;
    await delay(this.#options.clock, backoffMs(this.#attempt), this.#closing.signal);
    if (this.#closing.signal.aborted) return;
    this.#isBlocked = false;
    for (const waiting of this.#queue) this.#dispatch(waiting);
  }

  #remove(waiting: Waiting): void {
    const at = this.#queue.indexOf(waiting); // answers come in order: it is the first, nearly always
    this.#queue.splice(at, 1);
    const { commit } = waiting.slice;
    if (--commit.openSlices === 0) this.#options.onDone(commit);
  }

  #wake(): void {
    if (this.#queue.length > 0) return;
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
  }
}

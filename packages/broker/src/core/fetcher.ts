import type { LogEvent, PartitionLog, ReadOptions, ReadResult } from '@millrace/log';
import type { Clock } from '@millrace/platform';

/** Where a reader stands in one log. */
export interface FetchPosition {
  readonly log: PartitionLog;
  readonly offset: number;
  readonly maxBytes: number;
}

export interface FetchRequest {
  readonly positions: readonly FetchPosition[];
  readonly isolation: ReadOptions['isolation'];
  /** Over all positions; the first batch is given whole. */
  readonly maxBytes: number;
  /** Wait until so many bytes are there, over all positions. */
  readonly minBytes: number;
  readonly maxWaitMs: number;
}

/** For each position what was read, or why it could not be. */
export type FetchResult = ReadResult | Error;

interface ParkedFetch {
  readonly request: FetchRequest;
  /** By position: bytes that a read would find; with `minBytes` of at most 1, merely whether there are any. */
  readonly availableBytes: number[];
  totalBytes: number;
  isWoken: boolean;
  cancelTimer: () => void;
  resolve: (results: readonly FetchResult[] | Promise<readonly FetchResult[]>) => void;
}

/**
 * Reads logs for those who follow them. What is there is given at once; who would get too little is parked until enough has come,
 * over all its positions, or its time is up. A parked fetch costs one timer and a map entry for each of its logs, and a commit
 * looks only at those that wait for its logs.
 */
export class Fetcher {
  readonly #clock: Clock;
  readonly #responseBudget: () => number;
  /** For each log that somebody waits for, who does, and at which of its positions. Its listener stays until something is deleted. */
  readonly #waiting: Map<PartitionLog, Map<ParkedFetch, number>> = new Map<PartitionLog, Map<ParkedFetch, number>>();
  readonly #parked: Set<ParkedFetch> = new Set<ParkedFetch>();
  #woken: ParkedFetch[] = [];
  #rotation = 0;
  /** What reads under way may come to: the budget knows of an answer only once it is there. */
  #readingBytes = 0;
  #isClosed = false;

  /** @param options.responseBudget bytes that a response may have now, as memory goes; the first batch is given in any case */
  constructor(options: { readonly clock: Clock; readonly responseBudget?: (() => number) | undefined }) {
    this.#clock = options.clock;
    this.#responseBudget = options.responseBudget ?? (() => Number.MAX_SAFE_INTEGER);
  }

  /**
   * @param onGone called with what to do when the reader goes away; gives its removal
   * @returns a result for each position, in their order
   */
  fetch(
    request: FetchRequest,
    onGone?: (cancel: () => void) => () => void,
  ): readonly FetchResult[] | Promise<readonly FetchResult[]> {
    if (request.maxWaitMs <= 0 || request.positions.length === 0 || this.#isClosed) return this.#read(request);
    const availableBytes: number[] = [];
    let totalBytes = 0;
    for (const position of request.positions) {
      const { log, offset } = position;
      if (offset < log.logStartOffset || offset > log.logEndOffset) return this.#read(request); // an error is told at once
      const bytes = availableAt(request, position);
      totalBytes += bytes;
      if (totalBytes >= request.minBytes) return this.#read(request);
      availableBytes.push(bytes);
    }
    return this.#park(request, availableBytes, totalBytes, onGone);
  }

  /** Fetches that wait now. */
  get parkedCount(): number {
    return this.#parked.size;
  }

  /** Answers everything parked with what there is. Later fetches do not wait. */
  close(): void {
    this.#isClosed = true;
    for (const parked of this.#parked) this.#wake(parked);
  }

  #park(
    request: FetchRequest,
    availableBytes: number[],
    totalBytes: number,
    onGone: ((cancel: () => void) => () => void) | undefined,
  ): Promise<readonly FetchResult[]> {
    return new Promise((resolve) => {
      const parked: ParkedFetch = {
        request,
        availableBytes,
        totalBytes,
        isWoken: false,
        cancelTimer: this.#clock.after(request.maxWaitMs, () => this.#wake(parked)),
        resolve,
      };
      this.#parked.add(parked);
      for (const [index, { log }] of request.positions.entries()) this.#waitersOf(log).set(parked, index);
      if (onGone === undefined) return;
      const stopListening = onGone(() => {
        if (parked.isWoken) return;
        parked.isWoken = true;
        this.#unpark(parked);
        resolve([]);
      });
      parked.resolve = (results) => {
        stopListening();
        resolve(results);
      };
    });
  }

  #waitersOf(log: PartitionLog): Map<ParkedFetch, number> {
    let waiters = this.#waiting.get(log);
    if (waiters === undefined) {
      waiters = new Map();
      this.#waiting.set(log, waiters);
      const removeListener = log.onEvent((event) => {
        this.#onLogEvent(log, event);
        if (event === 'deleted') {
          removeListener();
          this.#waiting.delete(log);
        }
      });
    }
    return waiters;
  }

  #onLogEvent(log: PartitionLog, event: LogEvent): void {
    if (event === 'appended') return; // not yet to be seen
    for (const [parked, index] of this.#waiting.get(log) ?? []) {
      if (parked.isWoken) continue;
      const position = parked.request.positions[index]!;
      if (event === 'deleted') {
        // Its beginning, or all of it: a position may be gone, which is told at once.
        this.#wake(parked);
        continue;
      }
      const bytes = availableAt(parked.request, position);
      parked.totalBytes += bytes - parked.availableBytes[index]!;
      parked.availableBytes[index] = bytes;
      if (parked.totalBytes >= parked.request.minBytes) this.#wake(parked);
    }
  }

  /** The read comes after all logs of a commit have told that they moved: one answer then holds the news of all. */
  #wake(parked: ParkedFetch): void {
    if (parked.isWoken) return;
    parked.isWoken = true;
    if (this.#woken.push(parked) === 1) queueMicrotask(() => this.#answerWoken());
  }

  #answerWoken(): void {
    const woken = this.#woken;
    this.#woken = [];
    for (const parked of woken) {
      this.#unpark(parked);
      parked.resolve(this.#read(parked.request));
    }
  }

  #unpark(parked: ParkedFetch): void {
    parked.cancelTimer();
    this.#parked.delete(parked);
    for (const { log } of parked.request.positions) this.#waiting.get(log)?.delete(parked);
  }

  /** Reads position after position, beginning with another each time: a budget that is used up must not starve the same ones. */
  #read(request: FetchRequest): readonly FetchResult[] | Promise<readonly FetchResult[]> {
    const { positions } = request;
    const results: FetchResult[] = [];
    results.length = positions.length;
    const allowedBytes = Math.min(request.maxBytes, Math.max(0, this.#responseBudget() - this.#readingBytes));
    const budget: Budget = { remainingBytes: allowedBytes, isEmpty: true };
    // Multiplied (by 2^32 over the golden ratio): with a plain count, readers that take turns would each see every other start.
    const start = positions.length === 0 ? 0 : (Math.imul(this.#rotation++, 0x9e3779b1) >>> 0) % positions.length;
    for (let step = 0; step < positions.length; step++) {
      const index = (start + step) % positions.length;
      const read = readAt(request, positions[index]!, budget);
      if (read instanceof Promise) {
        const wantedBytes = positions.reduce((sum, position) => sum + position.maxBytes, 0);
        const reservedBytes = Math.max(0, Math.min(allowedBytes, wantedBytes));
        this.#readingBytes += reservedBytes;
        return finishRead(request, results, budget, start, step, read).finally(
          () => (this.#readingBytes -= reservedBytes),
        );
      }
      results[index] = settle(read, budget);
    }
    return results;
  }
}

interface Budget {
  remainingBytes: number;
  isEmpty: boolean;
}

function readAt(
  request: FetchRequest,
  position: FetchPosition,
  budget: Budget,
): ReadResult | Error | Promise<ReadResult | Error> {
  try {
    const read = position.log.read(position.offset, {
      maxBytes: Math.max(0, Math.min(position.maxBytes, budget.remainingBytes)),
      minOneBatch: budget.isEmpty,
      isolation: request.isolation,
    });
    return read instanceof Promise ? read.catch(asError) : read;
  } catch (error) {
    return asError(error);
  }
}

function settle(read: ReadResult | Error, budget: Budget): FetchResult {
  if (!(read instanceof Error) && read.byteLength > 0) {
    budget.remainingBytes -= read.byteLength;
    budget.isEmpty = false;
  }
  return read;
}

/** The rest of a read that had to wait for the disk. */
async function finishRead(
  request: FetchRequest,
  results: FetchResult[],
  budget: Budget,
  start: number,
  firstStep: number,
  firstRead: Promise<ReadResult | Error>,
): Promise<readonly FetchResult[]> {
  const { positions } = request;
  results[(start + firstStep) % positions.length] = settle(await firstRead, budget);
  for (let step = firstStep + 1; step < positions.length; step++) {
    const index = (start + step) % positions.length;
    const read = readAt(request, positions[index]!, budget);
    results[index] = settle(read instanceof Promise ? await read : read, budget);
  }
  return results;
}

/** Most readers wait for a single byte: whether there is any is told by two numbers, without looking into the log's index. */
function availableAt(request: FetchRequest, position: FetchPosition): number {
  const { log, offset } = position;
  if (request.minBytes > 1) return log.availableBytes(offset, request.isolation);
  const end = request.isolation === 'read_committed' ? log.lastStableOffset : log.highWatermark;
  return offset < end ? 1 : 0;
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

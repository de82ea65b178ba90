import type { TopicSink } from '@millrace/serde';
import { checkPositive } from '../check-options.ts';
import { BufferOverflowError } from '../errors.ts';
import type { OutgoingRecord } from '../records.ts';
import type { RecordSender } from './record-sender.ts';

/** What an RxJS `Observable` is, as far as we need it: the root entry does not load RxJS. */
export interface Subscribable<T> {
  subscribe(observer: {
    readonly next: (value: T) => void;
    readonly error: (error: unknown) => void;
    readonly complete: () => void;
  }): { unsubscribe(): void };
}

/** Where `sendFrom` takes records from. */
export type RecordSource<T> = Iterable<T> | AsyncIterable<T> | Subscribable<T>;

export interface SendFromOptions {
  /** Records held that are not acknowledged. Default 10 000. */
  readonly maxBufferedRecords?: number | undefined;
  /** What to do with one more, of a source that cannot be slowed. Default `'fail'`. */
  readonly overflow?: 'fail' | 'dropOldest' | 'dropNewest' | undefined;
  /** Ends the sending: what was taken is still sent, and the counts are given back. */
  readonly signal?: AbortSignal | undefined;
}

export interface SendFromResult {
  readonly sentCount: number;
  readonly droppedCount: number;
}

/** Records that are sent together: a promise a group, not one a record. */
const maxGroupRecords = 500;

/** Sends all that a source yields. Rejects with the first failure, after letting go of the source. @throws `INVALID_CONFIG` */
export function sendFrom<K, V>(
  sender: RecordSender,
  topic: TopicSink<K, V>,
  source: RecordSource<OutgoingRecord<K, V>>,
  options: SendFromOptions,
): Promise<SendFromResult> {
  checkPositive(options, ['maxBufferedRecords']);
  const feed = new Feed(sender, topic, options);
  return 'subscribe' in source ? push(feed, source, options.signal) : pull(feed, source, options.signal);
}

/** An iterable is pulled only while there is room: no faster than acks come. */
async function pull<K, V>(
  feed: Feed<K, V>,
  source: Iterable<OutgoingRecord<K, V>> | AsyncIterable<OutgoingRecord<K, V>>,
  signal: AbortSignal | undefined,
): Promise<SendFromResult> {
  if (Symbol.asyncIterator in source) {
    const iterator = source[Symbol.asyncIterator]();
    // Neither an abort nor a failure waits for a source that yields nothing. (A race for each record would leave a reaction
    // to the signal behind for each.)
    let interrupt: (() => void) | undefined;
    const onAbort = (): void => interrupt?.();
    signal?.addEventListener('abort', onAbort, { once: true });
    feed.onFailure(() => interrupt?.());
    let isExhausted = false;
    try {
      while (!signal?.aborted) {
        const result = await new Promise<IteratorResult<OutgoingRecord<K, V>> | undefined>((resolve, reject) => {
          interrupt = () => resolve(undefined);
          iterator.next().then(resolve, reject);
        });
        if (result === undefined) break;
        isExhausted = result.done === true;
        if (result.done) break;
        feed.add(result.value);
        if (feed.isFull) await feed.hasRoom();
      }
    } finally {
      signal?.removeEventListener('abort', onAbort);
      if (!isExhausted) void iterator.return?.();
    }
  } else {
    for (const record of source) {
      if (signal?.aborted) break;
      feed.add(record);
      if (feed.isFull) await feed.hasRoom();
    }
  }
  return await feed.end();
}

/** An Observable comes as it comes: what finds no room is refused or dropped. */
function push<K, V>(
  feed: Feed<K, V>,
  source: Subscribable<OutgoingRecord<K, V>>,
  signal: AbortSignal | undefined,
): Promise<SendFromResult> {
  return new Promise((resolve, reject) => {
    let subscription: { unsubscribe(): void } | undefined;
    let isOver = false;
    const finish = (error?: unknown): void => {
      if (isOver) return;
      isOver = true;
      signal?.removeEventListener('abort', abort);
      subscription?.unsubscribe();
      feed.end().then(
        (result) => (error === undefined ? resolve(result) : reject(error as Error)),
        (failure: Error) => reject((error as Error | undefined) ?? failure),
      );
    };
    const abort = (): void => finish();
    if (signal?.aborted) return finish();
    signal?.addEventListener('abort', abort, { once: true });
    feed.onFailure(finish);
    subscription = source.subscribe({
      next: (record) => {
        if (isOver) return;
        const overflow = feed.offer(record);
        if (overflow !== undefined) finish(overflow);
      },
      error: finish,
      complete: () => finish(),
    });
    // It ended while it was being subscribed to.
    if (isOver) subscription.unsubscribe();
  });
}

/** Records on their way: a queue, and groups that are sent and not acknowledged. */
class Feed<K, V> {
  readonly #sender: RecordSender;
  readonly #topic: TopicSink<K, V>;
  readonly #maxBufferedRecords: number;
  readonly #overflow: 'fail' | 'dropOldest' | 'dropNewest';
  /** Half of what may be held is sent, the other half can still be dropped. */
  readonly #maxInFlight: number;
  #queue: OutgoingRecord<K, V>[] = [];
  #inFlight = 0;
  #sentCount = 0;
  #droppedCount = 0;
  #failure: Error | undefined;
  #isScheduled = false;
  #onChange: (() => void) | undefined;
  #onFailure: ((error: Error) => void) | undefined;

  constructor(sender: RecordSender, topic: TopicSink<K, V>, options: SendFromOptions) {
    this.#sender = sender;
    this.#topic = topic;
    this.#maxBufferedRecords = options.maxBufferedRecords ?? 10_000;
    this.#overflow = options.overflow ?? 'fail';
    this.#maxInFlight = Math.max(1, this.#maxBufferedRecords >> 1);
  }

  get isFull(): boolean {
    return this.#queue.length + this.#inFlight >= this.#maxBufferedRecords || this.#failure !== undefined;
  }

  /** Adds a record that there is room for. */
  add(record: OutgoingRecord<K, V>): void {
    this.#queue.push(record);
    this.#schedule();
  }

  /** Adds a record, or does what `overflow` says; the error if that is to fail. */
  offer(record: OutgoingRecord<K, V>): Error | undefined {
    if (!this.isFull) {
      this.add(record);
      return undefined;
    }
    if (this.#overflow === 'fail') return new BufferOverflowError(this.#topic.name, this.#maxBufferedRecords);
    this.#droppedCount++;
    if (this.#overflow === 'dropOldest' && this.#queue.length > 0) {
      this.#queue.shift();
      this.add(record);
    }
    return undefined;
  }

  onFailure(listener: (error: Error) => void): void {
    this.#onFailure = listener;
  }

  /** @throws the first failure */
  async hasRoom(): Promise<void> {
    await this.#until(() => !this.isFull);
  }

  /** Resolves when all is acknowledged. @throws the first failure */
  async end(): Promise<SendFromResult> {
    await this.#until(() => this.#queue.length === 0 && this.#inFlight === 0);
    return { sentCount: this.#sentCount, droppedCount: this.#droppedCount };
  }

  async #until(isTrue: () => boolean): Promise<void> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      if (isTrue()) return;
      await new Promise<void>((resolve) => (this.#onChange = resolve));
    }
  }

  /** What comes in one go leaves in one call. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      this.#sendGroups();
    });
  }

  #sendGroups(): void {
    while (this.#queue.length > 0 && this.#inFlight < this.#maxInFlight && this.#failure === undefined) {
      const count = Math.min(maxGroupRecords, this.#maxInFlight - this.#inFlight);
      const group = this.#queue.slice(0, count);
      this.#queue = this.#queue.slice(count);
      this.#inFlight += group.length;
      this.#sender.send(this.#topic, group).then(
        () => {
          this.#sentCount += group.length;
          this.#landed(group.length);
        },
        (error: Error) => {
          this.#failure ??= error;
          this.#landed(group.length);
          this.#onFailure?.(error);
        },
      );
    }
  }

  #landed(count: number): void {
    this.#inFlight -= count;
    this.#onChange?.();
    this.#sendGroups();
  }
}

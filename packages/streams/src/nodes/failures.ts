import { isOfState, RecordFailedError, type ErrorPolicy, type RetryPolicy } from '../errors.ts';
import { deadLetterHeaders } from '../dead-letters.ts';
import type { RecordFailure, TaskEnvironment } from '../task/ports.ts';
import type { CurrentRecord, RecordSnapshot } from '../task/record-context.ts';
import type { Receiver } from './receiver.ts';

/** Counts of a task. */
export class TaskCounts {
  processedRecords = 0;
  lateRecords = 0;
  droppedRecords = 0;
  skippedRecords = 0;
  deadLetters = 0;
  retries = 0;
}

type Final = Exclude<ErrorPolicy, RetryPolicy>;

/** What one node does with a record that fails. */
export class Failures {
  readonly node: string;
  readonly retry: RetryPolicy | undefined;
  /** The node itself, for a retry; set when it is made. */
  retrying: Retrying | undefined = undefined;
  readonly #final: Final;
  readonly #record: CurrentRecord;
  readonly #environment: TaskEnvironment;
  readonly #counts: TaskCounts;

  constructor(
    node: string,
    policy: ErrorPolicy,
    record: CurrentRecord,
    environment: TaskEnvironment,
    counts: TaskCounts,
  ) {
    this.node = node;
    this.retry = typeof policy === 'object' && 'retries' in policy ? policy : undefined;
    this.#final = this.retry === undefined ? (policy as Final) : (this.retry.then ?? 'fail');
    this.#record = record;
    this.#environment = environment;
    this.#counts = counts;
  }

  /** The record at hand failed in this node, with these arguments. Returns if the task goes on. */
  handle(error: unknown, key: unknown, value: unknown, oldValue: unknown): void {
    if (!isOfState(error) && this.retrying?.tryLater(error, key, value, oldValue) === true) return;
    this.giveUp(error);
  }

  /** @param record the record that is tried again, if it is not the one at hand */
  retried(error: unknown, record: RecordSnapshot = this.#record): void {
    this.#counts.retries++;
    this.#report(error, 'retried', record);
  }

  /** No further try. @throws {RecordFailedError} if the policy is to fail, or no policy is meant for such an error */
  giveUp(error: unknown): void {
    const record = this.#record;
    const policy = this.#final;
    if (policy === 'fail' || isOfState(error)) throw new RecordFailedError(this.node, record, error);
    if (policy === 'skip') {
      this.#counts.skippedRecords++;
      this.#report(error, 'skipped');
      return;
    }
    const source = {
      topic: record.topic,
      partition: record.partition,
      offset: record.offset,
      timestampMs: record.sourceTimestampMs,
    };
    const headers = deadLetterHeaders(this.#environment.applicationId, { node: this.node, source }, error);
    this.#environment.collector.send(
      policy.deadLetter,
      -1,
      record.sourceTimestampMs,
      record.keyBytes,
      record.valueBytes,
      record.sourceHeaders.length === 0 ? headers : [...record.sourceHeaders, ...headers],
    );
    this.#counts.deadLetters++;
    this.#report(error, 'deadLettered');
  }

  #report(error: unknown, outcome: RecordFailure['outcome'], record: RecordSnapshot = this.#record): void {
    const { topic, partition, offset, sourceTimestampMs: timestampMs } = record;
    this.#environment.onFailure?.({
      node: this.node,
      error,
      outcome,
      source: { topic, partition, offset, timestampMs },
    });
  }
}

/** What a record that is tried again goes into: a node may have several. */
export interface RetriedInput extends Receiver {
  /** The value to wait with: with what the node looks up for it, as of now. Default: the value alone. */
  hold?(key: unknown, value: unknown): unknown;
}

interface Waiting {
  readonly input: RetriedInput;
  readonly key: unknown;
  readonly value: unknown;
  readonly oldValue: unknown;
  readonly record: RecordSnapshot;
  readonly attempt: number;
}

/**
 * The inputs of a node with a retry policy. A record that failed waits for its next try, and what comes after it, by whatever
 * input, waits behind it, so order is kept; the rest of the task stands still meanwhile (`canProcess`).
 */
export class Retrying {
  readonly #failures: Failures;
  readonly #policy: RetryPolicy;
  readonly #record: CurrentRecord;
  readonly #environment: TaskEnvironment;
  readonly #queue: Waiting[] = [];
  #attempt = 0;
  /** What is being tried. */
  #trying: RetriedInput | null = null;
  #isDue = true;
  #cancel: (() => void) | undefined;

  constructor(failures: Failures, policy: RetryPolicy, record: CurrentRecord, environment: TaskEnvironment) {
    this.#failures = failures;
    this.#policy = policy;
    this.#record = record;
    this.#environment = environment;
    failures.retrying = this;
  }

  get isWaiting(): boolean {
    return this.#queue.length > 0;
  }

  /** What is passed to the input instead. */
  around(input: RetriedInput): Receiver {
    return { receive: (key, value, oldValue) => this.#receive(input, key, value, oldValue) };
  }

  #receive(input: RetriedInput, key: unknown, value: unknown, oldValue: unknown): void {
    if (this.#queue.length > 0) {
      this.#queue.push({ ...this.#waitingOf(input, key, value, oldValue), attempt: 0 });
      return;
    }
    this.#try(input, 0, key, value, oldValue);
  }

  #try(input: RetriedInput, attempt: number, key: unknown, value: unknown, oldValue: unknown): void {
    this.#attempt = attempt;
    this.#trying = input;
    input.receive(key, value, oldValue);
    this.#trying = null;
  }

  /** Whether there is another try. */
  tryLater(error: unknown, key: unknown, value: unknown, oldValue: unknown): boolean {
    const { retries, backoffMs = 100, maxBackoffMs = 10_000, when } = this.#policy;
    const input = this.#trying;
    if (input === null || this.#attempt >= retries || when?.(error) === false) return false;
    this.#failures.retried(error);
    this.#queue.unshift({ ...this.#waitingOf(input, key, value, oldValue), attempt: this.#attempt + 1 });
    this.#isDue = false;
    this.#cancel = this.#environment.clock.after(Math.min(backoffMs * 2 ** this.#attempt, maxBackoffMs), () => {
      this.#isDue = true;
      this.#environment.onProgress();
    });
    return true;
  }

  #waitingOf(input: RetriedInput, key: unknown, value: unknown, oldValue: unknown): Omit<Waiting, 'attempt'> {
    const held = input.hold === undefined ? value : input.hold(key, value);
    return { input, key, value: held, oldValue, record: this.#record.snapshot() };
  }

  /** Does what is due. */
  resume(): void {
    while (this.#isDue && this.#queue.length > 0) {
      const { input, key, value, oldValue, record, attempt } = this.#queue.shift()!;
      this.#record.restore(record);
      this.#try(input, attempt, key, value, oldValue);
    }
  }

  close(): void {
    this.#cancel?.();
  }
}

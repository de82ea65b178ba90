import { encode, recordHeaders, type SerdeContext } from '@millrace/serde';
import { MillraceError } from '@millrace/platform';
import type { AsyncContext } from '../dsl/kstream.ts';
import type { MapAsyncNode as MapAsyncPlan } from '../plan/plan.ts';
import type { TaskEnvironment } from '../task/ports.ts';
import type { CurrentRecord, RecordSnapshot } from '../task/record-context.ts';
import type { Failures } from './failures.ts';
import type { Receiver } from './receiver.ts';

/** A call to the outside has taken longer than `timeoutMs`. */
export class CallTimeoutError extends MillraceError {
  readonly code = 'CALL_TIMEOUT';
  constructor(node: string, timeoutMs: number) {
    super(`A call of '${node}' took longer than ${timeoutMs} ms. Raise timeoutMs, or let onError try it again.`, {
      context: { node, timeoutMs },
      retriable: true,
    });
  }
}

interface Call {
  readonly key: unknown;
  readonly value: unknown;
  /** Whose results keep an order among each other. */
  readonly lane: string;
  readonly record: RecordSnapshot;
  attempt: number;
  outcome: { readonly result: unknown } | { readonly error: unknown } | null;
}

/**
 * Calls to the outside. Answers come in turns of their own; they wait here until the task resumes, and go on in the order of
 * their lane: the key's, the partition's, or none.
 */
export class MapAsyncNode implements Receiver {
  readonly #plan: MapAsyncPlan;
  readonly #record: CurrentRecord;
  readonly #environment: TaskEnvironment;
  readonly #failures: Failures;
  readonly #next: Receiver;
  readonly #keyContext: SerdeContext = { topic: '', part: 'key', headers: recordHeaders() };
  /** Calls not passed on yet, by lane, in the order in which they came. */
  readonly #lanes = new Map<string, Call[]>();
  /** Those that found no room. One record may have many results; the task stops pulling meanwhile. */
  readonly #waiting: Call[] = [];
  readonly #aborts = new Set<AbortController>();
  readonly #timers = new Set<() => void>();
  /** Calls out, or waiting for their next try. */
  #running = 0;
  #pending = 0;
  #nextLane = 0;
  #isClosed = false;

  constructor(
    plan: MapAsyncPlan,
    record: CurrentRecord,
    environment: TaskEnvironment,
    failures: Failures,
    next: Receiver,
  ) {
    this.#plan = plan;
    this.#record = record;
    this.#environment = environment;
    this.#failures = failures;
    this.#next = next;
  }

  get hasRoom(): boolean {
    return this.#pending < this.#plan.concurrency;
  }

  /** Calls whose results have not gone on yet. */
  get pendingCount(): number {
    return this.#pending;
  }

  /** Calls that are out now: not those that wait for their next try. */
  get callsOut(): number {
    return this.#aborts.size;
  }

  receive(key: unknown, value: unknown): void {
    const call: Call = {
      key,
      value,
      lane: this.#laneOf(key),
      record: this.#record.snapshot(),
      attempt: 0,
      outcome: null,
    };
    const lane = this.#lanes.get(call.lane);
    if (lane === undefined) this.#lanes.set(call.lane, [call]);
    else lane.push(call);
    this.#pending++;
    if (this.#running < this.#plan.concurrency) this.#start(call);
    else this.#waiting.push(call);
  }

  /** Passes on what is answered and next in its lane. */
  resume(): void {
    for (const [name, lane] of this.#lanes) {
      while (lane.length > 0 && lane[0]!.outcome !== null) {
        const { key, record, outcome } = lane.shift()!;
        this.#pending--;
        this.#record.restore(record);
        if ('error' in outcome!) this.#failures.giveUp(outcome.error);
        else this.#next.receive(key, outcome!.result, undefined);
      }
      if (lane.length === 0) this.#lanes.delete(name);
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const abort of this.#aborts) abort.abort();
    for (const cancel of this.#timers) cancel();
  }

  #laneOf(key: unknown): string {
    switch (this.#plan.order) {
      case 'partition':
        return '';
      case 'none':
        return String(this.#nextLane++);
      case 'key': {
        const bytes = encode(this.#plan.key, key, this.#keyContext);
        return bytes === null ? '-' : `k${Buffer.from(bytes).toString('latin1')}`;
      }
    }
  }

  #start(call: Call): void {
    this.#running++;
    const { timeoutMs } = this.#plan;
    const abort = new AbortController();
    const timeout = new CallTimeoutError(this.#failures.node, timeoutMs);
    let isOver = false;
    const end = (settle: () => void): void => {
      if (isOver) return;
      isOver = true;
      cancel();
      this.#timers.delete(cancel);
      this.#aborts.delete(abort);
      if (!this.#isClosed) settle();
    };
    const cancel = this.#environment.clock.after(timeoutMs, () => {
      abort.abort(timeout);
      end(() => this.#failed(call, timeout));
    });
    this.#timers.add(cancel);
    this.#aborts.add(abort);
    let promise: PromiseLike<unknown>;
    try {
      promise = this.#plan.call(call.value, call.key, contextOf(call, abort.signal));
    } catch (error) {
      promise = Promise.reject(error as Error);
    }
    void Promise.resolve(promise).then(
      (result) => end(() => this.#settle(call, { result })),
      (error: unknown) => end(() => this.#failed(call, error)),
    );
  }

  #failed(call: Call, error: unknown): void {
    const { retry } = this.#failures;
    try {
      if (retry === undefined || call.attempt >= retry.retries || retry.when?.(error) === false) {
        return this.#settle(call, { error });
      }
    } catch (failure) {
      return this.#settle(call, { error: failure }); // `when` is the user's; nobody would see what it throws here
    }
    const { backoffMs = 100, maxBackoffMs = 10_000 } = retry;
    const waitMs = Math.min(backoffMs * 2 ** call.attempt, maxBackoffMs);
    call.attempt++;
    this.#failures.retried(error, call.record);
    const cancel = this.#environment.clock.after(waitMs, () => {
      this.#timers.delete(cancel);
      this.#running--; // it kept its place: others do not overtake it for ever
      this.#start(call);
    });
    this.#timers.add(cancel);
  }

  #settle(call: Call, outcome: NonNullable<Call['outcome']>): void {
    call.outcome = outcome;
    this.#running--;
    const next = this.#waiting.shift();
    if (next !== undefined) this.#start(next);
    this.#environment.onProgress();
  }
}

function contextOf(call: Call, signal: AbortSignal): AsyncContext {
  const { topic, partition, offset, timestampMs, headerEntries } = call.record;
  return {
    topic,
    partition,
    offset,
    timestampMs,
    headers: recordHeaders(headerEntries),
    signal,
    attempt: call.attempt,
  };
}

import type { RecordHeaders } from '@millrace/serde';
import type { ProcessorContext, Timer } from '../dsl/processor.ts';
import type { ProcessNode as ProcessPlan } from '../plan/plan.ts';
import type { CurrentRecord } from '../task/record-context.ts';
import type { Failures, TaskCounts } from './failures.ts';
import type { Receiver } from './receiver.ts';
import { isNothing, notPromise } from './stateless.ts';
import type { TimerQueue } from './timers.ts';

/** A processor of the user: any number of results per record, with stores and timers of the key at hand. */
export class ProcessNode implements Receiver {
  readonly #plan: ProcessPlan;
  readonly #timers: TimerQueue | undefined;
  readonly #record: CurrentRecord;
  readonly #failures: Failures;
  readonly #counts: TaskCounts;
  readonly #next: Receiver;
  readonly #context: ProcessorContext<any>;
  #key: unknown = undefined;

  constructor(
    plan: ProcessPlan,
    stores: Readonly<Record<string, unknown>>,
    timers: TimerQueue | undefined,
    time: { readonly streamTimeMs: number },
    record: CurrentRecord,
    failures: Failures,
    counts: TaskCounts,
    next: Receiver,
  ) {
    this.#plan = plan;
    this.#timers = timers;
    this.#record = record;
    this.#failures = failures;
    this.#counts = counts;
    this.#next = next;
    const noTimers = {
      set: () => this.#refuseTimers(),
      cancel: () => this.#refuseTimers(),
    };
    this.#context = new Context(record, time, stores, timers?.forKey(() => this.#key) ?? noTimers);
  }

  receive(key: unknown, value: unknown): void {
    if (isNothing(key)) {
      this.#counts.droppedRecords++;
      return;
    }
    this.#key = key;
    let results: readonly unknown[];
    try {
      results = this.#resultsOf(this.#plan.onRecord(value, key, this.#context));
    } catch (error) {
      return this.#failures.handle(error, key, value, undefined);
    }
    for (let i = 0; i < results.length; i++) this.#next.receive(key, results[i], undefined);
  }

  /** Timers that are due by now. */
  fire(clock: Timer['clock'], timeMs: number): void {
    const { onTimer } = this.#plan;
    if (this.#timers === undefined || onTimer === undefined) return;
    const record = this.#record;
    const { timestampMs, headerEntries } = record;
    for (const { key, timer } of this.#timers.takeDue(clock, timeMs)) {
      this.#key = key;
      record.timestampMs = timer.atMs;
      record.headerEntries = [];
      let results: readonly unknown[];
      try {
        results = this.#resultsOf(onTimer(timer, key, this.#context));
      } catch (error) {
        this.#failures.giveUp(error);
        continue;
      }
      for (let i = 0; i < results.length; i++) this.#next.receive(key, results[i], undefined);
    }
    record.timestampMs = timestampMs;
    record.headerEntries = headerEntries;
  }

  /** Generators run to their end here: whole, or not at all. */
  #resultsOf(made: Iterable<unknown> | void): readonly unknown[] {
    if (made === undefined) return nothing;
    notPromise(this.#failures.node, made);
    return Array.isArray(made) ? made : [...made];
  }

  #refuseTimers(): never {
    throw new TypeError(`The processor '${this.#plan.name}' sets timers, but has no onTimer that they could call.`);
  }
}

const nothing: readonly unknown[] = [];

class Context implements ProcessorContext<any> {
  readonly stores: any;
  readonly timers: ProcessorContext<any>['timers'];
  readonly #record: CurrentRecord;
  readonly #time: { readonly streamTimeMs: number };

  constructor(
    record: CurrentRecord,
    time: { readonly streamTimeMs: number },
    stores: Readonly<Record<string, unknown>>,
    timers: ProcessorContext<any>['timers'],
  ) {
    this.stores = stores;
    this.timers = timers;
    this.#record = record;
    this.#time = time;
  }

  get topic(): string {
    return this.#record.topic;
  }
  get partition(): number {
    return this.#record.partition;
  }
  get offset(): number {
    return this.#record.offset;
  }
  get timestampMs(): number {
    return this.#record.timestampMs;
  }
  get headers(): RecordHeaders {
    return this.#record.headers;
  }
  get streamTimeMs(): number {
    return this.#time.streamTimeMs;
  }
}

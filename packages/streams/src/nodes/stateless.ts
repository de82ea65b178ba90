import { headerEntries, type HeadersInit } from '@millrace/serde';
import { PromiseValueError } from '../errors.ts';
import { checkedTime } from '../event-time.ts';
import type { KeyedValue } from '../dsl/kstream.ts';
import type { UserFunction } from '../plan/plan.ts';
import type { CurrentRecord } from '../task/record-context.ts';
import type { Failures } from './failures.ts';
import type { Receiver } from './receiver.ts';

// Each calls the user's function inside `try` and passes on outside of it: what fails further down is that node's failure.
// The shape is written out in each node. A base class with `receive` and an overridden step would have one call site for the
// user's function and one for the next node, shared by all nodes of a process, where now each class has its own; and the step
// would have to say "failed" and "several results" besides a value, for which it would allocate, or test, with every record.

/** @throws {PromiseValueError} Types tell it where the value meets a topic or a store; this tells it wherever it is made. */
export function notPromise(node: string, value: unknown): void {
  if (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as Partial<PromiseLike<unknown>>).then === 'function'
  ) {
    throw new PromiseValueError(node);
  }
}

/** What a function returns who has nothing to say may be undefined: in keys and values that is as null. */
export function isNothing(value: unknown): value is null | undefined {
  return value === null || value === undefined;
}

export class FilterNode implements Receiver {
  readonly #predicate: UserFunction<boolean>;
  readonly #record: CurrentRecord;
  readonly #failures: Failures;
  readonly #next: Receiver;

  constructor(predicate: UserFunction<boolean>, record: CurrentRecord, failures: Failures, next: Receiver) {
    this.#predicate = predicate;
    this.#record = record;
    this.#failures = failures;
    this.#next = next;
  }

  receive(key: unknown, value: unknown): void {
    let passes: boolean;
    try {
      passes = this.#predicate(value, key, this.#record);
      if (passes !== true) notPromise(this.#failures.node, passes);
    } catch (error) {
      return this.#failures.handle(error, key, value, undefined);
    }
    if (passes) this.#next.receive(key, value, undefined);
  }
}

export class MapValuesNode implements Receiver {
  readonly #mapper: UserFunction<unknown>;
  readonly #record: CurrentRecord;
  readonly #failures: Failures;
  readonly #next: Receiver;

  constructor(mapper: UserFunction<unknown>, record: CurrentRecord, failures: Failures, next: Receiver) {
    this.#mapper = mapper;
    this.#record = record;
    this.#failures = failures;
    this.#next = next;
  }

  receive(key: unknown, value: unknown): void {
    let mapped: unknown;
    try {
      mapped = this.#mapper(value, key, this.#record);
      notPromise(this.#failures.node, mapped);
    } catch (error) {
      return this.#failures.handle(error, key, value, undefined);
    }
    this.#next.receive(key, mapped, undefined);
  }
}

export class FlatMapValuesNode implements Receiver {
  readonly #mapper: UserFunction<Iterable<unknown>>;
  readonly #record: CurrentRecord;
  readonly #failures: Failures;
  readonly #next: Receiver;

  constructor(mapper: UserFunction<Iterable<unknown>>, record: CurrentRecord, failures: Failures, next: Receiver) {
    this.#mapper = mapper;
    this.#record = record;
    this.#failures = failures;
    this.#next = next;
  }

  receive(key: unknown, value: unknown): void {
    let results: readonly unknown[];
    try {
      const made = this.#mapper(value, key, this.#record);
      notPromise(this.#failures.node, made);
      results = Array.isArray(made) ? made : [...made]; // whole, or not at all
    } catch (error) {
      return this.#failures.handle(error, key, value, undefined);
    }
    for (let i = 0; i < results.length; i++) this.#next.receive(key, results[i], undefined);
  }
}

export class PeekNode implements Receiver {
  readonly #action: UserFunction<void>;
  readonly #record: CurrentRecord;
  readonly #failures: Failures;
  readonly #next: Receiver;

  constructor(action: UserFunction<void>, record: CurrentRecord, failures: Failures, next: Receiver) {
    this.#action = action;
    this.#record = record;
    this.#failures = failures;
    this.#next = next;
  }

  receive(key: unknown, value: unknown): void {
    try {
      this.#action(value, key, this.#record);
    } catch (error) {
      return this.#failures.handle(error, key, value, undefined);
    }
    this.#next.receive(key, value, undefined);
  }
}

export class WithTimestampNode implements Receiver {
  readonly #timestampMs: UserFunction<number>;
  readonly #record: CurrentRecord;
  readonly #failures: Failures;
  readonly #next: Receiver;

  constructor(timestampMs: UserFunction<number>, record: CurrentRecord, failures: Failures, next: Receiver) {
    this.#timestampMs = timestampMs;
    this.#record = record;
    this.#failures = failures;
    this.#next = next;
  }

  receive(key: unknown, value: unknown): void {
    const record = this.#record;
    let timestampMs: number;
    try {
      timestampMs = checkedTime(this.#timestampMs(value, key, record));
    } catch (error) {
      return this.#failures.handle(error, key, value, undefined);
    }
    const before = record.timestampMs;
    record.timestampMs = timestampMs;
    this.#next.receive(key, value, undefined);
    record.timestampMs = before;
  }
}

export class WithHeadersNode implements Receiver {
  readonly #headers: UserFunction<HeadersInit>;
  readonly #record: CurrentRecord;
  readonly #failures: Failures;
  readonly #next: Receiver;

  constructor(headers: UserFunction<HeadersInit>, record: CurrentRecord, failures: Failures, next: Receiver) {
    this.#headers = headers;
    this.#record = record;
    this.#failures = failures;
    this.#next = next;
  }

  receive(key: unknown, value: unknown): void {
    const record = this.#record;
    const before = record.headerEntries;
    let entries: CurrentRecord['headerEntries'];
    try {
      const added = this.#headers(value, key, record);
      notPromise(this.#failures.node, added);
      entries = [...before, ...headerEntries(added)];
    } catch (error) {
      return this.#failures.handle(error, key, value, undefined);
    }
    record.headerEntries = entries;
    this.#next.receive(key, value, undefined);
    record.headerEntries = before;
  }
}

export class SelectKeyNode implements Receiver {
  readonly #mapper: UserFunction<unknown>;
  readonly #record: CurrentRecord;
  readonly #failures: Failures;
  readonly #next: Receiver;

  constructor(mapper: UserFunction<unknown>, record: CurrentRecord, failures: Failures, next: Receiver) {
    this.#mapper = mapper;
    this.#record = record;
    this.#failures = failures;
    this.#next = next;
  }

  receive(key: unknown, value: unknown): void {
    let newKey: unknown;
    try {
      newKey = this.#mapper(value, key, this.#record);
      notPromise(this.#failures.node, newKey);
    } catch (error) {
      return this.#failures.handle(error, key, value, undefined);
    }
    this.#next.receive(newKey, value, undefined);
  }
}

/** `map` and `flatMap`: the mapper gives records, with a time and headers of their own if it likes. */
export class FlatMapNode implements Receiver {
  readonly #mapper: UserFunction<Iterable<KeyedValue<unknown, unknown>>>;
  readonly #record: CurrentRecord;
  readonly #failures: Failures;
  readonly #next: Receiver;

  constructor(
    mapper: UserFunction<Iterable<KeyedValue<unknown, unknown>>>,
    record: CurrentRecord,
    failures: Failures,
    next: Receiver,
  ) {
    this.#mapper = mapper;
    this.#record = record;
    this.#failures = failures;
    this.#next = next;
  }

  receive(key: unknown, value: unknown): void {
    const record = this.#record;
    let results: readonly KeyedValue<unknown, unknown>[];
    try {
      const made = this.#mapper(value, key, record);
      notPromise(this.#failures.node, made);
      results = [...made];
      for (const { timestampMs } of results) if (timestampMs !== undefined) checkedTime(timestampMs);
    } catch (error) {
      return this.#failures.handle(error, key, value, undefined);
    }
    const { timestampMs, headerEntries: entries } = record;
    for (const result of results) {
      record.timestampMs = result.timestampMs ?? timestampMs;
      record.headerEntries = result.headers === undefined ? entries : headerEntries(result.headers);
      this.#next.receive(result.key, result.value, undefined);
    }
    record.timestampMs = timestampMs;
    record.headerEntries = entries;
  }
}

export class BranchNode implements Receiver {
  readonly #guards: readonly UserFunction<boolean>[];
  readonly #record: CurrentRecord;
  readonly #failures: Failures;
  /** One more than there are guards: the last is the rest. */
  readonly #arms: readonly Receiver[];

  constructor(
    guards: readonly UserFunction<boolean>[],
    record: CurrentRecord,
    failures: Failures,
    arms: readonly Receiver[],
  ) {
    this.#guards = guards;
    this.#record = record;
    this.#failures = failures;
    this.#arms = arms;
  }

  receive(key: unknown, value: unknown): void {
    let arm = 0;
    try {
      for (; arm < this.#guards.length; arm++) {
        const takes = this.#guards[arm]!(value, key, this.#record);
        if (takes !== true) notPromise(this.#failures.node, takes);
        if (takes) break;
      }
    } catch (error) {
      return this.#failures.handle(error, key, value, undefined);
    }
    this.#arms[arm]!.receive(key, value, undefined);
  }
}

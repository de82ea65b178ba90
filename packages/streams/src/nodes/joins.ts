import type { GlobalStore } from '../task/ports.ts';
import type { Failures, TaskCounts } from './failures.ts';
import type { Receiver } from './receiver.ts';
import { isNothing, notPromise } from './stateless.ts';
import type { TableGetter } from './stored-table.ts';

type Joiner = (left: any, right: any, key: any) => unknown;

/** Each record meets the table's row as it is now. */
export class StreamTableJoinNode implements Receiver {
  readonly #joiner: Joiner;
  readonly #isLeft: boolean;
  readonly #table: TableGetter;
  readonly #failures: Failures;
  readonly #counts: TaskCounts;
  readonly #next: Receiver;

  constructor(
    joiner: Joiner,
    isLeft: boolean,
    table: TableGetter,
    failures: Failures,
    counts: TaskCounts,
    next: Receiver,
  ) {
    this.#joiner = joiner;
    this.#isLeft = isLeft;
    this.#table = table;
    this.#failures = failures;
    this.#counts = counts;
    this.#next = next;
  }

  receive(key: unknown, value: unknown): void {
    const hasKey = !isNothing(key);
    if (isNothing(value) || (!hasKey && !this.#isLeft)) {
      this.#counts.droppedRecords++;
      return;
    }
    let joined: unknown;
    try {
      const row = hasKey ? this.#table.get(key) : undefined;
      if (row === undefined && !this.#isLeft) return;
      joined = this.#joiner(value, row, key);
      notPromise(this.#failures.node, joined);
    } catch (error) {
      return this.#failures.handle(error, key, value, undefined);
    }
    this.#next.receive(key, joined, undefined);
  }
}

/** Each record meets the row that `on` names. */
export class StreamGlobalTableJoinNode implements Receiver {
  readonly #joiner: Joiner;
  readonly #isLeft: boolean;
  readonly #on: (value: any, key: any) => unknown;
  readonly #table: GlobalStore;
  readonly #failures: Failures;
  readonly #counts: TaskCounts;
  readonly #next: Receiver;

  constructor(
    plan: { readonly joiner: Joiner; readonly join: 'inner' | 'left'; readonly on: (value: any, key: any) => unknown },
    table: GlobalStore,
    failures: Failures,
    counts: TaskCounts,
    next: Receiver,
  ) {
    this.#joiner = plan.joiner;
    this.#isLeft = plan.join === 'left';
    this.#on = plan.on;
    this.#table = table;
    this.#failures = failures;
    this.#counts = counts;
    this.#next = next;
  }

  receive(key: unknown, value: unknown): void {
    if (isNothing(value)) {
      this.#counts.droppedRecords++;
      return;
    }
    let joined: unknown;
    try {
      const on = this.#on(value, key);
      const row = isNothing(on) ? undefined : this.#table.get(on);
      if (row === undefined && !this.#isLeft) return;
      joined = this.#joiner(value, row, key);
      notPromise(this.#failures.node, joined);
    } catch (error) {
      return this.#failures.handle(error, key, value, undefined);
    }
    this.#next.receive(key, joined, undefined);
  }
}

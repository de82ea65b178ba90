import { MillraceError } from '@millrace/platform';

/**
 * A policy, per node. Default `'fail'`: the app stops, nothing is committed, the record is there again at the next start.
 * So it does by any policy with `STORE_CORRUPT` and `KEY_NOT_DECLARED`, which are not a record's fault.
 * A dead letter holds the source record's bytes; its headers say where it was, which node failed, and why (`deadLetterOf`).
 */
export type ErrorPolicy = 'fail' | 'skip' | { readonly deadLetter: string } | RetryPolicy;

/** Tries a failed record again, then gives up by `then`. */
export interface RetryPolicy {
  /** Tries after the first. */
  readonly retries: number;
  /** Before the first retry, doubled at each. Default 100. */
  readonly backoffMs?: number | undefined;
  /** Default 10 000. */
  readonly maxBackoffMs?: number | undefined;
  /** Which errors are worth a retry. Default: all. */
  readonly when?: ((error: unknown) => boolean) | undefined;
  /** For the others, and after the last retry. Default `'fail'`. */
  readonly then?: 'fail' | 'skip' | { readonly deadLetter: string } | undefined;
}

/** What every operator that runs user code takes. */
export interface NodeOptions {
  /** For metrics, errors and pictures. Default: the operator's name and place. No state hangs on it, unless it is mandatory. */
  readonly name?: string | undefined;
  /** Default: the builder's. */
  readonly onError?: ErrorPolicy | undefined;
}

/** Codes of errors that a plan, its build or its engine makes. */
export type StreamsErrorCode =
  | 'INVALID_PLAN'
  | 'DUPLICATE_NAME'
  | 'NOT_COPARTITIONED'
  | 'NONDETERMINISTIC_SINK'
  | 'RECORD_FAILED'
  | 'PROMISE_VALUE'
  | 'LATE_EMISSION'
  | 'SEGMENT_COMPLETED'
  | 'CALL_TIMEOUT'
  | 'TASK_CLOSED'
  | 'KEY_NOT_DECLARED'
  | 'STORE_CORRUPT'
  | 'SINK_BUSY';

/** The plan cannot run as it is; the message says which node, and what to write instead. */
export class InvalidPlanError extends MillraceError {
  readonly code = 'INVALID_PLAN';
  constructor(reason: string, context: Readonly<Record<string, unknown>> = {}) {
    super(reason, { context });
  }
}

/** Two nodes, stores or internal topics of a plan have one name. */
export class DuplicateNameError extends MillraceError {
  readonly code = 'DUPLICATE_NAME';
  constructor(what: string, name: string) {
    super(`There are two ${what} named '${name}'. State hangs on names, so each has its own: rename one.`, {
      context: { what, name },
    });
  }
}

/** Topics whose equal keys must meet have different numbers of partitions. */
export class NotCopartitionedError extends MillraceError {
  readonly code = 'NOT_COPARTITIONED';
  constructor(topics: Readonly<Record<string, number>>) {
    const list = Object.entries(topics).map(([topic, count]) => `${topic} (${count})`);
    super(
      `These topics are joined or share a store, but have different numbers of partitions: ${list.join(', ')}. ` +
        'Give them the same number, or put .repartition({ name }) behind one of them.',
      { context: { topics } },
    );
  }
}

/** A sink gets results that a replay would not reproduce. */
export class NondeterministicSinkError extends MillraceError {
  readonly code = 'NONDETERMINISTIC_SINK';
  constructor(sink: string, because: string) {
    super(
      `The sink '${sink}' is behind ${because}, so a replay after a crash may give it other results than before, and what it ` +
        'skips as known would be lost. Put .repartition({ name }) before the sink: that fixes the results on a topic.',
      { context: { sink, because } },
    );
  }
}

/** A record failed in a node whose policy is to stop. Nothing was committed: the record is there again at the next start. */
export class RecordFailedError extends MillraceError {
  readonly code = 'RECORD_FAILED';
  constructor(
    node: string,
    source: { readonly topic: string; readonly partition: number; readonly offset: number },
    cause: unknown,
  ) {
    const { topic, partition, offset } = source;
    const remedy = isOfState(cause)
      ? ''
      : " Correct the code or the record; or give the node a policy: onError: 'skip', { deadLetter }, { retries }.";
    super(
      `The record ${topic}-${partition}@${offset} failed in '${node}': ${cause instanceof Error ? cause.message : String(cause)}${remedy}`,
      { context: { node, topic, partition, offset }, cause },
    );
  }
}

/** A function returned a promise where a value is needed. */
export class PromiseValueError extends MillraceError {
  readonly code = 'PROMISE_VALUE';
  constructor(node: string) {
    super(`'${node}' returned a promise. Operators are synchronous: use mapAsync, which is bounded and keeps order.`, {
      context: { node },
    });
  }
}

/** An RxJS operator in `pipe` emitted or failed after its input had been pushed. */
export class LateEmissionError extends MillraceError {
  readonly code = 'LATE_EMISSION';
  constructor(node: string) {
    super(
      `An operator in '${node}' emitted or failed after its record had been processed (debounceTime, delay, a promise in mergeMap?). ` +
        'Its result has no record, and would be lost by a crash: use a window, a processor with timers, or mapAsync.',
      { context: { node } },
    );
  }
}

/** An RxJS operator in `pipe` completed. */
export class SegmentCompletedError extends MillraceError {
  readonly code = 'SEGMENT_COMPLETED';
  constructor(node: string) {
    super(
      `An operator in '${node}' completed (take, first, takeUntil?): every later record would be lost. ` +
        'A stream does not end; use filter, or a processor with a store.',
      { context: { node } },
    );
  }
}

/** A task was closed while it waited for answers: its partition has moved away, or the app stops. They are asked for again. */
export class TaskClosedError extends MillraceError {
  readonly code = 'TASK_CLOSED';
  constructor(task: string) {
    super(
      `The task ${task} was closed while calls were out. Nothing of them is committed: the next owner makes them again.`,
      {
        context: { task },
        retriable: true,
      },
    );
  }
}

/** A store far away was asked for a key that its node had not declared. */
export class KeyNotDeclaredError extends MillraceError {
  readonly code = 'KEY_NOT_DECLARED';
  constructor(store: string, what: string) {
    super(
      `The store '${store}' is not in this process, and ${what} was not fetched with the batch. Name the keys that a record ` +
        'reads in `keys:` of the processor; range and all need a local store.',
      { context: { store } },
    );
  }
}

/** What a store or a changelog holds is not what was written. */
export class StoreCorruptError extends MillraceError {
  readonly code = 'STORE_CORRUPT';
  constructor(store: string, reason: string, cause?: unknown) {
    super(
      `The state of '${store}' cannot be read: ${reason}. Was its serde changed, or its changelog written by another program? ` +
        'Restore the serde, or name the store anew and let it be rebuilt.',
      { context: { store }, cause },
    );
  }
}

/** The state is at fault, or the plan, and not the record: the next ones would meet the same, and each would lose what it had to do. */
export function isOfState(error: unknown): boolean {
  return error instanceof StoreCorruptError || error instanceof KeyNotDeclaredError;
}

import { isMillraceError, MillraceError } from '@millrace/platform';

/** Codes of errors of a running app, besides those of its plan and of the client. */
export type RuntimeErrorCode =
  | 'INCOMPATIBLE_PLAN'
  | 'MISSING_TOPIC'
  | 'SINK_FAILED'
  | 'SINK_AHEAD'
  | 'VIEW_TIMEOUT'
  | 'NO_OWNER'
  | 'CLOSED';

/** The state and positions in the cluster are those of another plan. Nothing was read or written. */
export class IncompatiblePlanError extends MillraceError {
  readonly code = 'INCOMPATIBLE_PLAN';
  constructor(reason: string, context: Readonly<Record<string, unknown>>) {
    super(
      `${reason} Going on would read state as what it is not. Run the plan that made it, give changed stores new names, ` +
        'or start under another applicationId.',
      { context },
    );
  }
}

/** A topic that the plan reads or writes is not there. */
export class MissingTopicError extends MillraceError {
  readonly code = 'MISSING_TOPIC';
  constructor(topics: readonly string[], use: 'reads' | 'writes') {
    super(
      `The plan ${use} ${topics.length === 1 ? 'a topic that does' : 'topics that do'} not exist: ${topics.join(', ')}. ` +
        'Create it first (admin.createTopics with its contract), or correct the name.',
      { context: { topics } },
    );
  }
}

/**
 * A sink refused a batch, and its node's policy is to stop. Its input is not committed: it comes again at the next start. Where the
 * cause is retriable (the sink is another owner's by now) that start is the app's own: it joins its group again.
 */
export class SinkFailedError extends MillraceError {
  readonly code = 'SINK_FAILED';
  constructor(sink: string, topic: string, partition: number, cause: unknown) {
    super(
      `The sink '${sink}' failed on ${topic}-${partition}: ${cause instanceof Error ? cause.message : String(cause)} ` +
        'Mend the target, or give the sink a policy: onError: { retries }, { deadLetter }.',
      { context: { sink, topic, partition }, retriable: isMillraceError(cause) && cause.retriable, cause },
    );
  }
}

/** A sink's target has the effects of records that the topic does not have: those to come would be taken for these, and dropped. */
export class SinkAheadError extends MillraceError {
  readonly code = 'SINK_AHEAD';
  constructor(sink: string, topic: string, partition: number, nextOffset: number, endOffset: number) {
    super(
      `The target of the sink '${sink}' has all of ${topic}-${partition} before ${nextOffset}, and the topic ends at ${endOffset}: ` +
        'it was made anew, or has lost records. Nothing was written. Give the sink another name, under which it begins anew, or ' +
        'take the position out of the target.',
      { context: { sink, topic, partition, nextOffset, endOffset } },
    );
  }
}

/**
 * At least once: somebody else has written to a changelog, mostly a former owner that has not noticed yet. Nothing of the commit
 * is kept; the state is restored as of the last one, and what the other has written is undone.
 */
export class ChangelogConflictError extends MillraceError {
  readonly code = 'CHANGELOG_CONFLICT';
  constructor(topic: string, partition: number, recordCount: number) {
    super(
      `Somebody else has written ${recordCount} record(s) to the changelog ${topic}-${partition}: a former owner, or a program that ` +
        'should not. The instance goes on from its last commit. If it comes again, look for a second app of this applicationId.',
      { context: { topic, partition, recordCount }, retriable: true },
    );
  }
}

/** A view did not get to the position that a read waits for. */
export class ViewTimeoutError extends MillraceError {
  readonly code = 'VIEW_TIMEOUT';
  constructor(store: string, timeoutMs: number, context: Readonly<Record<string, unknown>>) {
    super(
      `The view of '${store}' was not ready within ${timeoutMs} ms. Look at the app's lag and state, or raise timeoutMs.`,
      { context: { store, timeoutMs, ...context }, retriable: true },
    );
  }
}

/** This instance does not own the partition of a key now. */
export class NoOwnerError extends MillraceError {
  readonly code = 'NO_OWNER';
  constructor(store: string, partition: number) {
    super(
      `Partition ${partition} of the store '${store}' is not on this instance: it is on another one, or moving. ` +
        'Ask the other instances, or try again.',
      { context: { store, partition }, retriable: true },
    );
  }
}

/** The app is closed, or was closed before it got there. */
export class AppClosedError extends MillraceError {
  readonly code = 'CLOSED';
  constructor(applicationId: string, what: string) {
    super(`The app '${applicationId}' is closed: ${what}. Start it anew.`, { context: { applicationId } });
  }
}

/** An option of `Streams.start`, or a table given to `view`, that cannot work. */
export class InvalidStreamsOptionError extends MillraceError {
  readonly code = 'INVALID_CONFIG';
  constructor(option: string, value: unknown, remedy: string) {
    super(`Streams cannot take ${option} ${JSON.stringify(value)}: ${remedy}`, { context: { option, value } });
  }
}

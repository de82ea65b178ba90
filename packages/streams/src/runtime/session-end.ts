import type { TopicPartitionId } from '@millrace/client/bytes';
import { isMillraceError, MillraceError } from '@millrace/platform';

/** Codes with which a session ends and another one may begin: somebody else owns what it owned, or an outcome is unknown. */
const recoverable: ReadonlySet<string> = new Set([
  'PRODUCER_FENCED',
  'INVALID_PRODUCER_EPOCH',
  'INVALID_PRODUCER_ID_MAPPING',
  'INVALID_TXN_STATE',
  'TRANSACTION_ABORTABLE',
  'TRANSACTION_ABORTED',
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'UNKNOWN_PRODUCER_ID',
  'COMMIT_FAILED',
  'ILLEGAL_GENERATION',
  'UNKNOWN_MEMBER_ID',
  'REBALANCE_IN_PROGRESS',
  'DELIVERY_TIMEOUT',
  'OFFSET_OUT_OF_RANGE',
]);

/** Whether another session may succeed where this one failed. */
export function isRecoverable(error: unknown): boolean {
  return isMillraceError(error) && (error.retriable || recoverable.has(error.code));
}

/** The group has given this instance's partitions to others, or does not know it any more. */
export class PartitionsLostError extends MillraceError {
  readonly code = 'PARTITIONS_LOST';
  constructor(applicationId: string) {
    super(`The group '${applicationId}' has given this instance's partitions to others. It joins again.`, {
      retriable: true,
    });
  }
}

/** The last commit before partitions go to others takes longer than these wait. */
export class HandOverTimeoutError extends MillraceError {
  readonly code = 'HAND_OVER_TIMEOUT';
  constructor(applicationId: string, limitMs: number) {
    super(
      `The group '${applicationId}' has waited ${limitMs} ms for partitions that this instance is to give up. They go to others as ` +
        'of the last commit. Look what its commits wait for: a sink, calls to the outside, the server of its stores.',
      { context: { limitMs }, retriable: true },
    );
  }
}

/** What waits for a task that is given up rejects with it. */
export class TaskMovedError extends MillraceError {
  readonly code = 'TASK_MOVED';
  constructor(partitions: readonly TopicPartitionId[]) {
    super('The task was given up while it was being opened.', { context: { partitions }, retriable: true });
  }
}

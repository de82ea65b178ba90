import { MillraceError } from '@millrace/platform';

/** Another instance has opened the sink for this partition. Nothing was written. */
export class SinkFencedError extends MillraceError {
  readonly code = 'FENCED';
  constructor(sink: string, topic: string, partition: number, epoch: number, storedEpoch: number) {
    super(
      `The sink ${sink} is written for ${topic}-${partition} by an owner of epoch ${storedEpoch}; this one has ${epoch}. ` +
        'The partition has moved: leave it, and join the group again.',
      { context: { sink, topic, partition, epoch, storedEpoch }, retriable: true },
    );
  }
}

/** The target's mark of what it has is gone, or has gone back, and so, perhaps, has what it had. Nothing was written. */
export class SinkPositionLostError extends MillraceError {
  readonly code = 'SINK_POSITION_LOST';
  constructor(sink: string, topic: string, partition: number) {
    super(
      `The target of ${sink} no longer knows its position in ${topic}-${partition}, or stands before it: was it emptied, restored, failed over? ` +
        'Starting the app again goes on from the committed offset; to fill the target anew, run it under another application id.',
      { context: { sink, topic, partition } },
    );
  }
}

/** The target refuses a record: it would refuse it again. */
export class SinkRefusedError extends MillraceError {
  readonly code = 'SINK_REFUSED';
  constructor(sink: string, reason: string, context: Readonly<Record<string, unknown>>, cause?: unknown) {
    super(
      `The sink ${sink} cannot write a record: ${reason}. Correct the mapping or the target; onError can let it go.`,
      {
        context: { sink, ...context },
        cause,
      },
    );
  }
}

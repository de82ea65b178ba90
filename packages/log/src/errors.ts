import { MillraceError } from '@millrace/platform';

/** Where in the data an error happened. */
export interface PartitionAt {
  readonly topic: string;
  readonly partition: number;
}

/** One record that made its whole batch invalid: its place in the batch, and what is wrong with it. */
export interface RecordError {
  readonly index: number;
  readonly message: string;
}

/** A batch exceeds its topic's limit; nothing was written. Kafka's error 10. */
export class BatchTooLargeError extends MillraceError {
  readonly code = 'MESSAGE_TOO_LARGE';
  constructor(at: PartitionAt, batchBytes: number, maxMessageBytes: number) {
    super(
      `A batch of ${batchBytes} bytes for ${at.topic}-${at.partition} exceeds max.message.bytes (${maxMessageBytes}). ` +
        'Raise it on the topic, or send smaller or compressed batches.',
      { context: { ...at, batchBytes, maxMessageBytes } },
    );
  }
}

/** A batch does not fit a whole segment; nothing was written. Kafka's error 18. */
export class RecordListTooLargeError extends MillraceError {
  readonly code = 'RECORD_LIST_TOO_LARGE';
  constructor(at: PartitionAt, batchBytes: number, segmentBytes: number) {
    super(
      `A batch of ${batchBytes} bytes for ${at.topic}-${at.partition} is larger than a segment (segment.bytes is ` +
        `${segmentBytes}). Raise segment.bytes on the topic, or send smaller batches.`,
      { context: { ...at, batchBytes, segmentBytes } },
    );
  }
}

/** Records break a rule of the format or of the topic; the whole batch was refused. Kafka's error 87. */
export class InvalidRecordError extends MillraceError {
  readonly code = 'INVALID_RECORD';
  /** The records at fault; empty when the batch as a whole is. */
  readonly recordErrors: readonly RecordError[];
  constructor(at: PartitionAt, message: string, recordErrors: readonly RecordError[] = []) {
    super(`The batch for ${at.topic}-${at.partition} was refused: ${message}`, { context: { ...at, recordErrors } });
    this.recordErrors = recordErrors;
  }
}

/** A timestamp is outside the topic's bounds, or of a type that a client may not send. Kafka's error 32. */
export class InvalidTimestampError extends MillraceError {
  readonly code = 'INVALID_TIMESTAMP';
  /** The records at fault; empty when the batch as a whole is. */
  readonly recordErrors: readonly RecordError[];
  constructor(at: PartitionAt, message: string, recordErrors: readonly RecordError[] = []) {
    super(`The batch for ${at.topic}-${at.partition} was refused: ${message}`, { context: { ...at, recordErrors } });
    this.recordErrors = recordErrors;
  }
}

/** An idempotent producer's batch does not follow the last one: something was lost, or is older than the log remembers. Kafka's error 45. */
export class OutOfOrderSequenceError extends MillraceError {
  readonly code = 'OUT_OF_ORDER_SEQUENCE_NUMBER';
  constructor(at: PartitionAt, context: { producerId: number; sequence: number; lastSequence: number }) {
    super(
      `Producer ${context.producerId} sent sequence ${context.sequence} to ${at.topic}-${at.partition} after ` +
        `${context.lastSequence}. A batch in between was lost or given up: begin anew with a new producer epoch.`,
      { context: { ...at, ...context } },
    );
  }
}

/** A newer instance of the producer has taken over. Kafka's error 47. */
export class InvalidProducerEpochError extends MillraceError {
  readonly code = 'INVALID_PRODUCER_EPOCH';
  constructor(at: PartitionAt, context: { producerId: number; producerEpoch: number; currentEpoch: number }) {
    super(
      `Producer ${context.producerId} wrote to ${at.topic}-${at.partition} with epoch ${context.producerEpoch}, but ` +
        `${context.currentEpoch} is current: another instance has taken over. Close this one.`,
      { context: { ...at, ...context } },
    );
  }
}

/** A non-transactional batch of a producer that has a transaction open here. Kafka's error 48. */
export class InvalidTxnStateError extends MillraceError {
  readonly code = 'INVALID_TXN_STATE';
  constructor(at: PartitionAt, producerId: number) {
    super(
      `Producer ${producerId} has a transaction open in ${at.topic}-${at.partition} and sent a batch outside of it. ` +
        'Commit or abort the transaction first.',
      { context: { ...at, producerId } },
    );
  }
}

/** A coordinator that was replaced tried to end a transaction. Kafka's error 52. */
export class TransactionCoordinatorFencedError extends MillraceError {
  readonly code = 'TRANSACTION_COORDINATOR_FENCED';
  constructor(at: PartitionAt, context: { producerId: number; coordinatorEpoch: number; currentEpoch: number }) {
    super(
      `A transaction marker for producer ${context.producerId} in ${at.topic}-${at.partition} comes from coordinator ` +
        `epoch ${context.coordinatorEpoch}, but ${context.currentEpoch} is current. The newer coordinator will end it.`,
      { context: { ...at, ...context } },
    );
  }
}

/** An offset that is not in the log. Kafka's error 1. */
export class OffsetOutOfRangeError extends MillraceError {
  readonly code = 'OFFSET_OUT_OF_RANGE';
  constructor(at: PartitionAt, context: { offset: number; logStartOffset: number; logEndOffset: number }) {
    super(
      `Offset ${context.offset} is not in ${at.topic}-${at.partition}, which holds ${context.logStartOffset} to ` +
        `${context.logEndOffset}. Start from one of these.`,
      { context: { ...at, ...context } },
    );
  }
}

/** The topic's configuration forbids it. Kafka's error 44. */
export class PolicyViolationError extends MillraceError {
  readonly code = 'POLICY_VIOLATION';
  constructor(at: PartitionAt, message: string) {
    super(`${at.topic}-${at.partition}: ${message}`, { context: { ...at } });
  }
}

/** The directory holds another topic of the same name, deleted and made anew. Kafka's error 103. */
export class InconsistentTopicIdError extends MillraceError {
  readonly code = 'INCONSISTENT_TOPIC_ID';
  constructor(at: PartitionAt, context: { topicId: string; storedTopicId: string; path: string }) {
    super(
      `${context.path} belongs to topic id ${context.storedTopicId}, but ${at.topic} has ${context.topicId}. ` +
        'Move the directory away, or bring back the metadata that goes with it.',
      { context: { ...at, ...context } },
    );
  }
}

/** The log is closed, or its disk failed: nothing of what was not yet acknowledged may be counted on. Kafka's error 56. */
export class KafkaStorageError extends MillraceError {
  readonly code = 'KAFKA_STORAGE_ERROR';
  constructor(message: string, context: Readonly<Record<string, unknown>>, cause?: unknown) {
    super(message, { context, cause });
  }
}

/** Files of a log contradict each other in a way that recovery cannot mend without losing what was acknowledged. */
export class CorruptLogError extends MillraceError {
  readonly code = 'CORRUPT_LOG';
  constructor(path: string, message: string, cause?: unknown) {
    super(`${path}: ${message} Restore the file from a copy, or move it away to go on without it.`, {
      context: { path },
      cause,
    });
  }
}

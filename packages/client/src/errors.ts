import { MillraceError } from '@millrace/platform';
import type { Position } from './positions.ts';

/** No broker of the cluster could be reached. */
export class BrokerNotAvailableError extends MillraceError {
  readonly code = 'BROKER_NOT_AVAILABLE';
  constructor(bootstrapServers: readonly string[], cause: unknown) {
    super(
      `No broker answers at ${bootstrapServers.join(', ')}: ${rootOf(cause)}. Check the addresses, that a broker listens there, and TLS and SASL settings.`,
      { context: { bootstrapServers }, retriable: true, cause },
    );
  }
}

/** A request was not answered in time; whether it took effect is unknown. */
export class RequestTimedOutError extends MillraceError {
  readonly code = 'REQUEST_TIMED_OUT';
  constructor(api: string, address: string, timeoutMs: number) {
    super(
      `${address} did not answer ${api} within ${timeoutMs} ms. Check the broker's load, or raise requestTimeoutMs.`,
      { context: { api, address, timeoutMs }, retriable: true },
    );
  }
}

/** An answer is larger than this client takes. It was not read, and the request's other effects stand. */
export class ResponseTooLargeError extends MillraceError {
  readonly code = 'RESPONSE_TOO_LARGE';
  constructor(api: string, address: string, responseBytes: number, maxResponseBytes: number) {
    super(
      `${address} answers ${api} with ${responseBytes} bytes, and maxResponseBytes is ${maxResponseBytes}. Raise it: a batch of records comes whole, however large.`,
      { context: { api, address, responseBytes, maxResponseBytes } },
    );
  }
}

/** The cluster no longer names this node; its successor is learned by asking for metadata again. */
export class NodeNotAvailableError extends MillraceError {
  readonly code = 'NODE_NOT_AVAILABLE';
  constructor(nodeId: number) {
    super(`The cluster has no node ${nodeId} now. Check that its brokers run; it is asked for again meanwhile.`, {
      context: { nodeId },
      retriable: true,
    });
  }
}

/** The connection was lost before the answer; whether the request took effect is unknown. */
export class DisconnectedError extends MillraceError {
  readonly code = 'NETWORK_EXCEPTION';
  constructor(address: string, cause: unknown) {
    super(`The connection to ${address} was lost before the answer. Check that the broker runs.`, {
      context: { address },
      retriable: true,
      cause,
    });
  }
}

/** Broker and client have no version of an API in common, or a feature needs a newer one. */
export class UnsupportedVersionError extends MillraceError {
  readonly code = 'UNSUPPORTED_VERSION';
  constructor(api: string, address: string, why: string) {
    super(`${address} cannot serve ${api}: ${why}. Update the broker.`, { context: { api, address } });
  }
}

/** The broker refused the credentials or the mechanism. */
export class SaslAuthenticationError extends MillraceError {
  readonly code = 'SASL_AUTHENTICATION_FAILED';
  constructor(address: string, mechanism: string, why: string) {
    super(`${address} refused to authenticate by ${mechanism}: ${why}. Check username, password and mechanism.`, {
      context: { address, mechanism },
    });
  }
}

/** The cluster does not know the topic, or it has no such partition. */
export class UnknownTopicError extends MillraceError {
  readonly code = 'UNKNOWN_TOPIC_OR_PARTITION';
  constructor(topic: string, partition?: number) {
    const what = partition === undefined ? `topic ${topic}` : `partition ${partition} of topic ${topic}`;
    super(`The cluster has no ${what}. Create it with admin.createTopics, or check the name.`, {
      context: partition === undefined ? { topic } : { topic, partition },
    });
  }
}

/** A topic exists with another partition count than its contract says. */
export class TopicMismatchError extends MillraceError {
  readonly code = 'TOPIC_MISMATCH';
  constructor(topic: string, wantedPartitionCount: number, partitionCount: number) {
    super(
      `Topic ${topic} exists with ${partitionCount} partitions, not ${wantedPartitionCount}. Change the contract, or the topic: admin.createPartitions adds partitions (and moves keys).`,
      { context: { topic, wantedPartitionCount, partitionCount } },
    );
  }
}

/** A record does not fit: it alone exceeds what the topic takes. Nothing of it was written. */
export class MessageTooLargeError extends MillraceError {
  readonly code = 'MESSAGE_TOO_LARGE';
  constructor(topic: string, partition: number, batchBytes: number) {
    super(
      `A record for ${topic}-${partition} makes a batch of ${batchBytes} bytes, more than the topic's max.message.bytes. Raise that config, or send a smaller or compressed record.`,
      { context: { topic, partition, batchBytes } },
    );
  }
}

/** A record was not acknowledged within `deliveryTimeoutMs`. It may or may not have been written. */
export class DeliveryTimeoutError extends MillraceError {
  readonly code = 'DELIVERY_TIMEOUT';
  /** @param partition undefined: the records did not even find room in the buffer */
  constructor(topic: string, partition: number | undefined, deliveryTimeoutMs: number, cause?: unknown) {
    super(
      partition === undefined
        ? `Records for ${topic} found no room within ${deliveryTimeoutMs} ms, since what was sent before them is not acknowledged; they were not written. Check the broker, or raise bufferMemoryBytes or deliveryTimeoutMs.`
        : `Records for ${topic}-${partition} were not acknowledged within ${deliveryTimeoutMs} ms; whether they were written is unknown. Check the broker, or raise deliveryTimeoutMs.`,
      { context: { topic, partition, deliveryTimeoutMs }, cause },
    );
  }
}

/** Another producer with the same transactional id has taken over. This one can only be closed. */
export class ProducerFencedError extends MillraceError {
  readonly code = 'PRODUCER_FENCED';
  constructor(transactionalId: string, cause?: unknown) {
    super(
      `The transactional producer ${transactionalId} was fenced: another one with this id has taken over, or its transaction timed out. Close this one.`,
      { context: { transactionalId }, cause },
    );
  }
}

/** The transaction was aborted, and the records in it with it. */
export class TransactionAbortedError extends MillraceError {
  readonly code = 'TRANSACTION_ABORTED';
  constructor(transactionalId: string, cause?: unknown) {
    super(`The transaction of ${transactionalId} is aborted; none of its records will be seen. Begin another one.`, {
      context: { transactionalId },
      retriable: true,
      cause,
    });
  }
}

/** A transactional producer was called in a state that does not allow it. */
export class InvalidTransactionStateError extends MillraceError {
  readonly code = 'INVALID_TXN_STATE';
  constructor(transactionalId: string, operation: string, state: string, remedy: string) {
    super(`${operation} is not possible: the producer ${transactionalId} is ${state}. ${remedy}`, {
      context: { transactionalId, operation, state },
    });
  }
}

/** The group has moved on: the partitions belong, or may belong, to another member. */
export class CommitFailedError extends MillraceError {
  readonly code = 'COMMIT_FAILED';
  constructor(groupId: string, why: string, cause?: unknown) {
    super(
      `Offsets of group ${groupId} were not committed: ${why}. The records will be handed out again; process them faster, or raise sessionTimeoutMs and rebalanceTimeoutMs.`,
      { context: { groupId }, cause },
    );
  }
}

/** The position is outside of the log, or there is none, and `autoOffsetReset` is `'none'`. */
export class OffsetOutOfRangeError extends MillraceError {
  readonly code = 'OFFSET_OUT_OF_RANGE';
  constructor(at: { readonly topic: string; readonly partition: number; readonly offset?: number | undefined }) {
    super(
      at.offset === undefined
        ? `The group has no committed offset for ${at.topic}-${at.partition}. Seek, commit one, or set autoOffsetReset to 'earliest' or 'latest'.`
        : `Offset ${at.offset} of ${at.topic}-${at.partition} is not in the log: retention may have deleted it. Seek, or set autoOffsetReset to 'earliest' or 'latest'.`,
      { context: { ...at } },
    );
  }
}

/** A record whose key or value its topic's serde refuses; `cause` is the serde's error. */
export class InvalidRecordError extends MillraceError {
  readonly code = 'INVALID_RECORD';
  constructor(at: Position, cause: Error) {
    super(
      `The record at ${at.topic}-${at.partition}@${at.offset} is not what the topic's contract says: ${cause.message} Set onInvalid to 'skip' it.`,
      { context: { ...at }, cause },
    );
  }
}

/** A number that a double cannot hold exactly. */
export class UnsafeIntegerError extends MillraceError {
  readonly code = 'UNSAFE_INTEGER';
  constructor(what: string, value: unknown) {
    super(`${what} is ${String(value)}: it must be a whole number between ±(2^53 − 1).`, {
      context: { what, value: String(value) },
    });
  }
}

/** A source that cannot be slowed yielded faster than the cluster acknowledges. */
export class BufferOverflowError extends MillraceError {
  readonly code = 'BUFFER_OVERFLOW';
  constructor(topic: string, maxBufferedRecords: number) {
    super(
      `More than ${maxBufferedRecords} records for ${topic} wait to be sent. Slow the source, raise maxBufferedRecords, or set overflow to 'dropOldest' or 'dropNewest'.`,
      { context: { topic, maxBufferedRecords } },
    );
  }
}

/** An option makes no sense, alone or beside another. */
export class InvalidOptionError extends MillraceError {
  readonly code = 'INVALID_CONFIG';
  constructor(option: string, value: unknown, remedy: string) {
    super(`The option ${option} is ${String(value)}: ${remedy}`, { context: { option, value: String(value) } });
  }
}

/** Whatever was called is closed. */
export class ClosedError extends MillraceError {
  readonly code = 'CLOSED';
  constructor(what: string) {
    super(`The ${what} is closed. Make another one.`, { context: { what } });
  }
}

/** What went wrong first; some errors of Node say nothing themselves. */
function rootOf(cause: unknown): string {
  if (!(cause instanceof Error)) return 'nobody listens';
  const deeper = cause.cause instanceof Error ? rootOf(cause.cause) : '';
  return (deeper === '' ? cause.message : deeper).replace(/\.$/, '');
}

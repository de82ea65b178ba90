import { MillraceError } from '@millrace/platform';

/**
 * Kafka's names of the errors that the core answers with. The core speaks in names; `kafka/error-codes.ts` alone knows the
 * numbers.
 */
export type ErrorName =
  | 'UNKNOWN_SERVER_ERROR'
  | 'OFFSET_OUT_OF_RANGE'
  | 'CORRUPT_MESSAGE'
  | 'UNKNOWN_TOPIC_OR_PARTITION'
  | 'NOT_LEADER_OR_FOLLOWER'
  | 'REQUEST_TIMED_OUT'
  | 'MESSAGE_TOO_LARGE'
  | 'OFFSET_METADATA_TOO_LARGE'
  | 'COORDINATOR_LOAD_IN_PROGRESS'
  | 'COORDINATOR_NOT_AVAILABLE'
  | 'NOT_COORDINATOR'
  | 'INVALID_TOPIC_EXCEPTION'
  | 'RECORD_LIST_TOO_LARGE'
  | 'INVALID_REQUIRED_ACKS'
  | 'ILLEGAL_GENERATION'
  | 'INCONSISTENT_GROUP_PROTOCOL'
  | 'INVALID_GROUP_ID'
  | 'UNKNOWN_MEMBER_ID'
  | 'INVALID_SESSION_TIMEOUT'
  | 'REBALANCE_IN_PROGRESS'
  | 'INVALID_COMMIT_OFFSET_SIZE'
  | 'INVALID_TIMESTAMP'
  | 'UNSUPPORTED_SASL_MECHANISM'
  | 'UNSUPPORTED_VERSION'
  | 'TOPIC_ALREADY_EXISTS'
  | 'INVALID_PARTITIONS'
  | 'INVALID_REPLICATION_FACTOR'
  | 'INVALID_REPLICA_ASSIGNMENT'
  | 'INVALID_CONFIG'
  | 'INVALID_REQUEST'
  | 'UNSUPPORTED_FOR_MESSAGE_FORMAT'
  | 'POLICY_VIOLATION'
  | 'OUT_OF_ORDER_SEQUENCE_NUMBER'
  | 'DUPLICATE_SEQUENCE_NUMBER'
  | 'INVALID_PRODUCER_EPOCH'
  | 'INVALID_TXN_STATE'
  | 'INVALID_PRODUCER_ID_MAPPING'
  | 'INVALID_TRANSACTION_TIMEOUT'
  | 'CONCURRENT_TRANSACTIONS'
  | 'TRANSACTION_COORDINATOR_FENCED'
  | 'OPERATION_NOT_ATTEMPTED'
  | 'KAFKA_STORAGE_ERROR'
  | 'UNKNOWN_PRODUCER_ID'
  | 'NON_EMPTY_GROUP'
  | 'GROUP_ID_NOT_FOUND'
  | 'FETCH_SESSION_ID_NOT_FOUND'
  | 'INVALID_FETCH_SESSION_EPOCH'
  | 'TOPIC_DELETION_DISABLED'
  | 'FENCED_LEADER_EPOCH'
  | 'UNKNOWN_LEADER_EPOCH'
  | 'UNSUPPORTED_COMPRESSION_TYPE'
  | 'MEMBER_ID_REQUIRED'
  | 'GROUP_MAX_SIZE_REACHED'
  | 'FENCED_INSTANCE_ID'
  | 'GROUP_SUBSCRIBED_TO_TOPIC'
  | 'INVALID_RECORD'
  | 'UNSTABLE_OFFSET_COMMIT'
  | 'THROTTLING_QUOTA_EXCEEDED'
  | 'PRODUCER_FENCED'
  | 'UNKNOWN_TOPIC_ID'
  | 'FETCH_SESSION_TOPIC_ID_ERROR'
  | 'TRANSACTIONAL_ID_NOT_FOUND'
  | 'TRANSACTION_ABORTABLE';

/** A request, or one item of it, was refused. `code` is Kafka's name of the error; the message is sent along where the protocol can. */
export class RequestRefusedError extends MillraceError {
  readonly code: ErrorName;
  constructor(
    code: ErrorName,
    message: string,
    options: { readonly context?: Readonly<Record<string, unknown>>; readonly cause?: unknown } = {},
  ) {
    super(message, options);
    this.code = code;
  }
}

/** Another broker has the data directory open. */
export class DataDirectoryLockedError extends MillraceError {
  readonly code = 'DATA_DIR_LOCKED';
  constructor(directory: string) {
    super(
      `The data directory ${directory} is in use by another broker. Stop that broker, or choose another directory.`,
      { context: { directory } },
    );
  }
}

/** A broker config that does not exist. */
export class UnknownConfigError extends MillraceError {
  readonly code = 'UNKNOWN_CONFIG';
  constructor(name: string, nearest: string | undefined) {
    const hint =
      nearest === undefined ? 'See the table in the README of @millrace/broker.' : `Did you mean ${nearest}?`;
    super(`There is no broker config named ${name}. ${hint}`, { context: { name, nearest } });
  }
}

/** A config has a value that it cannot have. Kafka's error 40. */
export class InvalidConfigError extends MillraceError {
  readonly code = 'INVALID_CONFIG';
  constructor(name: string, value: unknown, expected: string) {
    super(`Invalid value ${JSON.stringify(value) ?? String(value)} for ${name}: expected ${expected}.`, {
      context: { name, value, expected },
    });
  }
}

/** The broker has no listener, so it has no address. */
export class NotListeningError extends MillraceError {
  readonly code = 'NOT_LISTENING';
  constructor() {
    super('This broker listens on no port: give `listen` to Broker.open, or dial() it in-process.');
  }
}

/** The broker was closed, or is closing. */
export class BrokerClosedError extends MillraceError {
  readonly code = 'BROKER_CLOSED';
  constructor(cause?: unknown) {
    super('The broker is closed. Open it again to use it.', { cause });
  }
}

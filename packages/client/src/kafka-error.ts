import { MillraceError } from '@millrace/platform';

/** An error that a broker answered. `code` is Kafka's name for it, `errorNumber` what was on the wire. */
export class KafkaError extends MillraceError {
  readonly code: string;
  readonly errorNumber: number;

  /** @param where what was asked of whom, as the message's first words: `Fetch of orders-3` */
  constructor(
    errorNumber: number,
    where: string,
    options: {
      readonly context?: Readonly<Record<string, unknown>> | undefined;
      readonly serverMessage?: string | null | undefined;
    } = {},
  ) {
    const [code, isRetriable, remedy] = kafkaErrors.get(errorNumber) ?? [`UNKNOWN_ERROR_${errorNumber}`, false];
    const told = options.serverMessage ? ` (“${options.serverMessage}”)` : '';
    super(`${where}: the broker answered ${code}${told}. ${remedy ?? defaultRemedy(isRetriable)}`, {
      context: { ...options.context, errorNumber },
      retriable: isRetriable,
    });
    this.code = code;
    this.errorNumber = errorNumber;
  }
}

function defaultRemedy(isRetriable: boolean): string {
  return isRetriable ? 'It may pass: try again.' : 'Trying again will not help.';
}

/** Whether the same request may succeed later, unchanged. */
export function isRetriableErrorNumber(errorNumber: number): boolean {
  return kafkaErrors.get(errorNumber)?.[1] ?? false;
}

/** Numbers the client acts on, by Kafka's names. */
export const errorNumbers = {
  NONE: 0,
  OFFSET_OUT_OF_RANGE: 1,
  UNKNOWN_TOPIC_OR_PARTITION: 3,
  LEADER_NOT_AVAILABLE: 5,
  NOT_LEADER_OR_FOLLOWER: 6,
  REQUEST_TIMED_OUT: 7,
  REPLICA_NOT_AVAILABLE: 9,
  MESSAGE_TOO_LARGE: 10,
  COORDINATOR_LOAD_IN_PROGRESS: 14,
  COORDINATOR_NOT_AVAILABLE: 15,
  NOT_COORDINATOR: 16,
  INVALID_TOPIC_EXCEPTION: 17,
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: 20,
  ILLEGAL_GENERATION: 22,
  UNKNOWN_MEMBER_ID: 25,
  REBALANCE_IN_PROGRESS: 27,
  UNSUPPORTED_VERSION: 35,
  TOPIC_ALREADY_EXISTS: 36,
  NOT_CONTROLLER: 41,
  OUT_OF_ORDER_SEQUENCE_NUMBER: 45,
  DUPLICATE_SEQUENCE_NUMBER: 46,
  INVALID_PRODUCER_EPOCH: 47,
  INVALID_TXN_STATE: 48,
  INVALID_PRODUCER_ID_MAPPING: 49,
  CONCURRENT_TRANSACTIONS: 51,
  OPERATION_NOT_ATTEMPTED: 55,
  KAFKA_STORAGE_ERROR: 56,
  UNKNOWN_PRODUCER_ID: 59,
  FENCED_LEADER_EPOCH: 74,
  UNKNOWN_LEADER_EPOCH: 75,
  OFFSET_NOT_AVAILABLE: 78,
  MEMBER_ID_REQUIRED: 79,
  FENCED_INSTANCE_ID: 82,
  UNSTABLE_OFFSET_COMMIT: 88,
  PRODUCER_FENCED: 90,
  UNKNOWN_TOPIC_ID: 100,
  INCONSISTENT_TOPIC_ID: 103,
  TRANSACTION_ABORTABLE: 120,
} as const;

/** Number → name, whether a retry may help (as in Kafka's `RetriableException`), and what to do where we can say. */
const kafkaErrors: ReadonlyMap<number, readonly [name: string, isRetriable: boolean, remedy?: string]> = new Map([
  [-1, ['UNKNOWN_SERVER_ERROR', false, "Look into the broker's log."]],
  [1, ['OFFSET_OUT_OF_RANGE', false, 'Seek to an offset that the log has.']],
  [2, ['CORRUPT_MESSAGE', true]],
  [3, ['UNKNOWN_TOPIC_OR_PARTITION', true, 'Create the topic, or check its name and partition.']],
  [4, ['INVALID_FETCH_SIZE', false]],
  [5, ['LEADER_NOT_AVAILABLE', true]],
  [6, ['NOT_LEADER_OR_FOLLOWER', true]],
  [7, ['REQUEST_TIMED_OUT', true]],
  [8, ['BROKER_NOT_AVAILABLE', false]],
  [9, ['REPLICA_NOT_AVAILABLE', true]],
  [10, ['MESSAGE_TOO_LARGE', false, "Raise the topic's max.message.bytes, or send smaller or compressed records."]],
  [12, ['OFFSET_METADATA_TOO_LARGE', false, 'Commit less metadata, or raise offset.metadata.max.bytes.']],
  [13, ['NETWORK_EXCEPTION', true]],
  [14, ['COORDINATOR_LOAD_IN_PROGRESS', true]],
  [15, ['COORDINATOR_NOT_AVAILABLE', true]],
  [16, ['NOT_COORDINATOR', true]],
  [17, ['INVALID_TOPIC_EXCEPTION', false, 'A name has 1 to 249 of the characters a-z A-Z 0-9 . _ -']],
  [18, ['RECORD_LIST_TOO_LARGE', false, "Send smaller batches, or raise the topic's segment.bytes."]],
  [19, ['NOT_ENOUGH_REPLICAS', true]],
  [20, ['NOT_ENOUGH_REPLICAS_AFTER_APPEND', true]],
  [21, ['INVALID_REQUIRED_ACKS', false]],
  [22, ['ILLEGAL_GENERATION', false]],
  [23, ['INCONSISTENT_GROUP_PROTOCOL', false, 'All members of a group must share an assignor.']],
  [24, ['INVALID_GROUP_ID', false, 'Give the group a name that is not empty.']],
  [25, ['UNKNOWN_MEMBER_ID', false]],
  [26, ['INVALID_SESSION_TIMEOUT', false, 'Keep to group.min.session.timeout.ms and group.max.session.timeout.ms.']],
  [27, ['REBALANCE_IN_PROGRESS', false]],
  [28, ['INVALID_COMMIT_OFFSET_SIZE', false]],
  [29, ['TOPIC_AUTHORIZATION_FAILED', false, 'Grant this principal the operation on the topic.']],
  [30, ['GROUP_AUTHORIZATION_FAILED', false, 'Grant this principal READ on the group.']],
  [31, ['CLUSTER_AUTHORIZATION_FAILED', false, 'Grant this principal the operation on the cluster.']],
  [32, ['INVALID_TIMESTAMP', false]],
  [33, ['UNSUPPORTED_SASL_MECHANISM', false, 'Choose a mechanism that the broker offers.']],
  [34, ['ILLEGAL_SASL_STATE', false]],
  [35, ['UNSUPPORTED_VERSION', false, 'Update the broker.']],
  [36, ['TOPIC_ALREADY_EXISTS', false]],
  [37, ['INVALID_PARTITIONS', false]],
  [38, ['INVALID_REPLICATION_FACTOR', false]],
  [39, ['INVALID_REPLICA_ASSIGNMENT', false]],
  [40, ['INVALID_CONFIG', false]],
  [41, ['NOT_CONTROLLER', true]],
  [42, ['INVALID_REQUEST', false]],
  [43, ['UNSUPPORTED_FOR_MESSAGE_FORMAT', false]],
  [44, ['POLICY_VIOLATION', false]],
  [45, ['OUT_OF_ORDER_SEQUENCE_NUMBER', false]],
  [46, ['DUPLICATE_SEQUENCE_NUMBER', false]],
  [47, ['INVALID_PRODUCER_EPOCH', false]],
  [48, ['INVALID_TXN_STATE', false]],
  [49, ['INVALID_PRODUCER_ID_MAPPING', false]],
  [50, ['INVALID_TRANSACTION_TIMEOUT', false, "Keep to the broker's transaction.max.timeout.ms."]],
  [51, ['CONCURRENT_TRANSACTIONS', true]],
  [52, ['TRANSACTION_COORDINATOR_FENCED', false]],
  [53, ['TRANSACTIONAL_ID_AUTHORIZATION_FAILED', false, 'Grant this principal WRITE on the transactional id.']],
  [54, ['SECURITY_DISABLED', false]],
  [55, ['OPERATION_NOT_ATTEMPTED', false]],
  [56, ['KAFKA_STORAGE_ERROR', true]],
  [57, ['LOG_DIR_NOT_FOUND', false]],
  [58, ['SASL_AUTHENTICATION_FAILED', false, 'Check username and password.']],
  [59, ['UNKNOWN_PRODUCER_ID', false]],
  [60, ['REASSIGNMENT_IN_PROGRESS', false]],
  [67, ['INVALID_PRINCIPAL_TYPE', false]],
  [68, ['NON_EMPTY_GROUP', false, 'Stop the members of the group first.']],
  [69, ['GROUP_ID_NOT_FOUND', false]],
  [70, ['FETCH_SESSION_ID_NOT_FOUND', true]],
  [71, ['INVALID_FETCH_SESSION_EPOCH', true]],
  [72, ['LISTENER_NOT_FOUND', true]],
  [73, ['TOPIC_DELETION_DISABLED', false]],
  [74, ['FENCED_LEADER_EPOCH', true]],
  [75, ['UNKNOWN_LEADER_EPOCH', true]],
  [76, ['UNSUPPORTED_COMPRESSION_TYPE', false, 'Choose another compressionType.']],
  [77, ['STALE_BROKER_EPOCH', false]],
  [78, ['OFFSET_NOT_AVAILABLE', true]],
  [79, ['MEMBER_ID_REQUIRED', false]],
  [80, ['PREFERRED_LEADER_NOT_AVAILABLE', true]],
  [81, ['GROUP_MAX_SIZE_REACHED', false]],
  [82, ['FENCED_INSTANCE_ID', false, 'Another member runs with this groupInstanceId.']],
  [83, ['ELIGIBLE_LEADERS_NOT_AVAILABLE', true]],
  [84, ['ELECTION_NOT_NEEDED', false]],
  [85, ['NO_REASSIGNMENT_IN_PROGRESS', false]],
  [86, ['GROUP_SUBSCRIBED_TO_TOPIC', false]],
  [87, ['INVALID_RECORD', false]],
  [88, ['UNSTABLE_OFFSET_COMMIT', true]],
  [89, ['THROTTLING_QUOTA_EXCEEDED', true]],
  [90, ['PRODUCER_FENCED', false, 'Another producer with this transactionalId has taken over.']],
  [91, ['RESOURCE_NOT_FOUND', false]],
  [92, ['DUPLICATE_RESOURCE', false]],
  [93, ['UNACCEPTABLE_CREDENTIAL', false]],
  [94, ['INCONSISTENT_VOTER_SET', false]],
  [95, ['INVALID_UPDATE_VERSION', false]],
  [96, ['FEATURE_UPDATE_FAILED', false]],
  [97, ['PRINCIPAL_DESERIALIZATION_FAILURE', false]],
  [100, ['UNKNOWN_TOPIC_ID', true]],
  [103, ['INCONSISTENT_TOPIC_ID', true]],
  [106, ['FETCH_SESSION_TOPIC_ID_ERROR', true]],
  [107, ['INELIGIBLE_REPLICA', false]],
  [109, ['OFFSET_MOVED_TO_TIERED_STORAGE', false]],
  [110, ['FENCED_MEMBER_EPOCH', false]],
  [111, ['UNRELEASED_INSTANCE_ID', false]],
  [112, ['UNSUPPORTED_ASSIGNOR', false]],
  [113, ['STALE_MEMBER_EPOCH', false]],
  [120, ['TRANSACTION_ABORTABLE', false, 'Abort the transaction and begin again.']],
]);

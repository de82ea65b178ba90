import { MillraceError } from '@millrace/platform';
import { errorInfo } from '@millrace/protocol';

/** An error that a broker answered. `code` is Kafka's name for it, `errorNumber` what was on the wire. */
export class KafkaError extends MillraceError {
  readonly code: string;
  readonly errorNumber: number;

  /** @param where what was asked, as the message's first words: `Produce to orders-3` */
  constructor(
    errorNumber: number,
    where: string,
    options: {
      readonly context?: Readonly<Record<string, unknown>> | undefined;
      /** The broker's own words. */
      readonly serverMessage?: string | null | undefined;
    } = {},
  ) {
    const info = errorInfo(errorNumber);
    const code = info?.name ?? `UNKNOWN_ERROR_${errorNumber}`;
    const isRetriable = info?.retriable ?? false;
    const meaning = options.serverMessage || info?.message || 'This client does not know that error.';
    super(`${where}: the broker answered ${code}: ${withPeriod(meaning)} ${remedyOf(code, isRetriable)}`, {
      context: { ...options.context, errorNumber },
      retriable: isRetriable,
    });
    this.code = code;
    this.errorNumber = errorNumber;
  }
}

function withPeriod(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** Whether the same request may succeed later, unchanged. */
export function isRetriableErrorNumber(errorNumber: number): boolean {
  return errorInfo(errorNumber)?.retriable ?? false;
}

function remedyOf(code: string, isRetriable: boolean): string {
  const remedy = remedies[code];
  if (remedy !== undefined) return remedy;
  if (code.endsWith('_AUTHORIZATION_FAILED')) return 'Grant this principal the operation.';
  return isRetriable ? 'It may pass: try again.' : 'Trying again will not help.';
}

const remedies: Readonly<Record<string, string | undefined>> = {
  UNKNOWN_SERVER_ERROR: "Look into the broker's log.",
  OFFSET_OUT_OF_RANGE: 'Seek to an offset that the log has.',
  UNKNOWN_TOPIC_OR_PARTITION: 'Create the topic, or check its name and partition.',
  MESSAGE_TOO_LARGE: "Raise the topic's max.message.bytes, or send smaller or compressed records.",
  OFFSET_METADATA_TOO_LARGE: 'Commit less metadata, or raise offset.metadata.max.bytes.',
  INVALID_TOPIC_EXCEPTION: 'A name has 1 to 249 of the characters a-z A-Z 0-9 . _ -',
  RECORD_LIST_TOO_LARGE: "Send smaller batches, or raise the topic's segment.bytes.",
  INCONSISTENT_GROUP_PROTOCOL: 'All members of a group must share an assignor.',
  INVALID_GROUP_ID: 'Give the group a name that is not empty.',
  INVALID_SESSION_TIMEOUT: 'Keep to group.min.session.timeout.ms and group.max.session.timeout.ms.',
  UNSUPPORTED_SASL_MECHANISM: 'Choose a mechanism that the broker offers.',
  INVALID_TRANSACTION_TIMEOUT: "Keep to the broker's transaction.max.timeout.ms.",
  SASL_AUTHENTICATION_FAILED: 'Check username and password.',
  NON_EMPTY_GROUP: 'Stop the members of the group first.',
  UNSUPPORTED_COMPRESSION_TYPE: 'Choose another compressionType.',
  FENCED_INSTANCE_ID: 'Another member runs with this groupInstanceId: give each its own.',
  PRODUCER_FENCED: 'Another producer with this transactionalId has taken over: close this one.',
  TRANSACTION_ABORTABLE: 'Abort the transaction and begin again.',
};

import { isMillraceError, type Logger } from '@millrace/platform';
import { errorCodes, type ErrorName } from '@millrace/protocol';

export { errorCodes } from '@millrace/protocol';

/** The number of a thrown error. What is not Kafka's is `UNKNOWN_SERVER_ERROR`, and is logged with its stack. */
export function errorCodeOf(error: unknown, logger: Logger): number {
  if (isKafkaError(error)) return errorCodes[error.code];
  if (isDiskError(error)) {
    logger.error({ error: error.stack }, 'the disk refuses');
    return errorCodes.KAFKA_STORAGE_ERROR;
  }
  logger.error({ error: error instanceof Error ? error.stack : String(error) }, 'a request failed unexpectedly');
  return errorCodes.UNKNOWN_SERVER_ERROR;
}

/** The number of a result's error; null: none. */
export function codeOf(error: ErrorName | null): number {
  return error === null ? errorCodes.NONE : errorCodes[error];
}

/** What the client may be told of a thrown error. */
export function errorMessageOf(error: unknown): string {
  return isKafkaError(error) || isDiskError(error) ? error.message : 'The broker failed unexpectedly: see its log.';
}

/** A full disk, or no descriptors left: the client may try again. */
function isDiskError(error: unknown): error is Error {
  return isMillraceError(error) && error.code === 'FILE_SYSTEM_ERROR';
}

function isKafkaError(error: unknown): error is Error & { readonly code: ErrorName } {
  return isMillraceError(error) && Object.hasOwn(errorCodes, error.code);
}

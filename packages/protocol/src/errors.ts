import { MillraceError } from '@millrace/platform';

/**
 * Bytes that are not what the Kafka protocol says, or a value that it cannot carry. A connection that receives such bytes
 * cannot go on: close it.
 */
export class ProtocolError extends MillraceError {
  readonly code = 'PROTOCOL_ERROR';
  constructor(what: string, context: Readonly<Record<string, unknown>> = {}) {
    super(what, { context });
  }
}

/** An API or record schema does not have this version. Kafka's error 35. */
export class UnsupportedVersionError extends MillraceError {
  readonly code = 'UNSUPPORTED_VERSION';
  constructor(name: string, version: number, validVersions: string) {
    super(
      `${name} has versions ${validVersions}, not ${version}. Choose one that both sides know (ApiVersions tells).`,
      {
        context: { name, version, validVersions },
      },
    );
  }
}

/** A field has a value that this version of its message cannot carry. Nothing was sent. */
export class UnsupportedFieldError extends MillraceError {
  readonly code = 'UNSUPPORTED_FIELD';
  constructor(message: string, version: number, field: string, problem: string) {
    super(`${message} version ${version} cannot carry ${field}: ${problem}. Use a newer version, or leave it out.`, {
      context: { message, version, field },
    });
  }
}

/** A record batch fails its checks: length, CRC, or records that lie about their lengths. Kafka's error 2. */
export class CorruptBatchError extends MillraceError {
  readonly code = 'CORRUPT_MESSAGE';
  constructor(
    what: string,
    context: Readonly<Record<string, unknown>> = {},
    cause?: unknown,
    remedy = 'The bytes are damaged: fetch or send them again.',
  ) {
    super(`${what}. ${remedy}`, { context, retriable: true, cause });
  }
}

/** Messages of magic 0 or 1, which brokers before 0.11 wrote. Kafka's error 43. */
export class UnsupportedMagicError extends MillraceError {
  readonly code = 'UNSUPPORTED_FOR_MESSAGE_FORMAT';
  constructor(magic: number, context: Readonly<Record<string, unknown>> = {}) {
    super(
      `Message format ${magic} is not supported, only record batches of magic 2 (Kafka 0.11 and later). Upgrade the producer.`,
      {
        context: { magic, ...context },
      },
    );
  }
}

/** This process has no such codec. Kafka's error 76. */
export class UnsupportedCompressionError extends MillraceError {
  readonly code = 'UNSUPPORTED_COMPRESSION_TYPE';
  constructor(type: string, remedy: string) {
    super(`Compression type ${type} is not available. ${remedy}`, { context: { type } });
  }
}

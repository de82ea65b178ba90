import { MillraceError } from '@millrace/platform';
import type { ErrorName } from '@millrace/protocol';

/** Kafka's names of errors: the core speaks in names, and `kafka/error-codes.ts` alone knows the numbers. */
export type { ErrorName } from '@millrace/protocol';

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

/** Only a broker in memory can forget everything. */
export class NotInMemoryError extends MillraceError {
  readonly code = 'NOT_IN_MEMORY';
  constructor(directory: string) {
    super(
      `The broker's data is in ${directory}: only one opened with data: 'memory' can be reset. Delete its topics.`,
      {
        context: { directory },
      },
    );
  }
}

/** The broker was closed, or is closing. */
export class BrokerClosedError extends MillraceError {
  readonly code = 'BROKER_CLOSED';
  constructor(cause?: unknown) {
    super('The broker is closed. Open it again to use it.', { cause });
  }
}

import { MillraceError } from '@millrace/platform';
import type { SerdeContext } from './serde.ts';

/** The codes of this package's errors. */
export type SerdeErrorCode =
  | 'UNENCODABLE'
  | 'UNDECODABLE'
  | 'INVALID_VALUE'
  | 'UNEXPECTED_NULL'
  | 'UNSAFE_INTEGER'
  | 'ASYNC_SCHEMA';

type Where = Pick<SerdeContext, 'topic' | 'part'>;

const at = ({ topic, part }: Where): string => `${part} of ${topic}`;

/** A value that its encoding cannot carry: of another type, or such as `undefined`, NaN or a cycle in JSON. */
export class UnencodableError extends MillraceError {
  readonly code = 'UNENCODABLE';
  constructor(serde: string, reason: string, where: Where, cause?: unknown) {
    super(`The ${at(where)} cannot be written as ${serde}: ${reason}. Change the value, or the topic's serde.`, {
      context: { serde, topic: where.topic, part: where.part },
      cause,
    });
  }
}

/** Bytes that are not of the encoding which the topic's contract names. */
export class UndecodableError extends MillraceError {
  readonly code = 'UNDECODABLE';
  constructor(serde: string, reason: string, where: Where, cause?: unknown) {
    super(
      `The ${at(where)} is not ${serde}: ${reason}. Does its producer use this serde? ` +
        'An error policy on the source can skip such records or keep them as dead letters.',
      { context: { serde, topic: where.topic, part: where.part }, cause },
    );
  }
}

/** A well-formed value that its schema refuses; `context.issues` are the schema's, each with its path. */
export class InvalidValueError extends MillraceError {
  readonly code = 'INVALID_VALUE';
  constructor(issues: readonly { readonly path: string; readonly message: string }[], where: Where, cause?: unknown) {
    const shown = issues.slice(0, 3).map(({ path, message }) => (path === '' ? message : `${path}: ${message}`));
    super(
      `The ${at(where)} does not fit its schema: ${shown.join('; ')}` +
        `${issues.length > shown.length ? ` (and ${issues.length - shown.length} more)` : ''}. ` +
        'Correct the producer, or widen the schema.',
      { context: { issues, topic: where.topic, part: where.part }, cause },
    );
  }
}

/** A null where the contract does not allow one. */
export class UnexpectedNullError extends MillraceError {
  readonly code = 'UNEXPECTED_NULL';
  constructor(serde: string, where: Where) {
    super(
      `The ${at(where)} is null, and its serde ${serde} does not allow that. ` +
        `Write nullable(${serde}) in the topic's contract if nulls are meant.`,
      { context: { serde, topic: where.topic, part: where.part } },
    );
  }
}

/** An integer beyond ±(2^53 − 1), which a number would round. */
export class UnsafeIntegerError extends MillraceError {
  readonly code = 'UNSAFE_INTEGER';
  constructor(value: bigint | number, where: Where) {
    super(`The ${at(where)}, ${value}, is beyond ±(2^53 − 1), where numbers are not exact. Use bigint64.`, {
      context: { value: String(value), topic: where.topic, part: where.part },
    });
  }
}

/** A schema whose `validate` gives a promise: records are decoded synchronously. */
export class AsyncSchemaError extends MillraceError {
  readonly code = 'ASYNC_SCHEMA';
  constructor(vendor: string, where: Where) {
    super(
      `The schema (${vendor}) of the ${at(where)} validates asynchronously. ` +
        'Leave out its async refinements, and check those in a mapAsync.',
      { context: { vendor, topic: where.topic, part: where.part } },
    );
  }
}

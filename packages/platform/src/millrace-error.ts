const brand: unique symbol = Symbol.for('millrace.error') as never;

/**
 * Whatever goes wrong in operation: what happened, where, and what to do. Programmers' errors are failed assertions instead.
 * Every `code` has a class of its own and a heading in `docs/errors.md`.
 */
export abstract class MillraceError extends Error {
  /** Kafka's name where Kafka has one: `OFFSET_OUT_OF_RANGE`. */
  abstract readonly code: string;
  /** Where it happened: topic, partition, offset, path, limit. Plain data. */
  readonly context: Readonly<Record<string, unknown>>;
  /** Whether the same call may succeed later, unchanged. Default false. */
  readonly retriable: boolean;

  constructor(
    message: string,
    options: {
      readonly context?: Readonly<Record<string, unknown>> | undefined;
      readonly retriable?: boolean | undefined;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.context = options.context ?? {};
    this.retriable = options.retriable ?? false;
    Object.defineProperty(this, brand, { value: true });
  }
}

/**
 * Tells our errors from others, and one code from another. Rather than `instanceof`, which fails between two installed
 * copies of a package.
 */
export function isMillraceError(error: unknown, code?: string): error is MillraceError {
  return (
    error instanceof Error && brand in error && (code === undefined || (error as Partial<MillraceError>).code === code)
  );
}

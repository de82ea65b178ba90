import {
  bytes,
  headerEntries,
  nullable,
  topic,
  type HeaderEntry,
  type RecordHeaders,
  type Topic,
} from '@millrace/serde';

/** The contract of a dead-letter topic: bytes as they were. */
export function deadLetters<const Name extends string>(name: Name): Topic<Uint8Array | null, Uint8Array | null, Name> {
  return topic(name, { key: nullable(bytes), value: nullable(bytes) });
}

/** Where a dead letter comes from, and why it is one. */
export interface DeadLetter {
  readonly applicationId: string;
  readonly node: string;
  readonly source: {
    readonly topic: string;
    readonly partition: number;
    readonly offset: number;
    readonly timestampMs: number;
  };
  readonly error: { readonly name: string; readonly message: string; readonly stack: string | undefined };
}

const prefix = 'millrace.deadletter.';

/** Of an error's message and stack: what a record's headers should not grow beyond. */
const maxTextLength = 4096;

/** The headers that tell it; they follow the record's own. */
export function deadLetterHeaders(
  applicationId: string,
  letter: Omit<DeadLetter, 'applicationId' | 'error'>,
  error: unknown,
): readonly HeaderEntry[] {
  const { node, source } = letter;
  const text: Record<string, string> = {
    application: applicationId,
    node,
    topic: source.topic,
    partition: String(source.partition),
    offset: String(source.offset),
    timestamp: String(source.timestampMs),
    'error.name': error instanceof Error ? error.name : typeof error,
    'error.message': (error instanceof Error ? error.message : String(error)).slice(0, maxTextLength),
  };
  if (error instanceof Error && error.stack !== undefined) text['error.stack'] = error.stack.slice(0, maxTextLength);
  return headerEntries(Object.entries(text).map(([name, value]) => [`${prefix}${name}`, value] as const));
}

/** Reads a dead letter's headers. What is not there reads as an empty text, or NaN. */
export function deadLetterOf(record: { readonly headers: RecordHeaders }): DeadLetter {
  const text = (name: string): string | undefined => record.headers.text(`${prefix}${name}`);
  return {
    applicationId: text('application') ?? '',
    node: text('node') ?? '',
    source: {
      topic: text('topic') ?? '',
      partition: Number(text('partition') ?? NaN),
      offset: Number(text('offset') ?? NaN),
      timestampMs: Number(text('timestamp') ?? NaN),
    },
    error: { name: text('error.name') ?? '', message: text('error.message') ?? '', stack: text('error.stack') },
  };
}

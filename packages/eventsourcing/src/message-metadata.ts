import type { RecordHeaders } from '@millrace/serde';

/** Names of the headers of commands, events and replies. */
export const headerNames: Readonly<Record<HeaderName, string>> = {
  /** Of the message: a command's id, or `<command id>:<ordinal>` of an event. */
  id: 'millrace-id',
  correlationId: 'millrace-correlation-id',
  causationId: 'millrace-causation-id',
  /** Number of events of the aggregate, this one included. */
  version: 'millrace-version',
  /** On commands: a number of events, or `exists`. */
  expectedVersion: 'millrace-expected-version',
  /** Which bus waits for the reply, and for which of its calls. Replies carry them back. */
  replyTo: 'millrace-reply-to',
  requestId: 'millrace-request-id',
  /** On commands of a process manager: its name, and which of its processes. */
  process: 'millrace-process',
  processId: 'millrace-process-id',
  /** W3C trace context. */
  traceparent: 'traceparent',
};

type HeaderName =
  | 'id'
  | 'correlationId'
  | 'causationId'
  | 'version'
  | 'expectedVersion'
  | 'replyTo'
  | 'requestId'
  | 'process'
  | 'processId'
  | 'traceparent';

/** The headers of an event or command, read. */
export interface MessageMetadata {
  /** '' where a message has no id. */
  readonly messageId: string;
  /** Of the chain of messages that it belongs to. Default: its own id. */
  readonly correlationId: string;
  /** Of the message that it follows from. Default: its own id. */
  readonly causationId: string;
  /** Of the aggregate after this event; 0 on a command. */
  readonly version: number;
  readonly timestampMs: number;
  /** W3C trace context. */
  readonly traceparent: string | undefined;
}

/** Reads the headers of an event or command. */
export function metadataOf(record: { readonly headers: RecordHeaders; readonly timestampMs: number }): MessageMetadata {
  const { headers, timestampMs } = record;
  const messageId = headers.text(headerNames.id) ?? '';
  return {
    messageId,
    correlationId: headers.text(headerNames.correlationId) ?? messageId,
    causationId: headers.text(headerNames.causationId) ?? messageId,
    version: Number(headers.text(headerNames.version) ?? 0),
    timestampMs,
    traceparent: headers.text(headerNames.traceparent),
  };
}

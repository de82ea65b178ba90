import { json, recordHeaders, string, topic, type Serde, type SerdeContext, type Topic } from '@millrace/serde';

/** A reply as it is on the topic of replies, and beside its command's id for as long as that is remembered. */
export interface ReplyRecord {
  readonly status: 'accepted' | 'rejected' | 'conflict' | 'reused';
  /** Of the aggregate after the command. */
  readonly version: number;
  readonly code?: string | undefined;
  readonly message?: string | undefined;
  /** As their serde wrote them, in base64. */
  readonly events?: readonly string[] | undefined;
}

/**
 * Replies of all deciders to all buses. Every bus reads it whole, from its end and with no group, so no rebalance can send a reply
 * to another; they are told apart by a header. Kept for five minutes.
 */
export const replies: Topic<string, ReplyRecord> = topic('millrace-replies', {
  key: string,
  value: json<ReplyRecord>(),
  config: { 'cleanup.policy': 'delete', 'retention.ms': 5 * 60_000 },
});

/** Events within a reply have no record of their own, so they have no headers. */
const context: SerdeContext = { topic: replies.name, part: 'value', headers: recordHeaders() };

export function encodeEvents<E>(serde: Serde<E>, events: readonly E[]): string[] {
  return events.map((event) => Buffer.from(serde.serialize(event, context)).toString('base64'));
}

export function decodeEvents<E>(serde: Serde<E>, events: readonly string[]): E[] {
  return events.map((event) => serde.deserialize(Buffer.from(event, 'base64'), context));
}

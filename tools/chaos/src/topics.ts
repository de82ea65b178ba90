import { json, string, topic, type Topic } from '@millrace/serde';

/** A number of a writer's sequence. `isAborted`: written in a transaction that its writer aborted. */
export interface Entry {
  readonly n: number;
  readonly isAborted: boolean;
}

/** Written in transactions, some of them aborted. Number n goes to partition n mod 3. */
export const entries: Topic<string, Entry, 'chaos-entries'> = topic('chaos-entries', {
  key: string,
  value: json<Entry>(),
  numPartitions: 3,
  config: { 'segment.bytes': 1 << 20 },
});

/** What the copiers made of it, exactly once. */
export const copies: Topic<string, Entry, 'chaos-copies'> = topic('chaos-copies', {
  key: string,
  value: json<Entry>(),
  numPartitions: 3,
  config: { 'segment.bytes': 1 << 20 },
});

/** Written by an idempotent producer without transactions. */
export const plain: Topic<string, Entry, 'chaos-plain'> = topic('chaos-plain', {
  key: string,
  value: json<Entry>(),
  numPartitions: 3,
  config: { 'segment.bytes': 1 << 20 },
});

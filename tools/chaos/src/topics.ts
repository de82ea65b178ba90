import { json, string, topic, type Topic } from '@millrace/serde';

/** A number of a writer's sequence. `isAborted`: written in a transaction that its writer aborted. */
export interface Entry {
  readonly n: number;
  readonly isAborted: boolean;
}

/** A number of one run of the idempotent writer: a new run counts from 0 again, as it cannot fence the last one. */
export interface PlainEntry {
  readonly run: string;
  readonly n: number;
}

/** Small segments: they are rolled and reopened many times in a run. */
const config = { 'segment.bytes': 1 << 20 };

/** Written in transactions, some of them aborted. Number n goes to partition n mod 3. */
export const entries: Topic<string, Entry, 'chaos-entries'> = topic('chaos-entries', {
  key: string,
  value: json<Entry>(),
  numPartitions: 3,
  config,
});

/** What the copiers made of it, exactly once. */
export const copies: Topic<string, Entry, 'chaos-copies'> = topic('chaos-copies', {
  key: string,
  value: json<Entry>(),
  numPartitions: 3,
  config,
});

/** Written by an idempotent producer without transactions. Number n goes to partition n mod 3. */
export const plain: Topic<string, PlainEntry, 'chaos-plain'> = topic('chaos-plain', {
  key: string,
  value: json<PlainEntry>(),
  numPartitions: 3,
  config,
});

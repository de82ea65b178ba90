import type { Client } from '@millrace/client';
import type { Topic } from '@millrace/serde';
import type { Entry } from '../topics.ts';

/** Where a writer goes on after a crash: a commit may have succeeded that it never heard of. */
export async function nextNumber(client: Client, topic: Topic<string, Entry>): Promise<number> {
  let next = 0;
  for await (const { value } of client.records(topic, { to: 'end' })) next = Math.max(next, value.n + 1);
  return next;
}

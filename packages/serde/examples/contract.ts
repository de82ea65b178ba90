/** A topic's contract, declared once, and what becomes of a value that does not fit. */
import { decode, encode, int64, json, nullable, recordHeaders, string, topic } from '@millrace/serde';
import { isMillraceError } from '@millrace/platform';
import { z } from 'zod';

const Order = z.object({ id: z.string(), cents: z.number().int() });

export const orders = topic('orders', {
  key: string,
  value: nullable(json(Order)), // null is a deletion
  numPartitions: 3,
  config: { 'cleanup.policy': 'compact' },
});
export const totals = topic('order-totals', { key: string, value: int64 });

// Producers, consumers and pipelines do this; here it is by hand.
const context = { topic: orders.name, part: 'value', headers: recordHeaders() } as const;
const bytes = encode(orders.value, { id: 'o-1', cents: 1200 }, context);
console.log(decode(orders.value, bytes, context)); // { id: 'o-1', cents: 1200 }
console.log(encode(orders.value, null, context)); // null

try {
  decode(orders.value, Buffer.from('{"id":"o-2","cents":0.5}'), context);
} catch (error) {
  if (isMillraceError(error, 'INVALID_VALUE')) console.log(error.message); // …: cents: …
}

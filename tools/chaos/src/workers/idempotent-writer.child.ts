/** Writes numbers without transactions, several sends under way, and notes what is acknowledged. */
import { Client } from '@millrace/client';
import { plain } from '../topics.ts';
import { acknowledge } from './acknowledged.ts';
import { nextNumber } from './next-number.ts';
import { runWorker, workerOptions } from './worker.ts';

const { address, acknowledgedFile } = workerOptions();
await runWorker(async (signal) => {
  await using client = await Client.connect(address, { clientId: 'idempotent-writer' });
  const producer = client.producer();
  let next = await nextNumber(client, plain);
  const underWay = new Set<Promise<void>>();
  while (!signal.aborted) {
    const numbers = Array.from({ length: 10 }, () => next++);
    const sending: Promise<void> = producer
      .send(
        plain,
        numbers.map((n) => ({ key: String(n), value: { n, isAborted: false }, partition: n % 3 })),
      )
      .then(() => acknowledge(acknowledgedFile, numbers))
      .finally(() => underWay.delete(sending));
    underWay.add(sending);
    if (underWay.size >= 5) await Promise.race(underWay);
  }
  await Promise.all(underWay);
});

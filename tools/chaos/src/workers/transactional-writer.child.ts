/** Writes numbers in transactions of 1 to 20; one in five it aborts, with numbers that must never be seen. */
import { Client } from '@millrace/client';
import { entries } from '../topics.ts';
import { acknowledge } from './acknowledged.ts';
import { nextNumber } from './next-number.ts';
import { runWorker, workerOptions } from './worker.ts';

class DeliberateAbort extends Error {}

const { address, acknowledgedFile } = workerOptions();
await runWorker(async (signal) => {
  await using client = await Client.connect(address, { clientId: 'transactional-writer' });
  const producer = client.transactionalProducer({ transactionalId: 'chaos-writer', transactionTimeoutMs: 10_000 });
  // The first transaction fences a predecessor that is still about; only then does the log say where it stopped.
  await producer.transaction(() => Promise.resolve());
  let next = await nextNumber(client, entries);
  while (!signal.aborted) {
    const count = 1 + Math.floor(Math.random() * 20);
    const isAborted = Math.random() < 0.2;
    const numbers = Array.from({ length: count }, (_, i) => next + i);
    try {
      await producer.transaction(async (transaction) => {
        await transaction.send(
          entries,
          numbers.map((n) => ({ key: String(n), value: { n, isAborted }, partition: n % 3 })),
        );
        if (isAborted) throw new DeliberateAbort();
      });
    } catch (error) {
      if (error instanceof DeliberateAbort) continue;
      throw error;
    }
    acknowledge(acknowledgedFile, numbers);
    next += count;
  }
});

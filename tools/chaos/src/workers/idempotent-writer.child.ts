/** Writes numbers without transactions, several sends under way, and notes what is acknowledged. */
import { Client } from '@millrace/client';
import { plain } from '../topics.ts';
import { acknowledge } from './acknowledged.ts';
import { runWorker, workerOptions } from './worker.ts';

/** A pause between sends, in ms: this one alone could fill the disk. */
const pauseMs = 2;

const { address, acknowledgedFile } = workerOptions();
await runWorker(async (signal) => {
  await using client = await Client.connect(address, { clientId: 'idempotent-writer' });
  const producer = client.producer();
  const run = `${process.pid}-${Date.now()}`;
  let next = 0;
  let failure: unknown;
  const underWay = new Set<Promise<void>>();
  while (!signal.aborted && failure === undefined) {
    const numbers = Array.from({ length: 10 }, () => next++);
    const sending: Promise<void> = producer
      .send(
        plain,
        numbers.map((n) => ({ key: String(n), value: { run, n }, partition: n % 3 })),
      )
      .then(() =>
        acknowledge(
          acknowledgedFile,
          numbers.map((n) => `${run}:${n}`),
        ),
      )
      .catch((error: unknown) => void (failure ??= error))
      .finally(() => underWay.delete(sending));
    underWay.add(sending);
    if (underWay.size >= 5) await Promise.race(underWay);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  await Promise.all(underWay);
  if (failure !== undefined) throw failure;
});

/** A member of a group that copies entries, exactly once: results and offsets in one transaction. */
import { Client } from '@millrace/client';
import { copies, entries } from '../topics.ts';
import { runWorker, workerOptions } from './worker.ts';

const { address } = workerOptions();
await runWorker(async (signal) => {
  await using client = await Client.connect(address, { clientId: 'copier' });
  // An id of its own: its predecessor's open transaction is ended by the transaction time-out.
  const producer = client.transactionalProducer({
    transactionalId: `chaos-copier-${process.pid}-${Date.now()}`,
    transactionTimeoutMs: 5000,
  });
  const consumer = client.consumer({
    groupId: 'chaos-copiers',
    topics: [entries],
    enableAutoCommit: false,
    sessionTimeoutMs: 6000,
    signal,
  });
  for await (const batch of consumer.batches()) {
    // Where the partition has moved the commit fails, and this process ends: another member copies the batch.
    await producer.transaction(async (transaction) => {
      await transaction.send(
        copies,
        batch.records.map(({ key, value, partition }) => ({ key, value, partition })),
      );
      transaction.sendOffsets(batch);
    });
  }
});

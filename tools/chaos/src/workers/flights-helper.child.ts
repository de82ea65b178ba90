/** A second instance of the flights pipeline: it takes half of the partitions, and all of them when the other one is dead. */
import { topology } from '@millrace/flights';
import { Streams } from '@millrace/streams';
import { runWorker, workerOptions } from './worker.ts';

const { address } = workerOptions();
await runWorker(async (signal) => {
  await using app = Streams.start(topology, { cluster: address, sessionTimeoutMs: 6000, signal });
  await app.done;
});

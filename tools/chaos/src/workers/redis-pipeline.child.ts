/** An instance of the pipeline of clicks. Its cache holds far fewer users than there are: most counts are read from Redis. */
import { redis } from '@millrace/stores/redis';
import { Streams } from '@millrace/streams';
import { clicksTopology } from '../redis/clicks.ts';
import { runWorker, workerOptions, type WorkerOptions } from './worker.ts';

const { address, redisUrl, instance } = workerOptions<WorkerOptions & { redisUrl: string; instance: string }>();
await runWorker(async (signal) => {
  await using app = Streams.start(clicksTopology, {
    cluster: address,
    store: redis({ url: redisUrl }),
    statestoreCacheMaxBytes: 20_000,
    commitIntervalMs: 20,
    groupInstanceId: instance,
    sessionTimeoutMs: 6000,
    signal,
  });
  await app.done;
});

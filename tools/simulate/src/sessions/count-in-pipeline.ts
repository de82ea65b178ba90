import { string } from '@millrace/serde';
import { Streams, StreamsBuilder, type Topology } from '@millrace/streams';
import { counts, plain, transactional } from '../topics.ts';
import { brokerAddress, type World } from '../world.ts';

/** Every record of both topics, exactly once: by way of a repartition topic and a store with a changelog. */
const counting: Topology = (() => {
  const builder = new StreamsBuilder('counting');
  builder
    .stream(plain)
    .merge(builder.stream(transactional))
    .groupBy(bucketOf, { name: 'by-bucket', key: string })
    .count({ name: 'per-bucket' })
    .toStream()
    .to(counts);
  return builder.build();
})();

export function bucketOf(value: string): string {
  let sum = 0;
  for (let i = 0; i < value.length; i++) sum += value.charCodeAt(i);
  return `bucket${sum % 5}`;
}

/** An instance of the pipeline, which runs a while and closes, or is killed. */
export async function countInPipeline(world: World, signal: AbortSignal): Promise<void> {
  await world.inProcess(async (platform) => {
    const app = Streams.start(counting, {
      cluster: `${brokerAddress.host}:${brokerAddress.port}`,
      platform,
      signal,
      commitIntervalMs: 200,
      sessionTimeoutMs: 3000,
    });
    platform.clock.after(2000 + world.random.below(8000), () => void app.close());
    await app.done;
  });
}

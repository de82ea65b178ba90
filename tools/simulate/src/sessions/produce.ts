import type { Sent } from '../history.ts';
import { plain } from '../topics.ts';
import type { World } from '../world.ts';

/** One idempotent producer, which does not wait for one send before the next. */
export async function produce(world: World, session: string, signal: AbortSignal): Promise<void> {
  await world.asClient(async (client) => {
    const producer = client.producer({ deliveryTimeoutMs: 20_000 });
    const nextOf = [0, 0];
    const underWay: Promise<void>[] = [];
    const sends = 5 + world.random.below(30);
    for (let i = 0; i < sends && !signal.aborted; i++) {
      const partition = world.random.below(2);
      const records: Sent[] = Array.from({ length: 1 + world.random.below(4) }, () => {
        const n = nextOf[partition]!++;
        const value = `${session}/${partition}/${n}`;
        return { session, topic: plain.name, partition, n, value, outcome: 'pending', offset: -1 };
      });
      world.history.sent.push(...records);
      underWay.push(
        producer
          .send(
            plain,
            records.map(({ value }) => ({ key: session, value, partition })),
          )
          .then(
            (positions) =>
              records.forEach((record, at) => {
                record.outcome = 'acknowledged';
                record.offset = positions[at]!.offset;
              }),
            () => records.forEach((record) => void (record.outcome = 'failed')),
          ),
      );
      await world.sleep(world.random.below(50));
    }
    await Promise.all(underWay);
  });
}

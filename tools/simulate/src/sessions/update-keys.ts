import { compacted } from '../topics.ts';
import type { World } from '../world.ts';

/** The one writer of the compacted topic, one record at a time. */
export async function updateKeys(world: World, session: string, signal: AbortSignal): Promise<void> {
  await world.asClient(async (client) => {
    const producer = client.producer({ deliveryTimeoutMs: 20_000 });
    const count = 5 + world.random.below(40);
    for (let i = 0; i < count && !signal.aborted; i++) {
      const key = `key${world.random.below(5)}`;
      const value = `${session}/${i} ${'x'.repeat(world.random.below(200))}`;
      const state = world.history.keys.get(key) ?? { acknowledged: undefined, maybe: new Set<string>() };
      world.history.keys.set(key, state);
      state.maybe.add(value);
      await producer.send(compacted, { key, value, partition: 0 });
      state.acknowledged = value;
      state.maybe.clear(); // what failed before it can no longer come after it
    }
  });
}

import { plain, transactional } from '../topics.ts';
import type { World } from '../world.ts';

/** A member of the group, which commits what it was handed, batch by batch, then leaves, or is killed. */
export async function readInGroup(world: World, signal: AbortSignal): Promise<void> {
  const { history, random } = world;
  await world.asClient(async (client) => {
    const consumer = client.consumer({
      groupId: 'readers',
      topics: [plain, transactional],
      enableAutoCommit: false,
      sessionTimeoutMs: 3000,
      rebalanceTimeoutMs: 5000,
      signal,
    });
    let left = 3 + random.below(20);
    for await (const batch of consumer.batches()) {
      const { topic, partition } = batch;
      for (const { offset, value } of batch) history.seen.push({ topic, partition, offset, value });
      const askedAt = history.moment();
      await consumer.commit(batch);
      const acknowledgedAt = history.moment();
      history.commits.push({ topic, partition, offset: batch.lastOffset + 1, askedAt, acknowledgedAt });
      if (--left === 0 || signal.aborted) break;
    }
  });
}

import type { SentTransaction } from '../history.ts';
import { transactional } from '../topics.ts';
import type { World } from '../world.ts';

const transactionalId = 'tx';

/** A transactional producer; each takes over from the one before, wherever that died. */
export async function transact(world: World, session: string, signal: AbortSignal): Promise<void> {
  await world.asClient(async (client) => {
    const producer = client.transactionalProducer({ transactionalId, transactionTimeoutMs: 5000 });
    const count = 3 + world.random.below(10);
    for (let i = 0; i < count && !signal.aborted; i++) {
      const values = Array.from({ length: 1 + world.random.below(6) }, (_, at) => ({
        topic: transactional.name,
        partition: world.random.below(2),
        value: `${session}/${i}/${at}`,
      }));
      const sent: SentTransaction = { values, outcome: 'pending' };
      world.history.transactions.push(sent);
      const willAbort = world.random.chance(0.3);
      let reachedEnd = false;
      try {
        await producer.transaction(async (transaction) => {
          await transaction.send(
            transactional,
            values.map(({ value, partition }) => ({ key: 'k', value, partition })),
          );
          reachedEnd = true;
          if (willAbort) throw new Deliberate();
        });
        sent.outcome = 'committed';
      } catch (error) {
        // Before its end was asked for, a transaction can only be aborted; afterwards nobody knows.
        if (error instanceof Deliberate || !reachedEnd) sent.outcome = 'aborted';
        if (!(error instanceof Deliberate)) throw error;
      }
    }
  });
}

/** A writer that died in a transaction leaves it open: its successor aborts it, as its next start would. */
export async function abortOpenTransaction(world: World): Promise<void> {
  await world.asClient(async (client) => {
    const producer = client.transactionalProducer({ transactionalId });
    await producer.transaction(() => Promise.resolve());
  });
}

class Deliberate extends Error {}

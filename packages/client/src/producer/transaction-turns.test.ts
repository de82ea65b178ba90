import { apis, errorCodes } from '@millrace/protocol';
import { string, topic } from '@millrace/serde';
import { afterEach, expect, it } from 'vitest';
import type { TransactionalProducer } from './producer.ts';
import { ScriptedGroup } from '../testing/scripted-group.ts';

const letters = topic('t', { key: string, value: string });
const groups: ScriptedGroup[] = [];
const transactionTimeoutMs = 4_000;

async function open(): Promise<{ group: ScriptedGroup; producer: TransactionalProducer; ended: boolean[] }> {
  const group = new ScriptedGroup();
  groups.push(group);
  const ended: boolean[] = [];
  const { broker } = group;
  broker.on(apis.produce, () => ({ responses: [{ name: 't', partitionResponses: [{ index: 0, baseOffset: 0 }] }] }));
  broker.on(apis.addPartitionsToTxn, (request) => ({
    resultsByTopicV3AndBelow: request.v3AndBelowTopics.map(({ name, partitions }) => ({
      name,
      resultsByPartition: partitions.map((partitionIndex) => ({ partitionIndex, partitionErrorCode: 0 })),
    })),
  }));
  broker.on(apis.endTxn, ({ committed }) => {
    ended.push(committed);
    return { errorCode: errorCodes.NONE };
  });
  const client = await group.connect();
  return { group, ended, producer: client.transactionalProducer({ transactionalId: 'copier', transactionTimeoutMs }) };
}

afterEach(async () => {
  for (const group of groups.splice(0)) await group.run(group.client.close());
});

it('runs concurrent transactions one after the other, in the order of the calls, whatever becomes of one', async () => {
  const { group, producer, ended } = await open();
  const steps: string[] = [];
  const work = (name: string): Promise<string> =>
    producer.transaction(async (transaction) => {
      steps.push(`${name} begins`);
      await transaction.send(letters, { key: 'k', value: name });
      await new Promise<void>((resolve) => void group.clock.after(1_000, resolve));
      steps.push(`${name} ends`);
      if (name === 'b') throw new Error('b fails');
      return name;
    });
  const outcomes = await group.run(Promise.allSettled(['a', 'b', 'c'].map(work)));
  expect(outcomes).toMatchObject([{ value: 'a' }, { reason: { message: 'b fails' } }, { value: 'c' }]);
  expect(steps).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
  expect(ended).toEqual([true, false, true]);
});

it('fails a transaction inside of the work of another, which would wait for itself, and goes on after', async () => {
  const { group, producer, ended } = await open();
  const startMs = group.clock.monotonic();
  const outer = producer.transaction(async (transaction) => {
    await transaction.send(letters, { key: 'k', value: 'outer' });
    await producer.transaction((inner) => inner.send(letters, { key: 'k', value: 'inner' }));
  });
  await expect(group.run(outer)).rejects.toMatchObject({
    code: 'INVALID_TXN_STATE',
    context: { transactionalId: 'copier', operation: 'transaction' },
  });
  expect(group.clock.monotonic() - startMs).toBeLessThanOrEqual(transactionTimeoutMs + 100);
  expect(ended).toEqual([false]);
  await group.run(producer.transaction((transaction) => transaction.send(letters, { key: 'k', value: 'next' })));
  expect(ended).toEqual([false, true]);
});

it('lets nobody in before a transaction has ended that is over its time', async () => {
  const { group, producer } = await open();
  let finish: () => void = () => {};
  let isOpen = true;
  const slow = producer.transaction(async () => {
    await new Promise<void>((resolve) => (finish = resolve));
    isOpen = false;
  });
  const waits = producer.transaction(() => Promise.resolve());
  waits.catch(() => {});
  await group.clock.advance(transactionTimeoutMs - 100);
  expect(await group.run(Promise.race([waits, Promise.resolve('waits')]))).toBe('waits');
  await expect(group.run(waits)).rejects.toMatchObject({ code: 'INVALID_TXN_STATE' });
  await expect(group.run(producer.transaction(() => Promise.resolve()))).rejects.toMatchObject({
    code: 'INVALID_TXN_STATE',
  });
  expect(isOpen).toBe(true);
  finish();
  await group.run(slow);
  expect(await group.run(producer.transaction(() => Promise.resolve(isOpen)))).toBe(false);
});

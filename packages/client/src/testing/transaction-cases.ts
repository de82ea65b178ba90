import assert from 'node:assert/strict';
import { string, topic, type Topic } from '@millrace/serde';
import { bytesTransactionalProducer } from '../bytes/index.ts';
import type { Client } from '../client.ts';
import type { RecordsOptions } from '../consumer/consumer-options.ts';
import { all, eventually, take, type ClientCase } from './client-case.ts';

/**
 * The values of a topic in order of size. Waits for `count` of them, as a commit is answered before its markers are written in
 * each partition; then looks whether there are more.
 */
async function valuesOf(
  client: Client,
  topic: Topic<Uint8Array | null, string>,
  count: number,
  options: RecordsOptions = {},
): Promise<string[]> {
  await take(client.records(topic, options), count);
  const records = await all(client.records(topic, { ...options, to: 'end' }));
  return records.map(({ value }) => value).toSorted();
}

export const transactionCases: readonly ClientCase[] = [
  {
    name: 'records of a transaction are seen when it commits, never when it aborts; uncommitted readers see all',
    async run(context) {
      const client = await context.connect();
      const ledger = topic(context.name('ledger'), { value: string, numPartitions: 2 });
      await client.admin.createTopics([ledger]);
      const producer = client.transactionalProducer({ transactionalId: context.name('writer') });
      const result = await producer.transaction(async (transaction) => {
        await transaction.send(ledger, [
          { value: 'a', partition: 0 },
          { value: 'b', partition: 1 },
        ]);
        assert.deepEqual(await valuesOf(client, ledger, 0), []);
        void transaction.send(ledger, { value: 'not awaited', partition: 0 });
        return 42;
      });
      assert.equal(result, 42);
      assert.deepEqual(await valuesOf(client, ledger, 3), ['a', 'b', 'not awaited']);

      await assert.rejects(
        producer.transaction(async (transaction) => {
          await transaction.send(ledger, { value: 'aborted', partition: 0 });
          throw new Error('changed my mind');
        }),
        /changed my mind/,
      );
      await producer.transaction(async (transaction) => {
        await transaction.send(ledger, { value: 'c', partition: 0 });
      });
      assert.deepEqual(await valuesOf(client, ledger, 4), ['a', 'b', 'c', 'not awaited']);
      assert.deepEqual(await valuesOf(client, ledger, 5, { isolationLevel: 'read_uncommitted' }), [
        'a',
        'aborted',
        'b',
        'c',
        'not awaited',
      ]);
    },
  },
  {
    name: 'an empty transaction, and one that only commits offsets, commit too; calls wait for each other',
    async run(context) {
      const client = await context.connect();
      const input = topic(context.name('input'), { value: string, numPartitions: 1 });
      await client.admin.createTopics([input]);
      await client.producer().send(input, [{ value: 'a' }, { value: 'b' }]);
      const groupId = context.name('offsets');
      const producer = client.transactionalProducer({ transactionalId: context.name('offsets') });
      assert.equal(await producer.transaction(() => Promise.resolve('nothing')), 'nothing');
      for await (const batch of client.consumer({ groupId, topics: [input], enableAutoCommit: false }).batches()) {
        const order: number[] = [];
        const first = producer.transaction(async (transaction) => {
          await Promise.resolve();
          transaction.sendOffsets(batch);
          order.push(1);
        });
        const second = producer.transaction(async () => void order.push(2));
        await Promise.all([first, second]);
        assert.deepEqual(order, [1, 2]);
        break;
      }
      const offsets = await eventually(
        () => client.admin.listConsumerGroupOffsets(groupId),
        ({ length }) => length > 0,
      );
      assert.deepEqual(
        offsets.map(({ offset }) => offset),
        [2],
      );
    },
  },
  {
    name: 'a partition ends before an open transaction for those who read what is committed',
    async run(context) {
      const client = await context.connect();
      const half = topic(context.name('half'), { value: string, numPartitions: 1 });
      await client.admin.createTopics([half]);
      await client.producer().send(half, [{ value: 'a' }, { value: 'b' }]);
      const producer = client.transactionalProducer({ transactionalId: context.name('half') });
      const ends = async (): Promise<readonly number[]> => {
        const all = await client.admin.listOffsets(half.name, 'latest');
        const stable = await client.admin.listOffsets(half.name, 'latest', { isolationLevel: 'read_committed' });
        return [all[0]!.offset, stable[0]!.offset];
      };
      await producer.transaction(async (transaction) => {
        await transaction.send(half, { value: 'c' });
        assert.deepEqual(await ends(), [3, 2]);
      });
      const settled = await eventually(ends, ([all, stable]) => all === stable);
      assert.deepEqual(settled, [4, 4]); // the end of the transaction has an offset too
    },
  },
  {
    name: 'reading, writing and committing offsets in transactions gives each input once, aborts included',
    async run(context) {
      const client = await context.connect();
      const input = topic(context.name('input'), { value: string, numPartitions: 3 });
      const output = topic(context.name('output'), { value: string, numPartitions: 2 });
      await client.admin.createTopics([input, output]);
      await client.producer().send(
        input,
        Array.from({ length: 300 }, (_, i) => ({ value: String(i), partition: i % 3 })),
      );
      const groupId = context.name('copier');
      let copied = 0;
      let attempts = 0;
      while (copied < 300) {
        const producer = client.transactionalProducer({ transactionalId: context.name('copier') });
        const consumer = client.consumer({
          groupId,
          topics: [input],
          enableAutoCommit: false,
          maxBufferedRecords: 20,
        });
        try {
          for await (const batch of consumer.batches()) {
            attempts++;
            await producer.transaction(async (transaction) => {
              await transaction.send(
                output,
                batch.records.map(({ value }) => ({ value })),
              );
              transaction.sendOffsets(batch);
              if (attempts % 4 === 0) throw new Error('crash');
            });
            copied += batch.records.length;
            if (copied === 300) break;
          }
        } catch (error) {
          assert.match(String(error), /crash/);
        }
        await producer.close();
      }
      assert.deepEqual(
        await valuesOf(client, output, 300),
        Array.from({ length: 300 }, (_, i) => String(i)).toSorted(),
      );
    },
  },
  {
    name: 'a second producer with the same transactional id fences the first, whose open records are never seen',
    async run(context) {
      const client = await context.connect();
      const ledger = topic(context.name('fenced'), { value: string, numPartitions: 1 });
      await client.admin.createTopics([ledger]);
      const transactionalId = context.name('owner');
      const first = client.transactionalProducer({ transactionalId });
      const second = client.transactionalProducer({ transactionalId });
      await assert.rejects(
        first.transaction(async (transaction) => {
          await transaction.send(ledger, { value: 'zombie' });
          await second.transaction(async (other) => void (await other.send(ledger, { value: 'heir' })));
        }),
        { code: 'PRODUCER_FENCED' },
      );
      await assert.rejects(
        first.transaction(() => Promise.resolve()),
        { code: 'PRODUCER_FENCED' },
      );
      await first.close();
      assert.deepEqual(await valuesOf(client, ledger, 1), ['heir']);
    },
  },
  {
    name: 'offsets of a member that the group has lost fail the transaction (KIP-447)',
    async run(context) {
      const client = await context.connect();
      const input = topic(context.name('stale'), { value: string, numPartitions: 1 });
      await client.admin.createTopics([input]);
      await client.producer().send(input, { value: 'a' });
      const producer = bytesTransactionalProducer(client, { transactionalId: context.name('stale') });
      await producer.init();
      producer.begin();
      const group = { groupId: context.name('stale'), generationId: 7, memberId: 'nobody', groupInstanceId: null };
      await assert.rejects(producer.sendOffsets([{ topic: input.name, partition: 0, offset: 1 }], group), {
        code: 'COMMIT_FAILED',
      });
      await assert.rejects(producer.commit(), { code: 'COMMIT_FAILED' });
      await producer.abort();
      producer.begin();
      producer.append(input.name, 0, 1, null, Buffer.from('b'));
      await producer.commit();
      assert.deepEqual(await valuesOf(client, input, 2), ['a', 'b']);
    },
  },
  {
    name: 'a record that is refused aborts the transaction, and the producer goes on',
    async run(context) {
      const client = await context.connect();
      const small = topic(context.name('limited'), {
        value: string,
        numPartitions: 1,
        config: { 'max.message.bytes': 5_000 },
      });
      await client.admin.createTopics([small]);
      const producer = client.transactionalProducer({ transactionalId: context.name('limited') });
      await assert.rejects(
        producer.transaction(async (transaction) => {
          await transaction.send(small, { value: 'fits' });
          void transaction.send(small, { value: 'x'.repeat(10_000) });
        }),
        { code: 'MESSAGE_TOO_LARGE' },
      );
      await producer.transaction(async (transaction) => void (await transaction.send(small, { value: 'next' })));
      assert.deepEqual(await valuesOf(client, small, 1), ['next']);
    },
  },
];

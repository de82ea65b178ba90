import assert from 'node:assert/strict';
import { json, string, topic } from '@millrace/serde';
import { bytesConsumer } from '../bytes/index.ts';
import { all, take, type ClientCase } from './client-case.ts';

export const consumingCases: readonly ClientCase[] = [
  {
    name: 'records are read from an offset, a time, the end, or single partitions',
    async run(context) {
      const client = await context.connect();
      const log = topic(context.name('log'), { value: string, numPartitions: 2 });
      await client.admin.createTopics([log]);
      const producer = client.producer({ batchSizeBytes: 2_000 });
      await producer.send(
        log,
        Array.from({ length: 500 }, (_, i) => ({ value: String(i), partition: i % 2, timestampMs: 1_000_000 + i })),
      );
      const values = async (options: Parameters<typeof client.records>[1]): Promise<number[]> =>
        (await all(client.records(log, { to: 'end', ...options })))
          .map(({ value }) => Number(value))
          .sort((a, b) => a - b);
      const from = (first: number, step: number): number[] =>
        Array.from({ length: Math.ceil((500 - first) / step) }, (_, i) => first + i * step);

      assert.deepEqual(await values({}), from(0, 1));
      assert.deepEqual(await values({ partitions: [1] }), from(1, 2));
      // In the middle of a batch: what is before it in the batch is not handed out.
      assert.deepEqual(await values({ partitions: [0], from: { offsets: { 0: 123 } } }), from(246, 2));
      assert.deepEqual(await values({ from: { timestampMs: 1_000_300 } }), from(300, 1));
      assert.deepEqual(await values({ from: { timestampMs: 2_000_000 } }), []);
      assert.deepEqual(await values({ from: 'latest' }), []);
      await assert.rejects(values({ partitions: [2] }), { code: 'UNKNOWN_TOPIC_OR_PARTITION' });
    },
  },
  {
    name: 'records without an end go on with what is written later, and an abort ends them quietly',
    async run(context) {
      const client = await context.connect();
      const live = topic(context.name('live'), { value: string, numPartitions: 1 });
      await client.admin.createTopics([live]);
      const producer = client.producer();
      await producer.send(live, { value: 'first' });
      const abort = new AbortController();
      const seen: string[] = [];
      for await (const { value } of client.records(live, { signal: abort.signal })) {
        seen.push(value);
        if (value === 'first') await producer.send(live, { value: 'second' });
        else abort.abort();
      }
      assert.deepEqual(seen, ['first', 'second']);
    },
  },
  {
    name: 'an invalid record fails the loop with its place, after those before it; or is skipped if asked',
    async run(context) {
      const client = await context.connect();
      const raw = topic(context.name('mixed'), { value: string, numPartitions: 1 });
      const mixed = topic(raw.name, { value: json<{ n: number }>() });
      await client.admin.createTopics([raw]);
      await client.producer().send(raw, [{ value: '{"n":1}' }, { value: '{"n":' }, { value: '{"n":3}' }]);

      const seen: number[] = [];
      const read = async (): Promise<void> => {
        for await (const { value } of client.records(mixed, { to: 'end' })) seen.push(value.n);
      };
      await assert.rejects(read(), (error: Error & { code: string; context: object }) => {
        assert.equal(error.code, 'INVALID_RECORD');
        assert.deepEqual(error.context, { topic: raw.name, partition: 0, offset: 1 });
        return true;
      });
      assert.deepEqual(seen, [1]);

      const skipped: number[] = [];
      const good = await all(
        client.records(mixed, {
          to: 'end',
          onInvalid: (_error, { offset, value }) => {
            skipped.push(offset, value!.length);
            return 'skip';
          },
        }),
      );
      assert.deepEqual(
        good.map(({ value }) => value.n),
        [1, 3],
      );
      assert.deepEqual(skipped, [1, 5]);

      // In a group: what came before it is done, the record itself is not.
      const groupId = context.name('mixed');
      const consume = async (): Promise<void> => {
        for await (const record of client.consumer({ groupId, topics: [mixed] })) assert.equal(record.value.n, 1);
      };
      await assert.rejects(consume(), { code: 'INVALID_RECORD' });
      assert.deepEqual(
        (await client.admin.listConsumerGroupOffsets(groupId)).map(({ offset, lagRecords }) => [offset, lagRecords]),
        [[1, 2]],
      );
    },
  },
  {
    name: 'records that retention has taken are skipped with autoOffsetReset, and an error with none',
    async run(context) {
      const client = await context.connect();
      const short = topic(context.name('short'), { value: string, numPartitions: 1 });
      await client.admin.createTopics([short]);
      await client.producer().send(
        short,
        Array.from({ length: 10 }, (_, i) => ({ value: String(i) })),
      );
      await client.admin.deleteRecords([{ topic: short.name, partition: 0, offset: 6 }]);
      assert.deepEqual(await client.admin.listOffsets(short.name, 'earliest'), [
        { topic: short.name, partition: 0, offset: 6 },
      ]);
      const options = { isolationLevel: 'read_committed' } as const;
      const start = [{ topic: short.name, partition: 0, offset: 2 }];

      const forgiving = bytesConsumer(client, { ...options, autoOffsetReset: 'earliest' });
      forgiving.assign(start);
      const fetched = await forgiving.poll(20_000);
      assert.equal(fetched?.firstOffset, 6);
      await forgiving.close();

      const strict = bytesConsumer(client, { ...options, autoOffsetReset: 'none' });
      strict.assign(start);
      await assert.rejects(strict.poll(20_000), { code: 'OFFSET_OUT_OF_RANGE' });
      strict.seek({ topic: short.name, partition: 0, offset: 8 });
      assert.equal((await strict.poll(20_000))?.firstOffset, 8);
      await strict.close();
    },
  },
  {
    name: 'pause holds a partition back and resume lets it go on; seek goes elsewhere',
    async run(context) {
      const client = await context.connect();
      const held = topic(context.name('held'), { value: string, numPartitions: 2 });
      await client.admin.createTopics([held]);
      await client.producer().send(
        held,
        Array.from({ length: 20 }, (_, i) => ({ value: String(i), partition: i % 2 })),
      );
      const consumer = client.consumer({
        groupId: context.name('held'),
        topics: [held],
        maxBufferedRecords: 1,
        onPartitionsAssigned: (): void => consumer.pause([{ topic: held.name, partition: 1 }]),
      });
      const seen: string[] = [];
      for await (const { partition, value } of consumer) {
        seen.push(`${partition}:${value}`);
        if (value === '18' && seen.length === 10) consumer.seek({ topic: held.name, partition: 0, offset: 9 });
        if (seen.length === 11) consumer.resume();
        if (seen.length === 21) break;
      }
      const even = Array.from({ length: 10 }, (_, i) => `0:${2 * i}`);
      const odd = Array.from({ length: 10 }, (_, i) => `1:${2 * i + 1}`);
      assert.deepEqual(seen, [...even, '0:18', ...odd]);
    },
  },
  {
    name: 'bytes: position, end and next offset agree, and a chunk begins where it was asked to',
    async run(context) {
      const client = await context.connect();
      const raw = topic(context.name('raw'), { value: string, numPartitions: 1 });
      await client.admin.createTopics([raw]);
      await client.producer().send(
        raw,
        Array.from({ length: 100 }, (_, i) => ({ value: String(i) })),
      );
      const place = { topic: raw.name, partition: 0 };
      const consumer = bytesConsumer(client, { isolationLevel: 'read_committed', autoOffsetReset: 'none' });
      consumer.assign([{ ...place, offset: 40 }]);
      assert.equal(consumer.position(place), 40);
      assert.equal(consumer.endOffset(place), undefined);
      const chunk = await consumer.poll(20_000);
      const offsets: number[] = [];
      chunk!.forEach((reader) => offsets.push(reader.offset));
      assert.deepEqual(
        offsets,
        Array.from({ length: 60 }, (_, i) => 40 + i),
      );
      assert.deepEqual([chunk!.firstOffset, chunk!.nextOffset, chunk!.highWatermark], [40, 100, 100]);
      assert.deepEqual([consumer.position(place), consumer.endOffset(place)], [100, 100]);
      assert.equal(await consumer.poll(10), null);
      await consumer.close();
      await assert.rejects(consumer.poll(10), { code: 'CLOSED' });
    },
  },
  {
    name: 'a topic that does not exist is an error that names it',
    async run(context) {
      const client = await context.connect({ unknownTopicTimeoutMs: 300 });
      const nowhere = topic(context.name('nowhere'), { value: string });
      await assert.rejects(take(client.records(nowhere), 1), {
        code: 'UNKNOWN_TOPIC_OR_PARTITION',
        context: { topic: nowhere.name },
      });
    },
  },
];

import assert from 'node:assert/strict';
import { bytes, json, nullable, string, topic } from '@millrace/serde';
import { partitionOf } from '../producer/partitioner.ts';
import { all, type ClientCase } from './client-case.ts';

export const producingCases: readonly ClientCase[] = [
  {
    name: 'a record is read back as it was sent: key, value, headers, time, place',
    async run(context) {
      const client = await context.connect();
      const orders = topic(context.name('orders'), { key: string, value: json<{ cents: number }>(), numPartitions: 3 });
      await client.admin.createTopics([orders]);
      const timestampMs = Date.UTC(2026, 0, 2, 3, 4, 5, 6);
      const position = await client.producer().send(orders, {
        key: 'ada',
        value: { cents: 12 },
        timestampMs,
        headers: [
          ['trace', 'a-1'],
          ['trace', 'ü'],
          ['none', null],
        ],
        partition: 2,
      });
      assert.deepEqual(position, { topic: orders.name, partition: 2, offset: 0 });

      const [record, ...others] = await all(client.records(orders, { to: 'end' }));
      assert.equal(others.length, 0);
      assert.deepEqual(
        { ...record, headers: [...record!.headers].map(([name, value]) => [name, value && String(value)]) },
        {
          ...position,
          timestampMs,
          key: 'ada',
          value: { cents: 12 },
          headers: [
            ['trace', '97,45,49'],
            ['trace', '195,188'],
            ['none', null],
          ],
        },
      );
      assert.equal(record!.headers.text('trace'), 'ü');
    },
  },
  {
    name: 'null keys and values are kept apart from empty ones',
    async run(context) {
      const client = await context.connect();
      const nulls = topic(context.name('nulls'), { key: nullable(bytes), value: nullable(bytes), numPartitions: 1 });
      await client.admin.createTopics([nulls]);
      const empty = new Uint8Array(0);
      await client.producer().send(nulls, [{ key: null, value: null }, { key: empty, value: empty }, { value: empty }]);
      const records = await all(client.records(nulls, { to: 'end' }));
      assert.deepEqual(
        records.map(({ key, value }) => [key?.length ?? null, value?.length ?? null]),
        [
          [null, null],
          [0, 0],
          [null, 0],
        ],
      );
    },
  },
  {
    name: 'a key goes to the partition that murmur2 says, and one call gives all places in order',
    async run(context) {
      const client = await context.connect();
      const keyed = topic(context.name('keyed'), { key: string, value: string, numPartitions: 7 });
      await client.admin.createTopics([keyed]);
      const keys = Array.from({ length: 200 }, (_, i) => `key ${i % 50}`);
      const positions = await client.producer().send(
        keyed,
        keys.map((key, i) => ({ key, value: String(i) })),
      );
      assert.deepEqual(
        positions.map(({ partition }) => partition),
        keys.map((key) => partitionOf(Buffer.from(key), 7)),
      );
      const records = await all(client.records(keyed, { to: 'end' }));
      const byPlace = new Map(records.map((record) => [`${record.partition}@${record.offset}`, record.value]));
      assert.deepEqual(
        positions.map(({ partition, offset }) => byPlace.get(`${partition}@${offset}`)),
        keys.map((_, i) => String(i)),
      );
    },
  },
  ...(['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const).map((compressionType): ClientCase => ({
    name: `what is compressed by ${compressionType} is read back whole`,
    async run(context) {
      const client = await context.connect();
      const texts = topic(context.name(`texts-${compressionType}`), { key: string, value: string, numPartitions: 2 });
      await client.admin.createTopics([texts]);
      const sent = Array.from({ length: 3_000 }, (_, i) => ({
        key: `k${i % 7}`,
        value: `${'lorem ipsum '.repeat(i % 20)}${i}`,
      }));
      await client.producer({ compressionType, batchSizeBytes: 65_536 }).send(texts, sent);
      const values = (await all(client.records(texts, { to: 'end' }))).map(({ value }) => value);
      assert.deepEqual(values.toSorted(), sent.map(({ value }) => value).toSorted());
    },
  })),
  {
    name: 'acks 1 and 0 write too, and 0 knows no offsets',
    async run(context) {
      const client = await context.connect();
      const lax = topic(context.name('lax'), { value: string, numPartitions: 1 });
      await client.admin.createTopics([lax]);
      const one = await client.producer({ acks: 1 }).send(lax, { value: 'one' });
      assert.equal(one.offset, 0);
      const zero = client.producer({ acks: 0 });
      assert.equal((await zero.send(lax, { value: 'zero' })).offset, -1);
      // Behind it on the same connection: answered when both are written.
      for await (const { value } of client.records(lax)) if (value === 'zero') break;
    },
  },
  {
    name: 'order within a partition is the order of the calls, over many batches',
    async run(context) {
      const client = await context.connect();
      const ordered = topic(context.name('ordered'), { value: string, numPartitions: 3 });
      await client.admin.createTopics([ordered]);
      const producer = client.producer({ batchSizeBytes: 1_000 });
      const sends: Promise<unknown>[] = [];
      for (let i = 0; i < 3_000; i++) sends.push(producer.send(ordered, { value: String(i), partition: i % 3 }));
      await Promise.all(sends);
      for (const partition of [0, 1, 2]) {
        const values = await all(client.records(ordered, { to: 'end', partitions: [partition] }));
        assert.deepEqual(
          values.map(({ value }) => Number(value)),
          Array.from({ length: 1_000 }, (_, i) => 3 * i + partition),
        );
      }
    },
  },
  {
    name: 'a batch that exceeds max.message.bytes is split; a record that does is refused alone',
    async run(context) {
      const client = await context.connect();
      const small = topic(context.name('small'), {
        value: string,
        numPartitions: 1,
        config: { 'max.message.bytes': 10_000 },
      });
      await client.admin.createTopics([small]);
      const producer = client.producer();
      const sent = Array.from({ length: 50 }, (_, i) => ({ value: `${i} ${'x'.repeat(1_000)}` }));
      const positions = await producer.send(small, sent);
      assert.deepEqual(
        positions.map(({ offset }) => offset),
        sent.map((_, i) => i),
      );
      await assert.rejects(producer.send(small, { value: 'y'.repeat(20_000) }), { code: 'MESSAGE_TOO_LARGE' });
      assert.equal((await producer.send(small, { value: 'after' })).offset, 50);
    },
  },
  {
    name: 'a record that its serde refuses is not sent, nor are the others of its call',
    async run(context) {
      const client = await context.connect();
      const strict = topic(context.name('strict'), { value: string, numPartitions: 1 });
      await client.admin.createTopics([strict]);
      const producer = client.producer();
      const wrong = 5 as unknown as string;
      await assert.rejects(producer.send(strict, [{ value: 'good' }, { value: wrong }]), { code: 'UNENCODABLE' });
      await producer.send(strict, { value: 'next' });
      assert.deepEqual(
        (await all(client.records(strict, { to: 'end' }))).map(({ value }) => value),
        ['next'],
      );
    },
  },
  {
    name: 'sendFrom takes iterables, async iterables and Observables',
    async run(context) {
      const client = await context.connect();
      const from = topic(context.name('from'), { value: string, numPartitions: 2 });
      await client.admin.createTopics([from]);
      const producer = client.producer();
      const record = (value: string): { value: string } => ({ value });
      async function* later(): AsyncGenerator<{ value: string }> {
        for (let i = 0; i < 1_200; i++) yield await Promise.resolve(record(`async ${i}`));
      }
      const observable = {
        subscribe(observer: { next(value: { value: string }): void; complete(): void }) {
          for (let i = 0; i < 300; i++) observer.next(record(`pushed ${i}`));
          observer.complete();
          return { unsubscribe() {} };
        },
      };
      assert.deepEqual(await producer.sendFrom(from, ['a', 'b'].map(record)), { sentCount: 2, droppedCount: 0 });
      assert.deepEqual(await producer.sendFrom(from, later(), { maxBufferedRecords: 100 }), {
        sentCount: 1_200,
        droppedCount: 0,
      });
      assert.deepEqual(await producer.sendFrom(from, observable), { sentCount: 300, droppedCount: 0 });
      const flood = await producer.sendFrom(from, observable, { maxBufferedRecords: 10, overflow: 'dropNewest' });
      assert.deepEqual(flood, { sentCount: 10, droppedCount: 290 });
      await assert.rejects(producer.sendFrom(from, observable, { maxBufferedRecords: 10 }), {
        code: 'BUFFER_OVERFLOW',
      });
      async function* broken(): AsyncGenerator<{ value: string }> {
        yield await Promise.resolve(record('before'));
        throw new Error('the source broke');
      }
      await assert.rejects(producer.sendFrom(from, broken()), /the source broke/);
    },
  },
  {
    name: 'a producer that is closed has sent all it took, and takes no more',
    async run(context) {
      const client = await context.connect();
      const last = topic(context.name('last'), { value: string, numPartitions: 1 });
      await client.admin.createTopics([last]);
      const producer = client.producer({ lingerMs: 60_000 });
      const sent = producer.send(last, { value: 'lingering' });
      await producer.close();
      assert.equal((await sent).offset, 0);
      await assert.rejects(producer.send(last, { value: 'late' }), { code: 'CLOSED' });
    },
  },
];

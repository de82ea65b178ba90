import zstd from '@foxglove/wasm-zstd';
import { CompressionCodecs, CompressionTypes, Kafka, logLevel, type Consumer, type KafkaMessage } from 'kafkajs';
import { compressFrame, decompressFrame } from 'lz4-napi';
import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import { startTestBroker } from './broker.ts';

// kafkajs brings gzip alone. A CommonJS module without types: a codec that writes Java's snappy framing.
const snappyCodec = createRequire(import.meta.url)('kafkajs-snappy') as () => never;
CompressionCodecs[CompressionTypes.Snappy] = snappyCodec;
// The published codecs for the other two compile C++ when they are installed; these libraries bring it compiled.
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: ({ buffer }: { readonly buffer: Buffer }) => compressFrame(buffer),
  decompress: (buffer: Buffer) => decompressFrame(buffer),
});
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async ({ buffer }: { readonly buffer: Buffer }) => {
    await zstd.isLoaded;
    return Buffer.from(zstd.compress(buffer, 3));
  },
  decompress: async (buffer: Buffer) => {
    await zstd.isLoaded;
    return Buffer.from(zstd.decompress(buffer, 1 << 20));
  },
});

describe('kafkajs', { timeout: 60_000 }, () => {
  const client = (address: string): Kafka => new Kafka({ brokers: [address], logLevel: logLevel.NOTHING });

  it.each([
    ['none', CompressionTypes.None],
    ['gzip', CompressionTypes.GZIP],
    ['snappy', CompressionTypes.Snappy],
    ['lz4', CompressionTypes.LZ4],
    ['zstd', CompressionTypes.ZSTD],
  ])('produces and consumes with compression %s', async (_, compression) => {
    await using broker = await startTestBroker({ 'num.partitions': 2 });
    const kafka = client(broker.address);
    const producer = kafka.producer();
    await producer.connect();
    const messages = Array.from({ length: 100 }, (__, n) => ({
      key: `k${n % 5}`,
      value: `value ${n}`,
      headers: { n: String(n) },
    }));
    await producer.send({ topic: 'codec', compression, messages });
    await producer.disconnect();
    const received = await consume(kafka, 'codec', 'readers', 100);
    expect(received.map(({ value }) => value!.toString()).toSorted()).toEqual(
      messages.map(({ value }) => value).toSorted(),
    );
    expect(received.every(({ headers, value }) => `value ${String(headers!['n'])}` === value!.toString())).toBe(true);
  });

  it('creates, describes, changes and deletes topics', async () => {
    await using broker = await startTestBroker();
    const admin = client(broker.address).admin();
    await admin.connect();
    expect(
      await admin.createTopics({
        topics: [{ topic: 'made', numPartitions: 3, configEntries: [{ name: 'cleanup.policy', value: 'compact' }] }],
      }),
    ).toBe(true);
    expect(await admin.createTopics({ topics: [{ topic: 'made' }] })).toBe(false);
    await admin.createPartitions({ topicPartitions: [{ topic: 'made', count: 5 }] });
    const { topics } = await admin.fetchTopicMetadata({ topics: ['made'] });
    expect(new Set(topics[0]!.partitions.map(({ partitionId }) => partitionId))).toEqual(new Set([0, 1, 2, 3, 4]));
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: 2, name: 'made' }],
    });
    expect(resources[0]!.configEntries.find(({ configName }) => configName === 'cleanup.policy')!.configValue).toBe(
      'compact',
    );
    await admin.deleteTopics({ topics: ['made'] });
    expect(await admin.listTopics()).not.toContain('made');
    await admin.disconnect();
  });

  it('shares partitions in a group, and commits what it read', async () => {
    await using broker = await startTestBroker({ 'num.partitions': 4 });
    const kafka = client(broker.address);
    const producer = kafka.producer();
    await producer.connect();
    await producer.send({
      topic: 'shared',
      messages: Array.from({ length: 400 }, (_, n) => ({ value: String(n), partition: n % 4 })),
    });
    const seen = new Map<string, number>();
    const members: Consumer[] = [];
    await new Promise<void>((resolve, reject) => {
      for (const name of ['a', 'b']) {
        const consumer = kafka.consumer({ groupId: 'sharing', maxWaitTimeInMs: 100, rebalanceTimeout: 3000 });
        members.push(consumer);
        consumer
          .connect()
          .then(() => consumer.subscribe({ topic: 'shared', fromBeginning: true }))
          .then(() =>
            consumer.run({
              eachMessage: ({ message }) => {
                const value = message.value!.toString();
                seen.set(value, (seen.get(value) ?? 0) + 1);
                if (seen.size === 400) resolve();
                return Promise.resolve();
              },
            }),
          )
          .catch((error: unknown) => reject(new Error(`member ${name}`, { cause: error })));
      }
    });
    for (const member of members) await member.disconnect();
    const admin = kafka.admin();
    await admin.connect();
    const [offsets] = await admin.fetchOffsets({ groupId: 'sharing', topics: ['shared'] });
    expect(offsets!.partitions.map(({ offset }) => offset)).toEqual(['100', '100', '100', '100']);
    const { groups } = await admin.describeGroups(['sharing']);
    expect(groups[0]).toMatchObject({ state: 'Empty', members: [] });
    await admin.disconnect();
    await producer.disconnect();
  });

  it('seeks back to an offset', async () => {
    await using broker = await startTestBroker();
    const kafka = client(broker.address);
    const producer = kafka.producer();
    await producer.connect();
    await producer.send({ topic: 'again', messages: [{ value: 'a' }, { value: 'b' }, { value: 'c' }] });
    await producer.disconnect();
    const consumer = kafka.consumer({ groupId: 'again', maxWaitTimeInMs: 100 });
    await consumer.connect();
    await consumer.subscribe({ topic: 'again', fromBeginning: true });
    const seen: string[] = [];
    await new Promise<void>((resolve) => {
      void consumer.run({
        eachMessage: ({ message }) => {
          seen.push(message.value!.toString());
          if (seen.length === 3) consumer.seek({ topic: 'again', partition: 0, offset: '1' });
          if (seen.length === 5) resolve();
          return Promise.resolve();
        },
      });
    });
    await consumer.disconnect();
    expect(seen.slice(0, 5)).toEqual(['a', 'b', 'c', 'b', 'c']);
  });

  it('commits and aborts transactions, offsets included', async () => {
    await using broker = await startTestBroker();
    const kafka = client(broker.address);
    const producer = kafka.producer({ transactionalId: 'kafkajs', maxInFlightRequests: 1, idempotent: true });
    await producer.connect();
    const setUp = kafka.producer();
    await setUp.connect();
    await setUp.send({ topic: 'source', messages: [{ value: 'x' }] });
    await setUp.disconnect();
    for (const [value, commit] of [
      ['aborted', false],
      ['committed', true],
    ] as const) {
      const transaction = await producer.transaction();
      await transaction.send({ topic: 'tx', messages: [{ value }] });
      await transaction.sendOffsets({
        consumerGroupId: 'tx-group',
        topics: [{ topic: 'source', partitions: [{ partition: 0, offset: commit ? '42' : '7' }] }],
      });
      await (commit ? transaction.commit() : transaction.abort());
    }
    await producer.disconnect();
    const [received] = await consume(kafka, 'tx', 'tx-readers', 1);
    expect(received!.value!.toString()).toBe('committed');
    const admin = kafka.admin();
    await admin.connect();
    const [offsets] = await admin.fetchOffsets({ groupId: 'tx-group', topics: ['source'] });
    expect(offsets!.partitions[0]!.offset).toBe('42');
    await admin.disconnect();
  });
});

async function consume(kafka: Kafka, topic: string, groupId: string, count: number): Promise<KafkaMessage[]> {
  const consumer = kafka.consumer({ groupId, readUncommitted: false, maxWaitTimeInMs: 100 });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const received: KafkaMessage[] = [];
  await new Promise<void>((resolve) => {
    void consumer.run({
      eachMessage: ({ message }) => {
        received.push(message);
        if (received.length === count) resolve();
        return Promise.resolve();
      },
    });
  });
  await consumer.disconnect();
  return received;
}

import {
  Admin,
  Consumer,
  CompressionAlgorithms,
  MessagesStreamModes,
  Producer,
  stringDeserializers,
  stringSerializers,
  type Message,
} from '@platformatic/kafka';
import { describe, expect, it } from 'vitest';
import { available } from '../services/availability.ts';
import { startTestBroker } from './broker.ts';

type Text = Message<string, string, string, string>;

describe.runIf(available('platformatic'))('@platformatic/kafka', { timeout: 60_000 }, () => {
  // Its zstd needs Node's own (22.15), as ours does without the optional module.
  const codecs = (['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const).filter(
    (name) => name !== 'zstd' || 'zstdCompressSync' in process.getBuiltinModule('node:zlib'),
  );

  it.each(codecs)('produces and consumes with compression %s', async (codec) => {
    await using broker = await startTestBroker({ 'num.partitions': 2 });
    const producer = producerOf(broker.address);
    const messages = Array.from({ length: 100 }, (_, n) => ({
      topic: 'codec',
      key: `k${n % 5}`,
      value: `value ${n}`,
      headers: { n: String(n) },
    }));
    await producer.send({
      messages,
      compression: CompressionAlgorithms[codec === 'none' ? 'NONE' : upper(codec)] as never,
    });
    await producer.close();
    const received = await consume(broker.address, 'codec', 'readers', 100);
    expect(received.map(({ value }) => value).toSorted()).toEqual(messages.map(({ value }) => value).toSorted());
    expect(received.every(({ headers, value }) => `value ${headers.get('n')}` === value)).toBe(true);
  });

  it('creates and deletes topics, and sees their metadata', async () => {
    await using broker = await startTestBroker();
    const admin = new Admin({ clientId: 'peer', bootstrapBrokers: [broker.address] });
    const created = await admin.createTopics({ topics: ['made'], partitions: 3, replicas: 1 });
    expect(created.map(({ name, partitions }) => ({ name, partitions }))).toEqual([{ name: 'made', partitions: 3 }]);
    expect(await admin.listTopics()).toContain('made');
    await admin.deleteTopics({ topics: ['made'] });
    expect(await admin.listTopics()).not.toContain('made');
    await admin.close();
  });

  it('joins a group, commits, and goes on there', async () => {
    await using broker = await startTestBroker();
    const producer = producerOf(broker.address);
    await producer.send({ messages: ['a', 'b', 'c', 'd'].map((value) => ({ topic: 'grouped', value })) });
    await producer.close();
    const first = await consume(broker.address, 'grouped', 'group', 2);
    const rest = await consume(broker.address, 'grouped', 'group', 2);
    expect([...first, ...rest].map(({ value }) => value)).toEqual(['a', 'b', 'c', 'd']);
  });

  it('seeks to an offset', async () => {
    await using broker = await startTestBroker();
    const producer = producerOf(broker.address);
    await producer.send({ messages: ['a', 'b', 'c'].map((value) => ({ topic: 'seek', value })) });
    await producer.close();
    const consumer = consumerOf(broker.address, 'seekers');
    const stream = await consumer.consume({
      topics: ['seek'],
      mode: MessagesStreamModes.MANUAL,
      offsets: [{ topic: 'seek', partition: 0, offset: 1n }],
      maxWaitTime: 100,
    });
    const values: string[] = [];
    for await (const { value } of stream) {
      values.push(value);
      if (values.length === 2) break;
    }
    await consumer.close(true);
    expect(values).toEqual(['b', 'c']);
  });

  it('commits and aborts transactions', async () => {
    await using broker = await startTestBroker();
    const producer = new Producer({
      clientId: 'peer',
      bootstrapBrokers: [broker.address],
      serializers: stringSerializers,
      autocreateTopics: true,
      idempotent: true,
      transactionalId: 'platformatic',
    });
    for (const [value, commit] of [
      ['aborted', false],
      ['committed', true],
    ] as const) {
      const transaction = await producer.beginTransaction();
      await transaction.send({ messages: [{ topic: 'tx', value }] });
      await (commit ? transaction.commit() : transaction.abort());
    }
    await producer.close();
    const received = await consume(broker.address, 'tx', 'tx-readers', 1);
    expect(received.map(({ value }) => value)).toEqual(['committed']);
  });
});

function upper<T extends string>(text: T): Uppercase<T> {
  return text.toUpperCase() as Uppercase<T>;
}

function producerOf(address: string): Producer<string, string, string, string> {
  return new Producer({
    clientId: 'peer',
    bootstrapBrokers: [address],
    serializers: stringSerializers,
    autocreateTopics: true,
  });
}

function consumerOf(address: string, groupId: string): Consumer<string, string, string, string> {
  return new Consumer({
    clientId: 'peer',
    bootstrapBrokers: [address],
    groupId,
    deserializers: stringDeserializers,
    sessionTimeout: 10_000,
    heartbeatInterval: 500,
  });
}

/** Reads so many messages as a member of a group, commits, and leaves. */
async function consume(address: string, topic: string, groupId: string, count: number): Promise<Text[]> {
  const consumer = consumerOf(address, groupId);
  const stream = await consumer.consume({
    topics: [topic],
    mode: MessagesStreamModes.COMMITTED,
    fallbackMode: 'earliest',
    autocommit: false,
    isolationLevel: 1,
    maxWaitTime: 100,
  });
  const messages: Text[] = [];
  for await (const message of stream) {
    messages.push(message);
    await message.commit();
    if (messages.length === count) break;
  }
  await consumer.close(true);
  return messages;
}

/** One client library produces or consumes records of a size. Prints `{ seconds, cpuSeconds, count }`. */
import { Client } from '@millrace/client';
import { bytes, topic } from '@millrace/serde';
import { Kafka, logLevel } from 'kafkajs';
import { childOptions } from '../child.ts';

export interface ClientLoad {
  readonly library: 'millrace' | 'kafkajs';
  readonly task: 'produce' | 'consume';
  readonly address: string;
  readonly topic: string;
  readonly numPartitions: number;
  readonly count: number;
  readonly valueBytes: number;
}

const load = childOptions<ClientLoad>();
const value = Buffer.alloc(load.valueBytes, 'millrace ');
/** Records given to the library at once, and such calls under way. */
const recordsPerSend = 1000;
const sendsUnderWay = 8;

const tasks = {
  millrace: { produce: produceByMillrace, consume: consumeByMillrace },
  kafkajs: { produce: produceByKafkajs, consume: consumeByKafkajs },
};
const cpuBefore = process.cpuUsage();
const seconds = await tasks[load.library][load.task]();
const cpu = process.cpuUsage(cpuBefore);
console.log(JSON.stringify({ seconds, cpuSeconds: (cpu.user + cpu.system) / 1e6, count: load.count }));
process.exit(0);

async function produceByMillrace(): Promise<number> {
  const contract = topic(load.topic, { value: bytes, numPartitions: load.numPartitions });
  await using client = await Client.connect(load.address);
  await client.admin.createTopics([contract]);
  const producer = client.producer();
  const records = Array.from({ length: recordsPerSend }, (_, i) => ({ value, partition: i % load.numPartitions }));
  return await timed(() => producer.send(contract, records));
}

async function consumeByMillrace(): Promise<number> {
  const contract = topic(load.topic, { value: bytes });
  await using client = await Client.connect(load.address);
  await using consumer = client.consumer({ groupId: `millrace-${process.pid}`, topics: [contract] });
  let startedMs = 0;
  let count = 0;
  for await (const batch of consumer.batches()) {
    if (count === 0) startedMs = performance.now();
    for (const record of batch.records) count += record.value.length === load.valueBytes ? 1 : 0;
    if (count >= load.count) break;
  }
  return (performance.now() - startedMs) / 1000;
}

async function produceByKafkajs(): Promise<number> {
  const kafka = new Kafka({ brokers: [load.address], logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic: load.topic, numPartitions: load.numPartitions }] });
  await admin.disconnect();
  const producer = kafka.producer({ allowAutoTopicCreation: false });
  await producer.connect();
  const messages = Array.from({ length: recordsPerSend }, (_, i) => ({ value, partition: i % load.numPartitions }));
  const seconds = await timed(() => producer.send({ topic: load.topic, messages, acks: -1 }));
  await producer.disconnect();
  return seconds;
}

async function consumeByKafkajs(): Promise<number> {
  const kafka = new Kafka({ brokers: [load.address], logLevel: logLevel.NOTHING });
  const consumer = kafka.consumer({ groupId: `kafkajs-${process.pid}`, maxWaitTimeInMs: 500 });
  await consumer.connect();
  await consumer.subscribe({ topic: load.topic, fromBeginning: true });
  let startedMs = 0;
  let count = 0;
  await new Promise<void>((resolve) => {
    void consumer.run({
      eachBatch: ({ batch }) => {
        if (count === 0) startedMs = performance.now();
        for (const message of batch.messages) count += message.value?.length === load.valueBytes ? 1 : 0;
        if (count >= load.count) resolve();
        return Promise.resolve();
      },
    });
  });
  return (performance.now() - startedMs) / 1000;
}

async function timed(send: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  const underWay = new Set<Promise<unknown>>();
  for (let sent = 0; sent < load.count; sent += recordsPerSend) {
    const sending = send().finally(() => underWay.delete(sending));
    underWay.add(sending);
    if (underWay.size >= sendsUnderWay) await Promise.race(underWay);
  }
  await Promise.all(underWay);
  return (performance.now() - startedMs) / 1000;
}

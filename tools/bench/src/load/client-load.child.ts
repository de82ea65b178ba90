/** One client library produces or consumes records of a size. Prints `{ seconds, count }`: consuming, from the first batch's end on. */
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

interface Measured {
  readonly seconds: number;
  readonly count: number;
}

const load = childOptions<ClientLoad>();
const value = Buffer.alloc(load.valueBytes, 'millrace ');
/** Records given to the library at once, and such calls under way. */
const recordsPerSend = 1000;
const sendsUnderWay = 8;

/** Joining the group and the first fetch are not what is measured: the clock starts when the first batch is done. */
class ConsumeProgress {
  #firstMs = 0;
  #firstCount = 0;
  #count = 0;

  /** True: that was the last. */
  add(count: number): boolean {
    this.#count += count;
    if (this.#firstCount === 0) {
      this.#firstMs = performance.now();
      this.#firstCount = count;
    }
    return this.#count >= load.count;
  }

  measured(): Measured {
    return { seconds: (performance.now() - this.#firstMs) / 1000, count: this.#count - this.#firstCount };
  }
}

const tasks = {
  millrace: { produce: produceByMillrace, consume: consumeByMillrace },
  kafkajs: { produce: produceByKafkajs, consume: consumeByKafkajs },
};
console.log(JSON.stringify(await tasks[load.library][load.task]()));
process.exit(0);

async function produceByMillrace(): Promise<Measured> {
  const contract = topic(load.topic, { value: bytes, numPartitions: load.numPartitions });
  await using client = await Client.connect(load.address);
  await client.admin.createTopics([contract]);
  const producer = client.producer();
  const records = Array.from({ length: recordsPerSend }, (_, i) => ({ value, partition: i % load.numPartitions }));
  return await timed(() => producer.send(contract, records));
}

async function consumeByMillrace(): Promise<Measured> {
  const contract = topic(load.topic, { value: bytes });
  await using client = await Client.connect(load.address);
  await using consumer = client.consumer({ groupId: `millrace-${process.pid}`, topics: [contract] });
  const progress = new ConsumeProgress();
  for await (const batch of consumer.batches()) {
    let count = 0;
    for (const record of batch.records) count += record.value.length === load.valueBytes ? 1 : 0;
    if (progress.add(count)) break;
  }
  return progress.measured();
}

async function produceByKafkajs(): Promise<Measured> {
  const kafka = new Kafka({ brokers: [load.address], logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic: load.topic, numPartitions: load.numPartitions }] });
  await admin.disconnect();
  const producer = kafka.producer({ allowAutoTopicCreation: false });
  await producer.connect();
  const messages = Array.from({ length: recordsPerSend }, (_, i) => ({ value, partition: i % load.numPartitions }));
  const measured = await timed(() => producer.send({ topic: load.topic, messages, acks: -1 }));
  await producer.disconnect();
  return measured;
}

async function consumeByKafkajs(): Promise<Measured> {
  const kafka = new Kafka({ brokers: [load.address], logLevel: logLevel.NOTHING });
  const consumer = kafka.consumer({ groupId: `kafkajs-${process.pid}`, maxWaitTimeInMs: 500 });
  await consumer.connect();
  await consumer.subscribe({ topic: load.topic, fromBeginning: true });
  const progress = new ConsumeProgress();
  await new Promise<void>((resolve) => {
    void consumer.run({
      eachBatch: ({ batch }) => {
        let count = 0;
        for (const message of batch.messages) count += message.value?.length === load.valueBytes ? 1 : 0;
        if (progress.add(count)) resolve();
        return Promise.resolve();
      },
    });
  });
  return progress.measured();
}

async function timed(send: () => Promise<unknown>): Promise<Measured> {
  const startedMs = performance.now();
  const underWay = new Set<Promise<unknown>>();
  for (let sent = 0; sent < load.count; sent += recordsPerSend) {
    const sending = send().finally(() => underWay.delete(sending));
    underWay.add(sending);
    if (underWay.size >= sendsUnderWay) await Promise.race(underWay);
  }
  await Promise.all(underWay);
  return { seconds: (performance.now() - startedMs) / 1000, count: load.count };
}

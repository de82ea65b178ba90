/**
 * One pipeline in a process of its own, over a topic that is filled before. Prints `{ cpuSeconds, seconds, count }`, taken from
 * its first commit to its last.
 */
import { Client } from '@millrace/client';
import { string } from '@millrace/serde';
import { seconds, Streams, StreamsBuilder, tumbling, type Topology } from '@millrace/streams';
import { Kafka, logLevel } from 'kafkajs';
import { childOptions } from '../child.ts';
import { countsOf, spreadsOf, ticks, type Tick } from './ticks.ts';

export interface PipelineLoad {
  readonly address: string;
  readonly pipeline: 'stateless' | 'windowed count' | 'stateless by kafkajs';
  readonly guarantee: 'at_least_once' | 'exactly_once_v2';
  readonly applicationId: string;
  readonly count: number;
}

function stateless(applicationId: string): Topology {
  const builder = new StreamsBuilder(applicationId);
  builder
    .stream(ticks)
    .filter((tick) => tick.venue !== 'X')
    .mapValues((tick) => ({ symbol: tick.symbol, spread: tick.ask - tick.bid }))
    .to(spreadsOf(applicationId));
  return builder.build();
}

/** The filter makes the pipeline read the value: a count alone would not decode it. */
function windowedCount(applicationId: string): Topology {
  const builder = new StreamsBuilder(applicationId);
  builder
    .stream(ticks)
    .filter((tick) => tick.venue !== 'X')
    .groupByKey()
    .windowedBy(tumbling({ sizeMs: seconds(1), graceMs: seconds(10) }))
    .count({ name: 'counts' })
    .updates()
    .map((count, { key, window }) => ({ key: `${key}@${window.startMs}`, value: { count } }), {
      name: 'by-window',
      key: string,
    })
    .to(countsOf(applicationId));
  return builder.build();
}

const load = childOptions<PipelineLoad>();
await using client = await Client.connect(load.address);
const spreads = spreadsOf(load.applicationId);
await client.admin.createTopics([spreads, countsOf(load.applicationId)]);
const measured = load.pipeline === 'stateless by kafkajs' ? await byKafkajs() : await byStreams();
console.log(JSON.stringify(measured));
process.exit(0);

async function byStreams(): Promise<object> {
  const plan = load.pipeline === 'stateless' ? stateless(load.applicationId) : windowedCount(load.applicationId);
  const app = Streams.start(plan, { cluster: load.address, processingGuarantee: load.guarantee });
  app.done.catch((error: unknown) => {
    console.error(error);
    process.exit(1);
  });
  await app.running;
  const result = await measure(load.applicationId);
  await app.close();
  return result;
}

/** What a team writes by hand today: consume, map, produce, and let the offsets be committed. At least once. */
async function byKafkajs(): Promise<object> {
  const kafka = new Kafka({ brokers: [load.address], logLevel: logLevel.NOTHING });
  const producer = kafka.producer({ allowAutoTopicCreation: false });
  const consumer = kafka.consumer({ groupId: load.applicationId, maxWaitTimeInMs: 100 });
  await Promise.all([producer.connect(), consumer.connect()]);
  await consumer.subscribe({ topic: ticks.name, fromBeginning: true });
  await consumer.run({
    eachBatch: async ({ batch }) => {
      const messages = [];
      for (const message of batch.messages) {
        const tick = JSON.parse(message.value!.toString()) as Tick;
        if (tick.venue === 'X') continue;
        messages.push({
          key: message.key,
          value: JSON.stringify({ symbol: tick.symbol, spread: tick.ask - tick.bid }),
          timestamp: message.timestamp,
        });
      }
      // A send of all would cost kafkajs ten times the CPU: it copies a growing array for each message.
      for (let at = 0; at < messages.length; at += 1000) {
        await producer.send({ topic: spreads.name, messages: messages.slice(at, at + 1000) });
      }
    },
    autoCommitInterval: 100,
  });
  return await measure(load.applicationId);
}

/** What the group had committed when it was asked, and the CPU this process had used by then. */
interface Moment {
  readonly ms: number;
  readonly cpu: NodeJS.CpuUsage;
  readonly committed: number;
}

/**
 * Waits for the group to reach the end, and says what it took from its first commit to its last before the end.
 *
 * Between two moments of one kind: at each, records are under way that have cost CPU and are not committed, about as many at both.
 * At the end there are none: measured up to there, the windowed count came out a tenth too high.
 */
async function measure(groupId: string): Promise<object> {
  const moments: Moment[] = [{ ms: performance.now(), cpu: process.cpuUsage(), committed: 0 }];
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    let committed = 0;
    for (const { topic: name, offset } of await client.admin.listConsumerGroupOffsets(groupId)) {
      if (name === ticks.name) committed += offset;
    }
    if (committed > moments.at(-1)!.committed) {
      moments.push({ ms: performance.now(), cpu: process.cpuUsage(), committed });
    }
    if (committed === load.count) break;
  }
  // A smoke run's few records may all be in one commit: then from the start to the end.
  const isShort = moments.length < 4;
  const first = moments[isShort ? 0 : 1]!;
  const last = moments.at(isShort ? -1 : -2)!;
  return {
    seconds: (last.ms - first.ms) / 1000,
    cpuSeconds: (last.cpu.user - first.cpu.user + last.cpu.system - first.cpu.system) / 1e6,
    count: last.committed - first.committed,
  };
}

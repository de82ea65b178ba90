import { KafkaServer, kafkaVersion, whyNoKafka } from '@millrace/kafka';
import { startBroker } from './broker-process.ts';
import { runChild } from './child.ts';
import type { FetchLoad } from './load/fetch-load.child.ts';
import type { ProduceLoad } from './load/produce-load.child.ts';
import type { Figure } from './report.ts';

export interface BenchOptions {
  readonly runs: number;
  /** Small amounts, to see that the benchmark itself works. */
  readonly isSmoke: boolean;
  readonly withKafka: boolean;
}

interface Figures {
  readonly readyMs: number[];
  readonly idleMiB: number[];
  readonly produceMBs: number[];
  readonly batchesPerSecond: number[];
  readonly fetchMBs: number[];
}

/** The broker in one process, the load in another; the same load on Apache Kafka in the same run. */
export async function benchBroker(options: BenchOptions): Promise<readonly Figure[]> {
  const ours = emptyFigures();
  const theirs = emptyFigures();
  const reason = options.withKafka ? whyNoKafka() : 'not asked for';
  if (reason !== undefined) console.log(`no ratio to Apache Kafka: ${reason}`);
  for (let run = 0; run < options.runs; run++) {
    const broker = await startBroker();
    ours.readyMs.push(broker.readyMs);
    ours.idleMiB.push(broker.residentMiB());
    await loadWith(broker.address, ours, options);
    await broker.stop();
    if (reason === undefined) {
      await using kafka = await KafkaServer.start({ 'num.network.threads': 2, 'num.io.threads': 2 });
      await loadWith(kafka.bootstrapServers, theirs, options);
    }
  }
  const peer = (values: number[]): Figure['peer'] =>
    values.length === 0 ? undefined : { name: `Kafka ${kafkaVersion}`, values };
  return [
    { name: 'ready', unit: 'ms', values: ours.readyMs, target: { value: 150, isAtMost: true } },
    { name: 'idle memory', unit: 'MiB', values: ours.idleMiB, target: { value: 90, isAtMost: true } },
    {
      name: 'produce, 64 KiB batches, acks=all',
      unit: 'MB/s',
      values: ours.produceMBs,
      target: { value: 300 },
      peer: peer(theirs.produceMBs),
    },
    {
      name: 'produce, 1 KiB batches, acks=all',
      unit: 'batches/s',
      values: ours.batchesPerSecond,
      target: { value: 60_000 },
      peer: peer(theirs.batchesPerSecond),
    },
    { name: 'fetch', unit: 'MB/s', values: ours.fetchMBs, target: { value: 500 }, peer: peer(theirs.fetchMBs) },
  ];
}

function emptyFigures(): Figures {
  return { readyMs: [], idleMiB: [], produceMBs: [], batchesPerSecond: [], fetchMBs: [] };
}

async function loadWith(address: string, figures: Figures, options: BenchOptions): Promise<void> {
  const scale = options.isSmoke ? 0.01 : 1;
  const large = await runChild<{ seconds: number; bytes: number }>('#produce-load', {
    address,
    topic: 'large',
    numPartitions: 8,
    connections: 2,
    inFlight: 16,
    batchBytes: 65_536,
    batchesPerRequest: 2,
    totalBatches: Math.ceil(16_000 * scale), // 1 GB
  } satisfies ProduceLoad);
  figures.produceMBs.push(large.bytes / large.seconds / 1e6);
  const fetched = await runChild<{ seconds: number; bytes: number }>('#fetch-load', {
    address,
    topic: 'large',
    numPartitions: 8,
    connections: 2,
  } satisfies FetchLoad);
  if (fetched.bytes !== large.bytes) throw new Error(`produced ${large.bytes} bytes, fetched ${fetched.bytes}`);
  figures.fetchMBs.push(fetched.bytes / fetched.seconds / 1e6);
  const small = await runChild<{ seconds: number; batches: number }>('#produce-load', {
    address,
    topic: 'small',
    numPartitions: 16,
    connections: 4,
    inFlight: 16,
    batchBytes: 1024,
    batchesPerRequest: 8,
    totalBatches: Math.ceil(400_000 * scale),
  } satisfies ProduceLoad);
  figures.batchesPerSecond.push(small.batches / small.seconds);
}

import { KafkaServer, kafkaVersion } from '@millrace/kafka';
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
  /** Hears what is measured now. */
  readonly onStep?: ((step: string) => void) | undefined;
}

interface Rates {
  readonly produceMBs: number[];
  readonly batchesPerSecond: number[];
  readonly fetchMBs: number[];
}

/** What `kafka-server-start.sh` gives the JVM. */
const kafkaJvmOptions = [
  '-Xms1g',
  '-Xmx1g',
  '-server',
  '-XX:+UseG1GC',
  '-XX:MaxGCPauseMillis=20',
  '-XX:InitiatingHeapOccupancyPercent=35',
];

/** The broker in one process, the load in another; the same load on Apache Kafka in the same run. */
export async function benchBroker(options: BenchOptions): Promise<readonly Figure[]> {
  const readyMs: number[] = [];
  const idleMiB: number[] = [];
  const commit = noRates();
  const os = noRates();
  const kafka = noRates();
  for (let run = 1; run <= options.runs; run++) {
    const step = (name: string): void => options.onStep?.(`run ${run} of ${options.runs}: ${name}`);
    for (const [flush, rates] of [
      ['commit', commit],
      ['os', os],
    ] as const) {
      step(`flush ${flush}`);
      await using broker = await startBroker({ flush });
      readyMs.push(broker.readyMs);
      idleMiB.push(broker.residentMiB());
      await loadWith(broker.address, rates, options);
    }
    if (options.withKafka) {
      step('Apache Kafka');
      await using server = await KafkaServer.start({}, { jvmOptions: kafkaJvmOptions });
      await loadWith(server.bootstrapServers, kafka, options);
    }
  }
  const peer = (values: readonly number[]): Figure['peer'] =>
    values.length === 0 ? undefined : { name: `Kafka ${kafkaVersion}`, values };
  return [
    { name: 'ready', unit: 'ms', values: readyMs, target: { value: 150, isAtMost: true } },
    { name: 'idle memory', unit: 'MiB', values: idleMiB, target: { value: 90, isAtMost: true } },
    {
      name: 'produce, 64 KiB batches, flush commit',
      unit: 'MB/s',
      values: commit.produceMBs,
      target: { value: 300 },
      peer: peer(kafka.produceMBs),
    },
    { name: 'produce, 64 KiB batches, flush os', unit: 'MB/s', values: os.produceMBs, peer: peer(kafka.produceMBs) },
    {
      name: 'produce, 1 KiB batches, flush commit',
      unit: 'batches/s',
      values: commit.batchesPerSecond,
      target: { value: 60_000 },
      peer: peer(kafka.batchesPerSecond),
    },
    {
      name: 'produce, 1 KiB batches, flush os',
      unit: 'batches/s',
      values: os.batchesPerSecond,
      peer: peer(kafka.batchesPerSecond),
    },
    {
      name: 'fetch',
      unit: 'MB/s',
      values: [...commit.fetchMBs, ...os.fetchMBs],
      target: { value: 500 },
      peer: peer(kafka.fetchMBs),
    },
  ];
}

function noRates(): Rates {
  return { produceMBs: [], batchesPerSecond: [], fetchMBs: [] };
}

async function loadWith(address: string, rates: Rates, options: BenchOptions): Promise<void> {
  const scale = options.isSmoke ? 0.01 : 1;
  // Compilers at run time, ours and Java's, want to have seen the code: the same load before, an eighth as much, not counted.
  await produceLarge(address, 'large-before', 2000 * scale);
  await fetchAll(address, 'large-before');
  await produceSmall(address, 'small-before', 50_000 * scale);

  const large = await produceLarge(address, 'large', 16_000 * scale); // 1 GB
  rates.produceMBs.push(large.bytes / large.seconds / 1e6);
  const fetched = await fetchAll(address, 'large');
  if (fetched.bytes !== large.bytes) throw new Error(`produced ${large.bytes} bytes, fetched ${fetched.bytes}`);
  rates.fetchMBs.push(fetched.bytes / fetched.seconds / 1e6);
  const small = await produceSmall(address, 'small', 400_000 * scale);
  rates.batchesPerSecond.push(small.batches / small.seconds);
}

interface Produced {
  readonly seconds: number;
  readonly bytes: number;
  readonly batches: number;
}

const largePartitions = 8;

function produceLarge(address: string, topic: string, totalBatches: number): Promise<Produced> {
  return runChild<Produced>('#produce-load', {
    address,
    topic,
    numPartitions: largePartitions,
    connections: 2,
    inFlight: 16,
    batchBytes: 65_536,
    batchesPerRequest: 2,
    totalBatches: Math.ceil(totalBatches),
  } satisfies ProduceLoad);
}

function produceSmall(address: string, topic: string, totalBatches: number): Promise<Produced> {
  return runChild<Produced>('#produce-load', {
    address,
    topic,
    numPartitions: 16,
    connections: 4,
    inFlight: 16,
    batchBytes: 1024,
    batchesPerRequest: 8,
    totalBatches: Math.ceil(totalBatches),
  } satisfies ProduceLoad);
}

function fetchAll(address: string, topic: string): Promise<{ readonly seconds: number; readonly bytes: number }> {
  return runChild('#fetch-load', {
    address,
    topic,
    numPartitions: largePartitions,
    connections: 2,
  } satisfies FetchLoad);
}

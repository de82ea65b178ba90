import { expect, it } from 'vitest';
import { Broker } from '@millrace/broker';
import { Client } from '@millrace/client';
import { bytesConsumer, type BytesConsumerOptions } from '@millrace/client/bytes';
import { nodePlatform } from '@millrace/platform';
import { bytes, string, topic } from '@millrace/serde';
import { StreamsBuilder } from '../dsl/builder.ts';
import { planOf } from '../plan/topology.ts';
import { createTask } from '../task/task.ts';
import { clusterOf } from './client-cluster.ts';
import { prepareTopics, sourcesOf } from './internal-topics.ts';
import { Session } from './session.ts';

const numPartitions = 4;
const left = topic('left', { key: string, value: bytes, numPartitions });
const right = topic('right', { key: string, value: bytes, numPartitions });
const output = topic('output', { key: string, value: string, numPartitions: 1 });

it('inputs that have come far keep no room from those that they wait for, however many they are', async () => {
  await using broker = await Broker.open({ data: 'memory' });
  await using client = await Client.connect(broker);
  await client.admin.createTopics([left, right, output]);
  const producer = client.producer();
  for (let i = 0; i < 3 * numPartitions; i++) {
    const partition = i % numPartitions;
    await producer.send(left, { key: 'left', value: Buffer.alloc(20_000), timestampMs: 1_000, partition });
  }
  const builder = new StreamsBuilder('paused');
  builder
    .stream(left)
    .merge(builder.stream(right))
    .mapValues((_, key) => key)
    .to(output);
  const plan = planOf(builder.build());
  const real = clusterOf(client, { transactionTimeoutMs: 60_000 });
  const { clock } = nodePlatform();
  let takenCount = 0;
  /** A consumer with less room than the partitions' next fetches take, in a process so busy that these come before the inputs pause. */
  const consumer = (options: BytesConsumerOptions) => {
    const small = bytesConsumer(client, { maxBufferedBytes: 50_000, ...options, maxPartitionFetchBytes: 10_000 });
    const poll = small.poll.bind(small);
    small.poll = async (maxWaitMs) => {
      const fetched = await poll(maxWaitMs);
      if (fetched?.topic === 'left') {
        takenCount++;
        for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
      }
      return fetched;
    };
    return small;
  };
  const guarantee = 'exactly_once_v2';
  const session = new Session(
    {
      plan,
      applicationId: 'paused',
      sources: sourcesOf(plan, 'paused'),
      cluster: { ...real, consumer },
      partitionCounts: await prepareTopics(plan, 'paused', real, { replicationFactor: 1, guarantee }),
      createTask,
      globalStores: new Map(),
      backendOf: () => undefined,
      guarantee,
      transactionalId: 'paused',
      commitIntervalMs: 5,
      isEager: true,
      bufferedRecordsPerPartition: 1,
      cacheMaxBytes: 1_000_000,
      maxTaskIdleMs: 600_000,
      groupInstanceId: undefined,
      leaveOnClose: true,
      sessionTimeoutMs: undefined,
      clock,
      wallClock: clock,
      events: {
        environment: {},
        stateChanged: () => {},
        restoreProgressed: () => {},
        processed: () => {},
        committed: () => {},
        progressed: () => {},
        moved: () => {},
        taskOpened: () => {},
        taskClosed: () => {},
        warn: () => {},
      },
    },
    false,
  );
  const running = session.run();
  const arrived = client.records(output)[Symbol.asyncIterator]();
  while (takenCount < numPartitions) await Promise.race([running, new Promise((resolve) => setImmediate(resolve))]);
  // A fetch may be under way when all is full: it is the next ones that matter.
  for (let round = 0; round < 4; round++) {
    await producer.send(right, { key: `right ${round}`, value: Buffer.alloc(1), timestampMs: round, partition: 3 });
    expect((await arrived.next()).value.value).toBe(`right ${round}`);
  }
  session.stop();
  await running;
});

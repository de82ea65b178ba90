import { nodePlatform } from '@millrace/platform';
import { SeededRandom } from '@millrace/platform/simulated';
import { apis, errorCodes } from '@millrace/protocol';
import { string, topic } from '@millrace/serde';
import { afterEach, expect, it } from 'vitest';
import { Client } from '../client.ts';
import type { ClientOptions } from '../cluster-options.ts';
import { recordsFrom, ScriptedGroup } from '../testing/scripted-group.ts';
import { ScriptedBroker } from '../testing/scripted-broker.ts';
import { ScriptedNetwork } from '../testing/scripted-network.ts';

const letters = topic('t', { key: string, value: string });
const groups: ScriptedGroup[] = [];

/** A client that reaches the group's broker, node 1, and another one, node 2, by byte streams. */
async function open(
  options: ClientOptions = {},
  prepare: (broker: ScriptedBroker) => void = () => {},
): Promise<{ group: ScriptedGroup; network: ScriptedNetwork; other: ScriptedBroker; leader: { nodeId: number } }> {
  const group = new ScriptedGroup();
  groups.push(group);
  const network = new ScriptedNetwork();
  const other = new ScriptedBroker(group.clock);
  network.brokers.set('one:9092', group.broker);
  network.brokers.set('two:9092', other);
  const leader = { nodeId: 1 };
  for (const broker of [group.broker, other]) {
    broker.topics.set('t', 1);
    prepare(broker);
    broker.on(apis.metadata, (request) => ({
      brokers: [
        { nodeId: 1, host: 'one', port: 9092 },
        { nodeId: 2, host: 'two', port: 9092 },
      ],
      controllerId: leader.nodeId,
      topics: (request.topics ?? []).map(({ name }) => ({
        name,
        partitions: [{ partitionIndex: 0, leaderId: leader.nodeId, leaderEpoch: leader.nodeId }],
      })),
    }));
  }
  const platform = { ...nodePlatform(), network, clock: group.clock, random: new SeededRandom(5) };
  group.client = await group.run(Client.connect('one:9092', { platform, ...options }));
  return { group, network, other, leader };
}

afterEach(async () => {
  for (const group of groups.splice(0)) await group.run(group.client.close());
});

it('fails a consumer by name of the option when a batch is larger than an answer may be', async () => {
  const { group } = await open({ maxResponseBytes: 10_000 });
  group.fetched = (_, offset) => (offset === 0 ? { records: recordsFrom(0, 2_000) } : undefined);
  const read = group.client.records(letters, { from: 'earliest' })[Symbol.asyncIterator]();
  const error = await group.run(
    read.next().then(
      () => undefined,
      (thrown: Error) => thrown,
    ),
    5_000,
  );
  expect(error).toMatchObject({ code: 'RESPONSE_TOO_LARGE', retriable: false, context: { maxResponseBytes: 10_000 } });
  expect(error!.message).toMatch(/one:9092 .*Fetch.*maxResponseBytes/);
});

it('asks for no more than an answer may hold', async () => {
  const { group } = await open({ maxResponseBytes: 80_000 });
  const asked: number[] = [];
  group.broker.on(apis.fetch, ({ maxBytes, topics }) => {
    const { fetchOffset, partitionMaxBytes } = topics[0]!.partitions[0]!;
    asked.push(maxBytes, partitionMaxBytes);
    return { responses: [{ topic: 't', partitions: [{ partitionIndex: 0, records: recordsFrom(fetchOffset, 1) }] }] };
  });
  const read = group.client.records(letters)[Symbol.asyncIterator]();
  await group.run(read.next());
  expect(Math.max(...asked)).toBe(70_000);
  await group.run(read.return!());
});

it('fails only the call whose answer is too large; those behind it are asked again', async () => {
  const { group } = await open({ maxResponseBytes: 10_000 }, (broker) => {
    broker.on(apis.describeConfigs, () => ({
      results: [{ errorCode: errorCodes.UNKNOWN_SERVER_ERROR, errorMessage: 'x'.repeat(20_000) }],
    }));
    broker.on(apis.listOffsets, (request) => ({
      topics: request.topics.map(({ name }) => ({ name, partitions: [{ partitionIndex: 0, offset: 3 }] })),
    }));
  });
  await group.run(group.client.admin.listOffsets('t', 'latest'));
  const [configs, offsets] = await group.run(
    Promise.allSettled([group.client.admin.describeConfigs('t'), group.client.admin.listOffsets('t', 'latest')]),
  );
  expect(configs).toMatchObject({ status: 'rejected', reason: { code: 'RESPONSE_TOO_LARGE' } });
  expect(offsets).toMatchObject({ status: 'fulfilled', value: [{ offset: 3 }] });
});

it('sends with acks 0 no more than the socket takes: what it holds back counts as buffered', async () => {
  const { group, network } = await open();
  let produced = 0;
  group.broker.on(apis.produce, () => {
    produced++;
    return 'lost';
  });
  const producer = group.client.producer({ acks: 0, bufferMemoryBytes: 200_000 });
  await group.run(producer.send(letters, { key: 'k', value: 'first' }));
  network.holdBack('one:9092', true);
  const sends = Array.from({ length: 10 }, () => producer.send(letters, { key: 'k', value: 'x'.repeat(100_000) }));
  let sent = 0;
  for (const send of sends) void send.then(() => sent++);
  await group.clock.advance(1_000);
  expect(sent).toBe(0);
  expect(produced).toBe(1);
  network.holdBack('one:9092', false);
  const positions = await group.run(Promise.all(sends));
  expect(new Set(positions.map(({ offset }) => offset))).toEqual(new Set([-1]));
});

it('notices within requestTimeoutMs that a socket takes nothing more, and sends elsewhere (acks 0)', async () => {
  const { group, network, other, leader } = await open({ requestTimeoutMs: 1_000 });
  for (const broker of [group.broker, other]) broker.on(apis.produce, () => 'lost');
  const producer = group.client.producer({ acks: 0 });
  await group.run(producer.send(letters, { key: 'k', value: 'first' }));
  network.holdBack('one:9092', true);
  const sent = producer.send(letters, { key: 'k', value: 'x'.repeat(100_000) });
  leader.nodeId = 2;
  group.broker.isHung = true;
  await group.run(sent, 5_000);
  await group.clock.advance(10);
  expect(other.calls).toEqual(['Produce']);
});

it.each(['produce', 'fetch'] as const)(
  'notices within requestTimeoutMs that a connection is dead, and goes to the new leader (%s)',
  async (what) => {
    const { group, other, leader } = await open({ requestTimeoutMs: 1_000 });
    const answer = (): {
      responses: { name: string; partitionResponses: { index: number; baseOffset: number }[] }[];
    } => ({
      responses: [{ name: 't', partitionResponses: [{ index: 0, baseOffset: 7 }] }],
    });
    for (const broker of [group.broker, other]) {
      broker.on(apis.produce, answer);
      broker.on(apis.initProducerId, () => ({ producerId: 7, producerEpoch: 0 }));
      broker.on(apis.fetch, async (request) => {
        const { fetchOffset } = request.topics[0]!.partitions[0]!;
        const isOver = fetchOffset > (leader.nodeId === 2 ? 1 : 0);
        if (isOver) await new Promise<void>((resolve) => void group.clock.after(request.maxWaitMs, resolve));
        const records = isOver ? null : recordsFrom(fetchOffset, 1);
        return { responses: [{ topic: 't', partitions: [{ partitionIndex: 0, highWatermark: 9, records }] }] };
      });
    }
    const producer = group.client.producer();
    const read = group.client.records(letters, { from: { offsets: { 0: 0 } } })[Symbol.asyncIterator]();
    const turn = (): Promise<unknown> =>
      what === 'produce' ? producer.send(letters, { key: 'k', value: 'v' }) : read.next();
    await group.run(turn());
    group.broker.isHung = true;
    leader.nodeId = 2;
    const startMs = group.clock.monotonic();
    await group.run(turn());
    // The fetch that is parked has its own wait besides; then connecting to a node that hangs may cost its time once more.
    expect(group.clock.monotonic() - startMs).toBeLessThanOrEqual(3_000);
    await group.run(read.return!());
  },
);

it('deletes records at the new leader when the old one is dead', async () => {
  const { group, network, other, leader } = await open({}, (broker) => {
    broker.on(apis.deleteRecords, () => ({
      topics: [{ name: 't', partitions: [{ partitionIndex: 0, lowWatermark: 3 }] }],
    }));
  });
  const position = { topic: 't', partition: 0, offset: 3 };
  await group.run(group.client.admin.deleteRecords([position]));
  leader.nodeId = 2;
  network.brokers.delete('one:9092');
  group.broker.cutAll();
  await group.run(group.client.admin.deleteRecords([position]), 10_000);
  expect(other.calls).toEqual(['DeleteRecords']);
});

it('asks the new controller when the old one is dead', async () => {
  const { group, network, other, leader } = await open({}, (broker) => {
    broker.on(apis.incrementalAlterConfigs, () => ({ responses: [{ errorCode: errorCodes.NONE, resourceName: 't' }] }));
  });
  await group.run(group.client.admin.alterConfigs('t', { 'retention.ms': 1 }));
  leader.nodeId = 2;
  network.brokers.delete('one:9092');
  group.broker.cutAll();
  await group.run(group.client.admin.alterConfigs('t', { 'retention.ms': 2 }), 10_000);
  expect(other.calls).toEqual(['IncrementalAlterConfigs']);
});

it('tells why records were not delivered when their leader cannot be connected to', async () => {
  const { group, network } = await open();
  const producer = group.client.producer({ acks: 1, deliveryTimeoutMs: 2_000 });
  await group.run(group.client.admin.describeTopics(['t']));
  network.brokers.delete('one:9092');
  const sent = producer.send(letters, { key: 'k', value: 'v' });
  await expect(group.run(sent)).rejects.toMatchObject({ code: 'DELIVERY_TIMEOUT', cause: { code: 'NETWORK_ERROR' } });
});

it('fails with acks 0 what the socket does not take within deliveryTimeoutMs, and bears that it takes it later', async () => {
  const { group, network } = await open();
  group.broker.on(apis.produce, () => 'lost');
  const producer = group.client.producer({ acks: 0, deliveryTimeoutMs: 500 });
  await group.run(producer.send(letters, { key: 'k', value: 'first' }));
  network.holdBack('one:9092', true);
  const sent = producer.send(letters, { key: 'k', value: 'x'.repeat(100_000) });
  await expect(group.run(sent, 1_000)).rejects.toMatchObject({ code: 'DELIVERY_TIMEOUT' });
  network.holdBack('one:9092', false);
  await group.clock.advance(100);
  expect(await group.run(producer.send(letters, { key: 'k', value: 'next' }))).toMatchObject({ offset: -1 });
});

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { nodeNetwork, nodePlatform, systemClock } from '@millrace/platform';
import { VirtualClock } from '@millrace/platform/simulated';
import { apis } from '@millrace/protocol';
import { afterEach, expect, it } from 'vitest';
import { Broker } from './broker.ts';
import { batchOf, valuesOf } from './testing/batches.ts';
import { TestBroker } from './testing/memory-broker.ts';
import { RawClient } from './testing/raw-client.ts';
import { onVirtualTime } from './testing/virtual-time.ts';

const directories: string[] = [];

function temporaryDirectory(): string {
  const directory = mkdtempSync(`${tmpdir()}/millrace-broker-`);
  directories.push(directory);
  return directory;
}

afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
});

it('answers over TCP what was produced, and again after it was closed and opened', async () => {
  const data = temporaryDirectory();
  const timestampMs = systemClock().now();
  for (const expected of [['a'], ['a', 'a']]) {
    await using broker = await Broker.open({ data, listen: { port: 0 } });
    await using client = await RawClient.connect(broker.address);
    const { brokers, clusterId } = await client.request(apis.metadata, 9, { topics: [{ name: 'orders' }] });
    expect(brokers.map(({ host, port }) => `${host}:${port}`)).toEqual([broker.address]);
    expect(clusterId).toBe(broker.clusterId);

    const produced = await client.request(apis.produce, 9, {
      acks: -1,
      timeoutMs: 1000,
      topicData: [{ name: 'orders', partitionData: [{ index: 0, records: batchOf([{ value: 'a', timestampMs }]) }] }],
    });
    expect(produced.responses[0]?.partitionResponses[0]).toMatchObject({
      errorCode: 0,
      baseOffset: expected.length - 1,
      logAppendTimeMs: -1,
    });

    const fetched = await client.request(apis.fetch, 12, {
      maxWaitMs: 1000,
      minBytes: 1,
      topics: [{ topic: 'orders', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1_000_000 }] }],
    });
    const partition = fetched.responses[0]?.partitions[0];
    expect(partition).toMatchObject({ errorCode: 0, highWatermark: expected.length, logStartOffset: 0 });
    expect(valuesOf(partition?.records ?? null).map(([, value]) => value)).toEqual(expected);
  }
});

it('keeps its cluster id as long as its directory, and has another elsewhere', async () => {
  const data = temporaryDirectory();
  const ids: string[] = [];
  for (const directory of [data, data, temporaryDirectory()]) {
    await using broker = await Broker.open({ data: directory });
    ids.push(broker.clusterId);
  }
  expect(ids[0]).toMatch(/^[\w-]{22}$/);
  expect(ids[1]).toBe(ids[0]);
  expect(ids[2]).not.toBe(ids[0]);
});

it('refuses a port that is in use, and lets go of its directory', async () => {
  const data = temporaryDirectory();
  await using first = await Broker.open({ data: 'memory', listen: { port: 0 } });
  const port = Number(first.address.split(':')[1]);
  await expect(Broker.open({ data, listen: { port } })).rejects.toMatchObject({ code: 'PORT_IN_USE' });
  await (await Broker.open({ data })).close();
});

it('refuses configs that do not exist before it touches the disk', async () => {
  const data = `${temporaryDirectory()}/made-later`;
  await expect(Broker.open({ data, config: { 'num.partitons': 1 } })).rejects.toMatchObject({
    code: 'UNKNOWN_CONFIG',
    context: { nearest: 'num.partitions' },
  });
  expect(existsSync(data)).toBe(false);
});

it('has no address unless it listens', async () => {
  await using broker = await Broker.open({ data: 'memory' });
  expect(() => broker.address).toThrow(expect.objectContaining({ code: 'NOT_LISTENING' }));
});

it('tells clients the advertised address of the listener that they came by', async () => {
  await using broker = await Broker.open({
    data: 'memory',
    listen: [{ port: 0 }, { port: 0, advertised: 'broker.example:19092' }],
  });
  const inside = await RawClient.connect(broker.address);
  const told = await inside.request(apis.metadata, 9, { topics: [] });
  expect(`${told.brokers[0]?.host}:${told.brokers[0]?.port}`).toBe(broker.address);
  inside.close();
});

it('tells clients of this process what the first listener advertises, as they may pass it on', async () => {
  await using test = await TestBroker.open({ listen: { port: 0, host: '0.0.0.0', advertised: 'broker.example' } });
  const { brokers } = await test.client.request(apis.metadata, 9, { topics: [] });
  const port = Number(test.broker.address.split(':')[1]);
  expect(brokers).toMatchObject([{ host: 'broker.example', port }]);
  expect(test.broker.address).toBe(`0.0.0.0:${port}`);
});

it('forgets everything at a reset, and keeps connections and its cluster id', async () => {
  await using test = await TestBroker.open();
  const { clusterId } = test.broker;
  const before = await test.createTopic('orders');
  await test.produce('orders', batchOf(['a']));
  const waiting = TestBroker.over(test.broker).fetch('orders', 1, { maxWaitMs: 20_000 });
  await test.client.request(apis.apiVersions, 0, {});
  await test.broker.reset();
  expect((await waiting).errorCode).toBe(0);
  expect((await test.client.request(apis.metadata, 9, { topics: null })).topics).toEqual([]);
  expect(await test.createTopic('orders')).not.toBe(before);
  expect(await test.fetch('orders', 0)).toMatchObject({ errorCode: 0, highWatermark: 0 });
  expect(test.broker.clusterId).toBe(clusterId);
});

it('is clean after each of several resets at once, and leaves nothing of the others behind', async () => {
  const clock = new VirtualClock();
  const run = onVirtualTime(clock);
  const test = await run(TestBroker.open({ platform: { ...nodePlatform(), clock } }));
  const timers = clock.pendingCount;
  await run(test.createTopic('orders'));
  await run(Promise.all([test.broker.reset(), test.broker.reset(), test.broker.reset()]));
  expect(test.broker.metrics().partitionCount).toBe(0);
  await run(test.createTopic('orders'));
  expect(clock.pendingCount).toBe(timers);
  await run(test.broker.close());
  expect(clock.pendingCount).toBe(0);
});

it('is closed by a close during a reset, which tells so, and leaves no timers', async () => {
  for (let turns = 0; turns < 40; turns++) {
    const clock = new VirtualClock();
    const run = onVirtualTime(clock);
    const test = await run(TestBroker.open({ platform: { ...nodePlatform(), clock } }));
    const outcomes = [test.broker.reset(), test.broker.reset()].map((reset) =>
      reset.then(
        () => 'reset',
        (error: { readonly code?: string }) => error.code,
      ),
    );
    for (let turn = 0; turn < turns; turn++) await (turn % 4 === 0 ? clock.advance(0) : Promise.resolve());
    await run(test.broker.close());
    for (const outcome of await Promise.all(outcomes)) expect(['reset', 'BROKER_CLOSED']).toContain(outcome);
    expect(clock.pendingCount, `after ${turns} turns`).toBe(0);
  }
});

it('does not reset what is on disk', async () => {
  await using broker = await Broker.open({ data: temporaryDirectory() });
  await expect(broker.reset()).rejects.toMatchObject({ code: 'NOT_IN_MEMORY' });
});

it('closes when its signal aborts, and does not open with one that has', async () => {
  const abort = new AbortController();
  const broker = await Broker.open({ data: 'memory', signal: abort.signal });
  const client = RawClient.dial(broker);
  abort.abort();
  await client.closed;
  await broker.close();
  await expect(Broker.open({ data: 'memory', signal: abort.signal })).rejects.toThrow(/abort/);
});

it('does not open when its signal aborts on the way, tells why, and lets go of its directory and port', async () => {
  const data = temporaryDirectory();
  await using other = await Broker.open({ data: 'memory', listen: { port: 0 } });
  const port = Number(other.address.split(':')[1]);
  await other.close();
  const abort = new AbortController();
  const opening = Broker.open({ data, listen: { port }, signal: abort.signal });
  abort.abort(new Error('changed my mind'));
  await expect(opening).rejects.toThrow('changed my mind');
  await (await Broker.open({ data, listen: { port } })).close();
});

it('counts what passes through it', async () => {
  await using test = await TestBroker.open();
  await test.createTopic('orders', { partitions: 3 });
  await test.produce('orders', batchOf(['a']));
  const metrics = test.broker.metrics();
  expect(metrics).toMatchObject({ connectionCount: 1, partitionCount: 3 });
  expect(metrics.logBytes).toBeGreaterThan(0);
  expect(metrics.requestsPerSecond['Produce']).toBeGreaterThan(0);
  expect(metrics.prometheus()).toContain('millrace_requests_total{api="Produce"} 1\n');
});

it('speaks TLS where a listener has a certificate, and drops who does not', async () => {
  const fixture = (name: string): Buffer => readFileSync(new URL(`../fixtures/${name}`, import.meta.url));
  const cert = fixture('localhost-cert.pem');
  await using broker = await Broker.open({
    data: 'memory',
    listen: { port: 0, tls: { key: fixture('localhost-key.pem'), cert } },
  });
  const [host = '', port] = broker.address.split(':');
  const options = { host, port: Number(port), timeoutMs: 5000 };
  const network = nodeNetwork();
  const trusting = RawClient.over(await network.connect({ ...options, tls: { ca: cert, servername: 'localhost' } }));
  expect((await trusting.request(apis.metadata, 9, { topics: [] })).clusterId).toBe(broker.clusterId);

  await expect(network.connect({ ...options, tls: { servername: 'localhost' } })).rejects.toMatchObject({
    code: 'NETWORK_ERROR', // the certificate is nobody's they know
  });
  const plain = RawClient.over(await network.connect(options));
  plain.post(apis.metadata, 9, { topics: [] });
  await plain.closed;
  expect(plain.answered).toEqual([]);
  expect((await trusting.request(apis.metadata, 9, { topics: [] })).topics).toEqual([]);
  trusting.close();
});

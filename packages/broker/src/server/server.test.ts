import { nodePlatform, type Connection, type ListenOptions, type Network } from '@millrace/platform';
import { SeededRandom, SimulatedNetwork, VirtualClock } from '@millrace/platform/simulated';
import { apis, encodeRequest } from '@millrace/protocol';
import { describe, expect, it } from 'vitest';
import type { BrokerOptions } from '../broker-options.ts';
import { batchOf, valuesOf } from '../testing/batches.ts';
import { TestBroker } from '../testing/memory-broker.ts';
import { RawClient } from '../testing/raw-client.ts';
import { onVirtualTime } from '../testing/virtual-time.ts';

/** A broker in memory on virtual time, and clients that reach it over a simulated network. */
class World implements AsyncDisposable {
  readonly clock: VirtualClock = new VirtualClock();
  readonly network: SimulatedNetwork = new SimulatedNetwork({
    clock: this.clock,
    random: new SeededRandom(7),
    maxLatencyMs: 0,
    isFragmenting: false,
  });
  readonly run: <T>(task: Promise<T>) => Promise<T> = onVirtualTime(this.clock);
  test!: TestBroker;

  static async open(config: BrokerOptions['config'] = {}): Promise<World> {
    const world = new World();
    const { clock, network } = world;
    const platform = { ...nodePlatform(), clock, network };
    world.test = await world.run(TestBroker.open({ platform, listen: { port: 9092 }, config }));
    return world;
  }

  connection(): Promise<Connection> {
    return this.run(this.network.connect({ host: '127.0.0.1', port: 9092, timeoutMs: 1000 }));
  }

  async client(): Promise<RawClient> {
    return RawClient.over(await this.connection());
  }

  metric(name: string): number {
    const match = new RegExp(`^millrace_${name} (\\S+)$`, 'm').exec(this.test.broker.metrics().prometheus());
    return Number(match?.[1]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.run(this.test.broker.close({ timeoutMs: 1000 }));
  }
}

async function isClosed(world: World, client: RawClient): Promise<boolean> {
  let closed = false;
  void client.closed.then(() => (closed = true));
  await world.clock.advance(0);
  return closed;
}

const topics = (topic: string, fetchOffset = 0): object[] => [
  { topic, partitions: [{ partition: 0, fetchOffset, partitionMaxBytes: 1 << 20 }] },
];

describe('a connection', () => {
  it('gets its answers in the order of its requests, though a later one could be answered first', async () => {
    await using world = await World.open();
    await world.run(world.test.createTopic('orders'));
    const client = await world.client();
    const parked = client.post(apis.fetch, 12, { maxWaitMs: 300, minBytes: 1, topics: topics('orders') });
    const quick = client.post(apis.metadata, 9, { topics: [] });
    await world.clock.advance(299);
    expect(client.answered).toEqual([]);
    await world.clock.advance(1);
    expect(client.answered).toEqual([parked, quick]);
  });

  it('has any number of produce requests under way, appended in their order', async () => {
    await using world = await World.open();
    await world.run(world.test.createTopic('orders'));
    const client = await world.client();
    const sent = ['a', 'b', 'c', 'd'].map((value) =>
      client.post(apis.produce, 9, {
        acks: -1,
        topicData: [{ name: 'orders', partitionData: [{ index: 0, records: batchOf([value]) }] }],
      }),
    );
    await world.clock.advance(5);
    expect(client.answered).toEqual(sent);
    const { records } = await world.run(world.test.fetch('orders', 0));
    expect(valuesOf(records).map(([, value]) => value)).toEqual(['a', 'b', 'c', 'd']);
  });

  it('gets the refusal of a produce request only after the answer to the one before it that waits for the disk', async () => {
    await using world = await World.open();
    await world.run(world.test.createTopic('orders'));
    const client = await world.client();
    const produceTo = (name: string): object => ({
      acks: -1,
      topicData: [{ name, partitionData: [{ index: 0, records: batchOf(['a']) }] }],
    });
    const codes: number[] = [];
    const answers = ['orders', 'missing', 'orders'].map(async (name) => {
      const { responses } = await client.request(apis.produce, 9, produceTo(name));
      codes.push(responses[0]!.partitionResponses[0]!.errorCode);
    });
    await world.run(Promise.all(answers));
    expect(codes).toEqual([0, 3, 0]);
    expect(client.answered).toEqual([1, 2, 3]);
  });

  it('reads what it has written: what follows a produce request begins when that is answered', async () => {
    await using world = await World.open();
    await world.run(world.test.createTopic('orders'));
    const client = await world.client();
    client.post(apis.produce, 9, {
      acks: -1,
      topicData: [{ name: 'orders', partitionData: [{ index: 0, records: batchOf(['mine']) }] }],
    });
    const fetched = await world.run(client.request(apis.fetch, 12, { maxWaitMs: 0, topics: topics('orders') }));
    expect(valuesOf(fetched.responses[0]!.partitions[0]!.records)).toEqual([[0, 'mine']]);
    expect(client.answered).toEqual([1, 2]);
  });

  it('gets the answers of one turn in one write', async () => {
    const clock = new VirtualClock();
    const run = onVirtualTime(clock);
    let admit: ListenOptions['admit'];
    let accept: (connection: Connection) => void = () => {};
    const network: Network = {
      connect: () => Promise.reject(new Error('nobody connects')),
      listen: (options, accepting) => {
        admit = options.admit;
        accept = accepting;
        return Promise.resolve({ port: 9092, close: () => Promise.resolve() });
      },
    };
    const platform = { ...nodePlatform(), clock, network };
    const test = await run(TestBroker.open({ platform, listen: { port: 9092 } }));
    const writes: number[] = [];
    let receive: (chunk: Uint8Array) => void = () => {};
    let closed: () => void = () => {};
    const remoteAddress = 'client:1';
    const release = admit?.(remoteAddress);
    const close = (): void => {
      closed();
      release?.();
    };
    accept({
      remoteAddress,
      onData: (listener) => (receive = listener),
      onDrain() {},
      onClose: (listener) => (closed = listener),
      write: (parts) => void writes.push(parts.length),
      bufferedBytes: 0,
      pause() {},
      resume() {},
      end: close,
      destroy: close,
    });
    for (const correlationId of [1, 2, 3]) {
      const frame = encodeRequest(apis.metadata, 9, { correlationId, clientId: 'raw' }, { topics: [] });
      receive(Buffer.concat(frame.parts));
    }
    expect(writes).toEqual([]);
    await clock.advance(0);
    expect(writes).toEqual([3]);
    await run(test.broker.close());
  });

  it.each([
    ['a length above socket.request.max.bytes', Buffer.from([0, 0, 0x04, 0x01])],
    ['a negative length', Buffer.from([0xff, 0xff, 0xff, 0xff])],
    ['an API that does not exist', Buffer.from([0, 0, 0, 10, 0x7f, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff])],
    ['a frame too short for a header', Buffer.from([0, 0, 0, 3, 0, 3, 0])],
    [
      'a body that lies about its lengths',
      Buffer.from([0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]),
    ],
    ['bytes after the end of the body', Buffer.from([0, 0, 0, 15, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0, 9])],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  ])('is closed, and it alone, for %s', async (_what, bytes) => {
    await using world = await World.open({ 'socket.request.max.bytes': 1024 });
    const [good, bad] = [await world.client(), await world.client()];
    bad.sendBytes(bytes);
    await world.clock.advance(5);
    expect(await isClosed(world, bad)).toBe(true);
    expect(await isClosed(world, good)).toBe(false);
    expect((await world.run(good.request(apis.metadata, 9, { topics: [] }))).topics).toEqual([]);
  });

  it('may send a request of socket.request.max.bytes', async () => {
    await using world = await World.open({ 'socket.request.max.bytes': 1024 });
    const client = await world.client();
    const name = 'x'.repeat(249);
    const request = { topics: [{ name }, { name: `${name.slice(1)}y` }, { name: `${name.slice(2)}yz` }] };
    const { byteLength } = encodeRequest(apis.metadata, 1, { correlationId: 1, clientId: 'raw' }, request);
    const filler = 'z'.repeat(1024 + 4 - byteLength - 2);
    request.topics.push({ name: filler });
    const exact = encodeRequest(apis.metadata, 1, { correlationId: 1, clientId: 'raw' }, request);
    expect(exact.byteLength).toBe(1024 + 4);
    expect((await world.run(client.request(apis.metadata, 1, request))).topics).toHaveLength(4);
    request.topics[3] = { name: `${filler}z` };
    client.post(apis.metadata, 1, request);
    await world.clock.advance(5);
    expect(await isClosed(world, client)).toBe(true);
  });

  it('may send a request of millrace.request.max.bytes, of which only one with records may be longer', async () => {
    await using world = await World.open({ 'millrace.request.max.bytes': 1024 });
    await world.run(world.test.createTopic('orders'));
    const client = await world.client();
    const size = (name: string): number =>
      encodeRequest(apis.metadata, 1, { correlationId: 1, clientId: 'raw' }, { topics: [{ name }] }).byteLength - 4;
    const longest = 'x'.repeat(1024 - size(''));
    expect(size(longest)).toBe(1024);
    const records = batchOf(['y'.repeat(2000)]);
    const written = client.request(apis.produce, 9, {
      acks: -1,
      topicData: [{ name: 'orders', partitionData: [{ index: 0, records }] }],
    });
    expect((await world.run(written)).responses[0]?.partitionResponses[0]).toMatchObject({ errorCode: 0 });
    const { topics: found } = await world.run(client.request(apis.metadata, 1, { topics: [{ name: longest }] }));
    expect(found).toMatchObject([{ errorCode: 17 }]);
    client.post(apis.metadata, 1, { topics: [{ name: `${longest}x` }] });
    await world.clock.advance(5);
    expect(await isClosed(world, client)).toBe(true);
  });

  it('is closed when nothing whole has come by connection.failed.handshake.timeout.ms', async () => {
    await using world = await World.open({ 'connection.failed.handshake.timeout.ms': 1000 });
    const [silent, dripping, talking] = [await world.client(), await world.client(), await world.client()];
    dripping.sendBytes(Buffer.from([0, 0]));
    await world.run(talking.request(apis.metadata, 9, { topics: [] }));
    await world.clock.advance(900);
    dripping.sendBytes(Buffer.from([0]));
    await world.clock.advance(400);
    expect(await isClosed(world, silent)).toBe(true);
    expect(await isClosed(world, dripping)).toBe(true);
    expect(await isClosed(world, talking)).toBe(false);
  });

  it('is closed when idle for connections.max.idle.ms, but not while a request of it waits', async () => {
    await using world = await World.open({ 'connections.max.idle.ms': 10_000 });
    await world.run(world.test.createTopic('orders'));
    const [idle, parked] = [await world.client(), await world.client()];
    await world.run(idle.request(apis.metadata, 9, { topics: [] }));
    parked.post(apis.fetch, 12, { maxWaitMs: 30_000, minBytes: 1, topics: topics('orders') });
    await world.clock.advance(9900);
    expect(await isClosed(world, idle)).toBe(false);
    await world.clock.advance(3000);
    expect(await isClosed(world, idle)).toBe(true);
    expect(await isClosed(world, parked)).toBe(false);
  });

  it('is refused above max.connections, and let in again when another has gone', async () => {
    await using world = await World.open({ 'max.connections': 2 });
    const [first, second] = [await world.client(), await world.client()];
    await world.client();
    expect(world.metric('connections_refused_total')).toBe(1);
    expect((await world.run(second.request(apis.metadata, 9, { topics: [] }))).topics).toEqual([]);
    first.close();
    await world.clock.advance(5);
    const fourth = await world.client();
    expect((await world.run(fourth.request(apis.metadata, 9, { topics: [] }))).topics).toEqual([]);
    expect(world.metric('connections_refused_total')).toBe(1);
  });

  it('is refused above max.connections.per.ip', async () => {
    await using world = await World.open({ 'max.connections.per.ip': 1 });
    const first = await world.client();
    await world.client();
    expect(world.metric('connections_refused_total')).toBe(1);
    expect((await world.run(first.request(apis.metadata, 9, { topics: [] }))).topics).toEqual([]);
  });
});

describe('memory', () => {
  const big = (value: string): Uint8Array => batchOf([value.repeat(50_000)]);
  const produce = (client: RawClient, topic: string): number =>
    client.post(apis.produce, 9, {
      acks: -1,
      topicData: [{ name: topic, partitionData: [{ index: 0, records: big('x') }] }],
    });

  it('of a slow reader is bounded: its requests wait until it has read', async () => {
    await using world = await World.open({ 'millrace.connection.max.queued.response.bytes': 100_000 });
    await world.run(world.test.createTopic('orders'));
    await world.run(world.test.produce('orders', big('x')));
    const connection = await world.connection();
    let receivedBytes = 0;
    connection.onData((chunk) => (receivedBytes += chunk.length));
    connection.pause();
    const request = { maxWaitMs: 0, minBytes: 1, maxBytes: 1 << 20, topics: topics('orders') };
    const frames = Array.from({ length: 50 }, (_, correlationId) =>
      Buffer.concat(encodeRequest(apis.fetch, 12, { correlationId, clientId: 'raw' }, request).parts),
    );
    connection.write([Buffer.concat(frames)]);
    await world.clock.advance(50);
    expect(world.metric('held_response_bytes')).toBeGreaterThan(50_000);
    expect(world.metric('held_response_bytes')).toBeLessThan(200_000);
    // Others are served meanwhile.
    const other = await world.client();
    expect((await world.run(other.request(apis.metadata, 9, { topics: [] }))).topics).toEqual([]);
    connection.resume();
    await world.clock.advance(200);
    expect(receivedBytes).toBeGreaterThan(50 * 50_000);
    expect(world.metric('held_response_bytes')).toBe(0);
    connection.destroy();
  });

  it('of requests that never become whole is bounded: the largest is closed', async () => {
    await using world = await World.open({ 'queued.max.request.bytes': 1 << 20 });
    const clients = [await world.client(), await world.client(), await world.client()];
    for (const [index, client] of clients.entries()) {
      client.sendBytes(Buffer.from([0x01, 0, 0, 0])); // 16 MiB to come
      for (let chunk = 0; chunk < 6 + index; chunk++) client.sendBytes(Buffer.alloc(1 << 16));
    }
    await world.clock.advance(50);
    expect(world.metric('held_request_bytes')).toBeLessThanOrEqual((1 << 20) + (1 << 17));
    const closed = await Promise.all(clients.map((client) => isClosed(world, client)));
    expect(closed).toContain(true);
    expect(closed).toContain(false);
    const honest = await world.client();
    expect((await world.run(honest.request(apis.metadata, 9, { topics: [] }))).topics).toEqual([]);
  });

  it('of requests in flight is bounded: what is above waits, and nothing is lost', async () => {
    await using world = await World.open({
      'queued.max.request.bytes': 1 << 20,
      'millrace.connection.max.in.flight.bytes': 200_000,
    });
    await world.run(world.test.createTopic('orders'));
    const clients = [await world.client(), await world.client(), await world.client()];
    let sent = 0;
    for (let round = 0; round < 20; round++) {
      for (const client of clients) {
        produce(client, 'orders');
        sent++;
      }
    }
    await world.clock.advance(500);
    expect(clients.reduce((sum, client) => sum + client.answered.length, 0)).toBe(sent);
    expect((await world.run(world.test.fetch('orders', sent))).highWatermark).toBe(sent);
    expect(world.metric('held_request_bytes')).toBe(0);
  });

  it('held above queued.max.request.bytes keeps connections from being read, until it is let go of', async () => {
    await using world = await World.open({
      'queued.max.request.bytes': 1 << 20,
      'group.initial.rebalance.delay.ms': 10_000,
    });
    const [holder, other] = [await world.client(), await world.client()];
    const protocols = [{ name: 'range', metadata: new Uint8Array(1_200_000) }];
    const timeouts = { sessionTimeoutMs: 30_000, rebalanceTimeoutMs: 30_000 };
    holder.post(apis.joinGroup, 3, { groupId: 'g', ...timeouts, protocolType: 'consumer', protocols });
    await world.clock.advance(5);
    expect(world.metric('held_request_bytes')).toBeGreaterThan(1_200_000);
    const first = other.post(apis.metadata, 9, { topics: [] });
    await world.clock.advance(5);
    const second = other.post(apis.metadata, 9, { topics: [] });
    await world.clock.advance(5000);
    expect(other.answered).toEqual([first]); // what was read is answered; nothing more is read
    await world.clock.advance(6000);
    expect(holder.answered).toHaveLength(1);
    expect(other.answered).toEqual([first, second]);
  });

  it('of unread answers in all is bounded: who leaves most of them unread is closed', async () => {
    await using world = await World.open({ 'millrace.queued.max.response.bytes': 1 << 20 });
    await world.run(world.test.createTopic('orders'));
    for (let i = 0; i < 8; i++) await world.run(world.test.produce('orders', big('x')));
    const stuck: Connection[] = [];
    let closedCount = 0;
    for (let i = 0; i < 5; i++) {
      const connection = await world.connection();
      connection.onClose(() => closedCount++);
      connection.pause();
      const request = { maxWaitMs: 0, minBytes: 1, maxBytes: 1 << 22, topics: topics('orders') };
      connection.write(encodeRequest(apis.fetch, 12, { correlationId: i, clientId: 'raw' }, request).parts);
      stuck.push(connection);
      await world.clock.advance(5);
    }
    await world.clock.advance(30_000);
    expect(world.metric('held_response_bytes')).toBeLessThan(1 << 20);
    expect(closedCount).toBeGreaterThan(0);
    expect(closedCount).toBeLessThan(5);
    for (const connection of stuck) connection.destroy();
  });

  it('held by a client within the process holds connections back no longer than it is held', async () => {
    await using world = await World.open({
      'queued.max.request.bytes': 1 << 20,
      'group.initial.rebalance.delay.ms': 10_000,
    });
    await world.run(world.test.createTopic('orders'));
    const other = await world.client();
    const parked = other.post(apis.fetch, 12, { maxWaitMs: 300, minBytes: 1, topics: topics('orders') });
    await world.clock.advance(5);
    const protocols = [{ name: 'range', metadata: new Uint8Array(1_200_000) }];
    const timeouts = { sessionTimeoutMs: 30_000, rebalanceTimeoutMs: 30_000 };
    world.test.client.post(apis.joinGroup, 3, { groupId: 'g', ...timeouts, protocolType: 'consumer', protocols });
    await world.clock.advance(1000); // the fetch is answered while memory is short: the connection is not read
    const next = other.post(apis.metadata, 9, { topics: [] });
    await world.clock.advance(11_000);
    expect(other.answered).toEqual([parked, next]);
  });

  it('of whole requests behind one that waits is bounded, too: the connection that holds most is closed', async () => {
    await using world = await World.open({ 'queued.max.request.bytes': 1 << 20 });
    await world.run(world.test.createTopic('orders'));
    const [hostile, honest] = [await world.client(), await world.client()];
    hostile.post(apis.fetch, 12, { maxWaitMs: 3_600_000, minBytes: 1, topics: topics('orders') });
    await world.clock.advance(5);
    hostile.post(apis.produce, 9, {
      acks: -1,
      topicData: [{ name: 'orders', partitionData: [{ index: 0, records: new Uint8Array(1_200_000) }] }],
    });
    await world.clock.advance(50);
    expect(await isClosed(world, hostile)).toBe(true);
    for (let round = 0; round < 2; round++) {
      expect((await world.run(honest.request(apis.metadata, 9, { topics: [] }))).topics).toEqual([]);
    }
    expect(world.metric('held_request_bytes')).toBe(0);
  });

  it('of unread answers is back below its limit with the next look at them, however many read nothing', async () => {
    await using world = await World.open({ 'millrace.queued.max.response.bytes': 1 << 20 });
    await world.run(world.test.createTopic('orders'));
    await world.run(world.test.produce('orders', big('x')));
    for (let i = 0; i < 40; i++) {
      const connection = await world.connection();
      connection.pause();
      const request = { maxWaitMs: 0, minBytes: 1, maxBytes: 1 << 22, topics: topics('orders') };
      connection.write(encodeRequest(apis.fetch, 12, { correlationId: i, clientId: 'raw' }, request).parts);
    }
    await world.clock.advance(5);
    expect(world.metric('held_response_bytes')).toBeGreaterThan(1.5 * (1 << 20));
    await world.clock.advance(6000);
    expect(world.metric('held_response_bytes')).toBeLessThanOrEqual(1 << 20);
    expect(world.metric('held_response_bytes')).toBeGreaterThan((1 << 20) - 60_000);
  });
});

describe('closing', () => {
  it('answers what is in flight, parked fetches too, and begins nothing more', async () => {
    const world = await World.open();
    await world.run(world.test.createTopic('orders'));
    const client = await world.client();
    const answer = client.request(apis.fetch, 12, { maxWaitMs: 60_000, minBytes: 1, topics: topics('orders') });
    await world.clock.advance(5);
    const startMs = world.clock.monotonic();
    await world.run(world.test.broker.close());
    expect((await answer).responses[0]?.partitions[0]).toMatchObject({ errorCode: 0, highWatermark: 0 });
    expect(world.clock.monotonic() - startMs).toBeLessThan(1500);
    await world.run(client.closed.then(() => {}));
  });

  it('takes no longer than it was given, though a peer neither reads nor closes', async () => {
    const world = await World.open();
    await world.run(world.test.createTopic('orders'));
    await world.run(world.test.produce('orders', batchOf(['x'.repeat(100_000)])));
    const connection = await world.connection();
    connection.pause();
    const request = { maxWaitMs: 0, minBytes: 1, topics: topics('orders') };
    connection.write(encodeRequest(apis.fetch, 12, { correlationId: 1, clientId: 'raw' }, request).parts);
    await world.clock.advance(5);
    const startMs = world.clock.monotonic();
    const closing = world.test.broker.close({ timeoutMs: 300 });
    await world.clock.advance(350);
    await world.run(closing);
    expect(world.clock.monotonic() - startMs).toBeLessThan(400);
  });

  it('is the same promise for all who ask, and the broker is of no use afterwards', async () => {
    const world = await World.open();
    const { broker } = world.test;
    expect(broker.close()).toBe(broker.close());
    await world.run(broker.close());
    expect(() => broker.dial()).toThrow(expect.objectContaining({ code: 'BROKER_CLOSED' }));
    await expect(broker.reset()).rejects.toMatchObject({ code: 'BROKER_CLOSED' });
  });
});

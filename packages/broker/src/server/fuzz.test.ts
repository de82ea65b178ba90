import { nodePlatform } from '@millrace/platform';
import { SeededRandom, SimulatedNetwork, VirtualClock } from '@millrace/platform/simulated';
import { apis, encodeRequest, type ApiSchema } from '@millrace/protocol';
import { expect, it } from 'vitest';
import { batchOf } from '../testing/batches.ts';
import { TestBroker } from '../testing/memory-broker.ts';
import { RawClient } from '../testing/raw-client.ts';
import { onVirtualTime } from '../testing/virtual-time.ts';

const frameCount = 20_000;
const heapMayGrowBytes = 100 * 1024 * 1024;

/** Requests as real clients send them, with their length prefix. */
function realRequests(): readonly Uint8Array[] {
  const frames: Uint8Array[] = [];
  const add = (api: ApiSchema, version: number, request: object): void => {
    const frame = encodeRequest(api, version, { correlationId: 7, clientId: 'fuzz' }, request as never);
    frames.push(Buffer.concat(frame.parts));
  };
  const fetched = [{ topic: 'orders', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }] }];
  const topicData = [{ name: 'orders', partitionData: [{ index: 0, records: batchOf(['a', 'b']) }] }];
  for (const version of [3, 9, 11]) add(apis.produce, version, { acks: -1, timeoutMs: 100, topicData });
  for (const version of [4, 12]) add(apis.fetch, version, { maxWaitMs: 5, minBytes: 1, topics: fetched });
  for (const version of [0, 5, 12]) add(apis.metadata, version, { topics: [{ name: 'orders' }] });
  for (const version of [0, 2]) add(apis.apiVersions, version, {});
  add(apis.apiVersions, 3, { clientSoftwareName: 'fuzz', clientSoftwareVersion: '1' });
  add(apis.listOffsets, 5, { replicaId: -1, topics: [{ name: 'orders', partitions: [{ timestamp: -1 }] }] });
  add(apis.createTopics, 5, { topics: [{ name: 'made', numPartitions: 1, replicationFactor: 1 }] });
  add(apis.deleteTopics, 4, { topicNames: ['made'] });
  add(apis.describeConfigs, 4, { resources: [{ resourceType: 2, resourceName: 'orders', configurationKeys: null }] });
  add(apis.joinGroup, 5, {
    groupId: 'g',
    sessionTimeoutMs: 6000,
    rebalanceTimeoutMs: 6000,
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: new Uint8Array(4) }],
  });
  add(apis.offsetCommit, 7, { groupId: 'g', topics: [{ name: 'orders', partitions: [{ committedOffset: 1 }] }] });
  add(apis.initProducerId, 4, { transactionalId: 't', transactionTimeoutMs: 1000 });
  return frames;
}

function mutated(frame: Uint8Array, random: SeededRandom): Uint8Array {
  const bytes = Buffer.from(frame);
  switch (random.below(6)) {
    case 0: // as it is
      return bytes;
    case 1: // bits flipped behind the prefix
      for (let flips = 1 + random.below(4); flips > 0; flips--) {
        bytes[4 + random.below(bytes.length - 4)]! ^= 1 << random.below(8);
      }
      return bytes;
    case 2: // cut short, with a prefix that fits
      return withPrefix(bytes.subarray(4, 4 + random.below(bytes.length - 3)));
    case 3: // longer than it should be
      return withPrefix(Buffer.concat([bytes.subarray(4), random.bytes(1 + random.below(50))]));
    case 4: {
      // a length in the middle made huge or negative
      const at = 4 + random.below(Math.max(1, bytes.length - 8));
      bytes.writeInt32BE(random.chance(0.5) ? 0x7fff_ffff : -random.below(1000), Math.min(at, bytes.length - 4));
      return bytes;
    }
    default: // noise
      return random.chance(0.9) ? withPrefix(Buffer.from(random.bytes(random.below(200)))) : random.bytes(64);
  }
}

function withPrefix(body: Uint8Array): Uint8Array {
  const prefix = Buffer.alloc(4);
  prefix.writeInt32BE(body.length);
  return Buffer.concat([prefix, body]);
}

it('survives 20,000 broken frames without growing, and serves others all the while', async () => {
  const seed = 8127;
  const random = new SeededRandom(seed);
  const clock = new VirtualClock();
  const run = onVirtualTime(clock);
  const network = new SimulatedNetwork({ clock, random: new SeededRandom(seed + 1), maxLatencyMs: 0 });
  const errors: object[] = [];
  const failures: string[] = [];
  const logger = { debug() {}, info() {}, warn() {}, error: (context: object) => void errors.push(context) };
  const test = await run(
    TestBroker.open({
      platform: { ...nodePlatform(), clock, network },
      listen: { port: 9092 },
      logger,
      tailCacheMaxBytes: 1 << 20,
      config: {
        'socket.request.max.bytes': 1 << 20,
        'offsets.topic.num.partitions': 1,
        'transaction.state.log.num.partitions': 1,
        'millrace.max.partitions': 100,
        'log.segment.bytes': 1 << 20,
        'log.retention.bytes': 1 << 20,
        'log.retention.check.interval.ms': 1000,
      },
    }),
  );
  await run(test.createTopic('orders'));
  const frames = realRequests();
  const connect = (): Promise<RawClient> =>
    run(network.connect({ host: '127.0.0.1', port: 9092, timeoutMs: 1000 }).then((each) => RawClient.over(each)));

  const heapBefore = process.memoryUsage().heapUsed + process.memoryUsage().external;
  let sent = 0;
  while (sent < frameCount) {
    const attacker = await connect();
    let isOpen = true;
    void attacker.closed.then(() => (isOpen = false));
    for (let burst = 0; burst < 20 && isOpen && sent < frameCount; burst++) {
      attacker.sendBytes(mutated(frames[random.below(frames.length)]!, random));
      sent++;
      if (random.chance(0.8)) await clock.advance(1); // else the next one comes in the same turn
    }
    attacker.close();
    await clock.advance(1);
    if (sent % 2000 < 20) {
      const { topics } = await run(test.client.request(apis.metadata, 9, { topics: [{ name: 'orders' }] }));
      if (topics[0]?.errorCode !== 0)
        failures.push(`error ${topics[0]?.errorCode} after ${sent} frames of seed ${seed}`);
    }
  }
  expect(failures).toEqual([]);
  expect(errors, 'every error is the client’s, and none of ours').toEqual([]);
  const text = test.broker.metrics().prometheus();
  const begun = [...text.matchAll(/^millrace_requests_total\{.*\} (\d+)$/gm)].reduce(
    (sum, [, n]) => sum + Number(n),
    0,
  );
  expect(begun, 'most frames get as far as a handler').toBeGreaterThan(frameCount / 3);
  expect(text).toContain('millrace_connections 1\n');
  await clock.advance(60_000);
  expect(test.broker.metrics().prometheus()).toContain('millrace_held_request_bytes 0\n');
  const heapAfter = process.memoryUsage().heapUsed + process.memoryUsage().external;
  expect(heapAfter - heapBefore).toBeLessThan(heapMayGrowBytes);
  await run(test.broker.close());
}, 120_000);

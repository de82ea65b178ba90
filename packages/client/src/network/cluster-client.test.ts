import { NetworkError, nodePlatform, type Connection, type Network } from '@millrace/platform';
import { SeededRandom, VirtualClock } from '@millrace/platform/simulated';
import { apis, encodeResponse, errorCodes, decodeRequestHeader, FrameSplitter } from '@millrace/protocol';
import { expect, it } from 'vitest';
import { Client, internalsOf } from '../client.ts';
import type { ClientOptions } from '../cluster-options.ts';
import { ScriptedBroker } from '../testing/scripted-broker.ts';

const clock = new VirtualClock(1_000_000);
const platform = { ...nodePlatform(), clock, random: new SeededRandom(3) };

async function settled<T>(work: Promise<T>, limitMs: number = 100_000): Promise<T | string> {
  let outcome: { value: T | string } | undefined;
  work.then(
    (value) => (outcome = { value }),
    (error: Error & { code?: string }) => (outcome = { value: error.code ?? error.message }),
  );
  for (let waitedMs = 0; outcome === undefined && waitedMs < limitMs; waitedMs += 10) await clock.advance(10);
  return outcome === undefined ? 'pending' : outcome.value;
}

async function connect(broker: ScriptedBroker, options: ClientOptions = {}): Promise<Client> {
  const client = await settled(Client.connect(broker, { platform, ...options }));
  if (typeof client === 'string') throw new Error(client);
  return client;
}

it('gives up a request after requestTimeoutMs, not before, and connects anew for the next', async () => {
  const broker = new ScriptedBroker(clock);
  let isSilent = true;
  broker.on(apis.describeCluster, () => (isSilent ? 'lost' : { clusterId: 'c', controllerId: 1, brokers: [] }));
  const client = await connect(broker, { requestTimeoutMs: 1_000 });
  const dials = broker.dialCount;
  const startMs = clock.monotonic();
  expect(await settled(client.admin.describeCluster())).toBe('REQUEST_TIMED_OUT');
  expect(clock.monotonic() - startMs).toBeGreaterThanOrEqual(1_000);
  expect(clock.monotonic() - startMs).toBeLessThanOrEqual(1_020);
  isSilent = false;
  expect(await settled(client.admin.describeCluster())).toMatchObject({ clusterId: 'c' });
  expect(broker.dialCount).toBe(dials + 1);
  await settled(client.close());
});

it('fails what waits when the connection is cut, and when the client closes: nothing hangs', async () => {
  const broker = new ScriptedBroker(clock);
  broker.on(apis.describeCluster, () => 'lost');
  const client = await connect(broker);
  const cut = client.admin.describeCluster();
  await clock.advance(5);
  broker.cutAll();
  expect(await settled(cut, 1_000)).toBe('NETWORK_EXCEPTION');
  const closed = client.admin.describeCluster();
  await clock.advance(5);
  const closing = client.close();
  expect(await settled(closed, 1_000)).toBe('CLOSED');
  expect(await settled(closing, 1_000)).toBeUndefined();
  expect(await settled(client.admin.listTopics(), 1_000)).toBe('CLOSED');
});

it('answers a broker of before with a version that both speak', async () => {
  const broker = new ScriptedBroker(clock);
  const served = [
    { apiKey: apis.apiVersions.key, minVersion: 0, maxVersion: 2 },
    { apiKey: apis.metadata.key, minVersion: 1, maxVersion: 5 },
  ];
  const versions: string[] = [];
  const metadata = apis.metadata;
  broker.on(apis.apiVersions, (_request, version) => {
    versions.push(`ApiVersions ${version}`);
    return { apiKeys: served };
  });
  broker.on(metadata, (_request, version) => {
    versions.push(`Metadata ${version}`);
    return { brokers: [{ nodeId: 1, host: 'old', port: 9092 }], controllerId: 1, topics: [] };
  });
  const client = await connect(broker);
  expect(versions).toContain('Metadata 5');
  expect(await settled(client.admin.alterConfigs('t', {}), 60_000)).toBe('UNSUPPORTED_VERSION');
  await settled(client.close());
});

/** A TCP broker that knows ApiVersions up to 2, and answers 3 as Kafka does: with error 35, in the layout of version 0. */
function oldTcpBroker(seen: number[]): Network {
  return {
    listen: () => Promise.reject(new Error('not needed')),
    connect: () => {
      let onData: (chunk: Uint8Array) => void = () => undefined;
      const splitter = new FrameSplitter({ maxFrameBytes: 1_000_000 });
      const connection: Connection = {
        remoteAddress: 'old:9092',
        bufferedBytes: 0,
        onData: (listener) => void (onData = listener),
        onDrain: () => undefined,
        onClose: () => undefined,
        write: (parts) =>
          splitter.push(Buffer.concat(parts), (frame) => {
            const { apiKey, apiVersion, correlationId } = decodeRequestHeader(frame);
            const reply = (answer: { readonly parts: readonly Uint8Array[] }): void =>
              clock.defer(() => onData(Buffer.concat(answer.parts)));
            if (apiKey === apis.apiVersions.key) {
              seen.push(apiVersion);
              const errorCode = apiVersion > 2 ? errorCodes.UNSUPPORTED_VERSION : errorCodes.NONE;
              const apiKeys = [{ apiKey: apis.metadata.key, minVersion: 0, maxVersion: 4 }];
              reply(encodeResponse(apis.apiVersions, 0, correlationId, { errorCode, apiKeys }));
            } else {
              const brokers = [{ nodeId: 1, host: 'old', port: 9092 }];
              reply(encodeResponse(apis.metadata, apiVersion, correlationId, { brokers, topics: [] }));
            }
          }),
        pause: () => undefined,
        resume: () => undefined,
        end: () => undefined,
        destroy: () => undefined,
      };
      return Promise.resolve(connection);
    },
  };
}

it('asks again by version 0 when a broker does not know our version of ApiVersions (KIP-511)', async () => {
  const seen: number[] = [];
  const client = await settled(Client.connect('old:9092', { platform: { ...platform, network: oldTcpBroker(seen) } }));
  expect(client).toBeInstanceOf(Client);
  expect(seen.slice(0, 2)).toEqual([3, 0]);
  await settled((client as Client).close());
});

it('says which addresses do not answer', async () => {
  const network: Network = {
    listen: () => Promise.reject(new Error('not needed')),
    connect: ({ host, port }) => Promise.reject(new NetworkError('Cannot connect to', host, port)),
  };
  await expect(Client.connect('a:1,b:2', { platform: { ...platform, network } })).rejects.toMatchObject({
    code: 'BROKER_NOT_AVAILABLE',
    context: { bootstrapServers: ['a:1', 'b:2'] },
    cause: { code: 'NETWORK_ERROR' },
  });
});

it('joins the metadata requests of a turn, and of the time that one takes', async () => {
  const broker = new ScriptedBroker(clock);
  for (const name of ['t', 'u', 'v']) broker.topics.set(name, 1);
  const client = await connect(broker);
  const { cluster } = internalsOf(client);
  const before = broker.arrivals.filter((name) => name === 'Metadata').length;
  const first = Promise.all([cluster.refresh(['t']), cluster.refresh(['u'])]);
  await Promise.resolve();
  await Promise.resolve();
  const second = Promise.all([cluster.refresh(['v']), cluster.refresh(['t'])]);
  await settled(Promise.all([first, second]));
  expect(broker.arrivals.filter((name) => name === 'Metadata').length - before).toBeLessThanOrEqual(2);
  expect([...cluster.metadata.topics.keys()].toSorted()).toEqual(['t', 'u', 'v']);
  await settled(client.close());
});

import { expect, it } from 'vitest';
import type { Connection } from '../network.ts';
import { SeededRandom } from './seeded-random.ts';
import { SimulatedNetwork } from './simulated-network.ts';
import { VirtualClock } from './virtual-clock.ts';

async function open(seed: number): Promise<{
  clock: VirtualClock;
  network: SimulatedNetwork;
  client: Connection;
  server: Connection;
  received: string[];
  ends: (string | undefined)[];
}> {
  const clock = new VirtualClock();
  const network = new SimulatedNetwork({ clock, random: new SeededRandom(seed), minLatencyMs: 1, maxLatencyMs: 10 });
  const received: string[] = [];
  const ends: (string | undefined)[] = [];
  let server: Connection | undefined;
  await network.listen({ host: 'broker', port: 9092 }, (connection) => {
    server = connection;
    connection.onData((chunk) => received.push(Buffer.from(chunk).toString()));
    connection.onClose((reason) => ends.push(reason?.message));
  });
  const connecting = network.connect({ host: 'broker', port: 9092, timeoutMs: 1000 });
  await clock.advance(20);
  return { clock, network, client: await connecting, server: server!, received, ends };
}

it('delivers every byte in order, in pieces, and the same for the same seed', async () => {
  const runs: string[][] = [];
  for (const seed of [7, 7, 8]) {
    const { clock, client, received } = await open(seed);
    for (let i = 0; i < 50; i++) client.write([Buffer.from(`<${i}>`), Buffer.from('|')]);
    await clock.advance(1000);
    expect(received.join('')).toBe(Array.from({ length: 50 }, (_, i) => `<${i}>|`).join(''));
    expect(client.bufferedBytes).toBe(0);
    runs.push(received);
  }
  expect(runs[0]).toEqual(runs[1]);
  expect(runs[0]).not.toEqual(runs[2]);
});

it('loses what is under way when it is cut, and tells both ends why', async () => {
  const { clock, network, client, received, ends } = await open(1);
  const clientEnds: (string | undefined)[] = [];
  client.onClose((reason) => clientEnds.push(reason?.message));
  client.write([Buffer.from('lost')]);
  network.cutAll();
  await clock.advance(100);
  expect(received).toEqual([]);
  expect(ends).toEqual(['connection reset (simulated)']);
  expect(clientEnds).toEqual(ends);
  expect(network.connectionCount).toBe(0);
});

it('holds everything back while partitioned, and delivers it after the healing', async () => {
  const { clock, network, client, received } = await open(2);
  network.setPartitioned(true);
  client.write([Buffer.from('late')]);
  await clock.advance(1000);
  expect(received).toEqual([]);
  const refused = network.connect({ host: 'broker', port: 9092, timeoutMs: 50 });
  const failure = expect(refused).rejects.toMatchObject({ code: 'NETWORK_ERROR' });
  await clock.advance(50);
  await failure;
  network.setPartitioned(false);
  await clock.advance(20);
  expect(received.join('')).toBe('late');
});

it('sends what was written before end, then closes without a reason', async () => {
  const { clock, client, received, ends } = await open(3);
  client.write([Buffer.from('bye')]);
  client.end();
  await clock.advance(100);
  expect(received.join('')).toBe('bye');
  expect(ends).toEqual([undefined]);
});

it('refuses a port that is taken, and a host where nobody listens', async () => {
  const { clock, network } = await open(4);
  await expect(network.listen({ host: 'broker', port: 9092 }, () => {})).rejects.toMatchObject({ code: 'PORT_IN_USE' });
  const refused = expect(network.connect({ host: 'nobody', port: 1, timeoutMs: 10 })).rejects.toMatchObject({
    code: 'NETWORK_ERROR',
  });
  await clock.advance(20);
  await refused;
});

it('asks whether a connection is admitted, and tells once when it has closed', async () => {
  const clock = new VirtualClock();
  const network = new SimulatedNetwork({ clock, random: new SeededRandom(1) });
  const events: string[] = [];
  let isFull = false;
  const admit = (remoteAddress: string): (() => void) | undefined => {
    events.push(isFull ? 'refused' : 'admitted');
    return isFull ? undefined : () => events.push(`${remoteAddress} closed`);
  };
  await network.listen({ host: 'broker', port: 1, admit }, ({ remoteAddress }) => events.push(remoteAddress));
  const dial = async (): Promise<Connection> => {
    const connecting = network.connect({ host: 'broker', port: 1, timeoutMs: 1000 });
    void connecting.then((connection) => connection.onClose(() => events.push('its client sees the end')));
    await clock.advance(1);
    return connecting;
  };
  const client = await dial();
  isFull = true;
  await dial();
  client.destroy();
  client.destroy();
  await clock.advance(1);
  expect(events).toEqual([
    'admitted',
    'client:40000',
    'refused',
    'its client sees the end',
    'client:40000 closed',
    'its client sees the end',
  ]);
});

it('owns what was written, and hands the receiver memory of its own', async () => {
  const { clock, client, received } = await open(3);
  const bytes = Buffer.from('as written');
  client.write([bytes]);
  bytes.fill('x');
  await clock.advance(100);
  expect(received.join('')).toBe('as written');
});

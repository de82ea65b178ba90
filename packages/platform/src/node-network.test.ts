import { readFileSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import type { Connection } from './network.ts';
import { nodeNetwork } from './node-network.ts';

const network = nodeNetwork();

it('carries bytes both ways, and tells both ends of a clean close', async () => {
  let accepted!: (connection: Connection) => void;
  const accepting = new Promise<Connection>((resolve) => void (accepted = resolve));
  const closes: (Error | undefined)[] = [];
  let echoed = '';
  const listener = await network.listen({ host: '127.0.0.1', port: 0 }, (connection) => {
    connection.onData((chunk) => connection.write([Buffer.from('<'), chunk, Buffer.from('>')]));
    connection.onClose((reason) => closes.push(reason));
    accepted(connection);
  });
  const client = await network.connect({ host: '127.0.0.1', port: listener.port, timeoutMs: 1000 });
  await accepting;
  const answered = new Promise<void>((resolve) => {
    client.onData((chunk) => {
      echoed += Buffer.from(chunk).toString();
      if (echoed.endsWith('>')) resolve();
    });
  });
  const closed = new Promise<void>((resolve) => client.onClose(() => resolve()));
  client.write([Buffer.from('ping')]);
  await answered;
  expect(echoed).toBe('<ping>');
  client.end();
  await closed;
  expect(closes).toEqual([undefined]);
  await listener.close();
});

it('names a port in use, and a port where nobody listens', async () => {
  const listener = await network.listen({ host: '127.0.0.1', port: 0 }, () => {});
  await expect(network.listen({ host: '127.0.0.1', port: listener.port }, () => {})).rejects.toMatchObject({
    code: 'PORT_IN_USE',
    context: { port: listener.port },
  });
  await listener.close();
  await expect(network.connect({ host: '127.0.0.1', port: listener.port, timeoutMs: 1000 })).rejects.toMatchObject({
    code: 'NETWORK_ERROR',
    retriable: true,
    context: { errno: 'ECONNREFUSED' },
  });
});

const pem = (name: string): Buffer =>
  readFileSync(new URL(`../../broker/fixtures/localhost-${name}.pem`, import.meta.url));

it('closes a connection whose TLS handshake takes too long', async () => {
  let gone = (): void => {};
  const isGone = new Promise<void>((resolve) => (gone = resolve));
  const listener = await network.listen(
    {
      host: '127.0.0.1',
      port: 0,
      tls: { key: pem('key'), cert: pem('cert'), handshakeTimeout: 50 },
      admit: () => gone,
    },
    () => expect.unreachable('it has said nothing'),
  );
  const silent = connectTcp({ host: '127.0.0.1', port: listener.port }).resume();
  await Promise.all([isGone, new Promise((resolve) => silent.once('close', resolve))]);
  await listener.close();
});

it.each([
  ['plain', undefined],
  ['TLS', { key: pem('key'), cert: pem('cert') }],
])('counts %s connections from before the handshake until they are closed', async (_, tls) => {
  const open = new Set<string>();
  const accepted: string[] = [];
  let refusedCount = 0;
  let changed = (): void => {};
  const until = async (isTrue: () => boolean): Promise<void> => {
    while (!isTrue()) await new Promise<void>((resolve) => (changed = resolve));
  };
  const admit = (remoteAddress: string): (() => void) | undefined => {
    if (open.size === 1) {
      refusedCount++;
      return undefined;
    }
    open.add(remoteAddress);
    changed();
    return () => {
      open.delete(remoteAddress);
      changed();
    };
  };
  const listener = await network.listen({ host: '127.0.0.1', port: 0, tls, admit }, (connection) => {
    accepted.push(connection.remoteAddress);
    connection.onData((chunk) => connection.write([chunk]));
  });
  const dial = (): Socket => connectTcp({ host: '127.0.0.1', port: listener.port }).on('error', () => {});
  const closeOf = (socket: Socket): Promise<void> =>
    new Promise((resolve) => void socket.resume().on('close', () => resolve()));

  const silent = dial();
  await until(() => open.size === 1);
  await closeOf(dial());
  expect([open.size, refusedCount, accepted.length]).toEqual([1, 1, tls === undefined ? 1 : 0]);
  silent.destroy();
  await until(() => open.size === 0);

  const client = await network.connect({
    host: 'localhost',
    port: listener.port,
    timeoutMs: 1000,
    tls: tls && { ca: pem('cert') },
  });
  expect(open.size).toBe(1);
  const echoed = new Promise((resolve) => client.onData((chunk) => resolve(Buffer.from(chunk).toString())));
  client.write([Buffer.from('ping')]);
  expect(await echoed).toBe('ping');
  expect([...open]).toEqual([accepted.at(-1)]);
  await closeOf(dial());
  expect(refusedCount).toBe(2);
  client.end();
  await until(() => open.size === 0);
  expect(accepted.length).toBe(tls === undefined ? 2 : 1);
  await listener.close();
});

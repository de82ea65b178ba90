import { readFileSync } from 'node:fs';
import { nodeNetwork, nodePlatform, type Connection, type ListenOptions, type Network } from '@millrace/platform';
import { apis } from '@millrace/protocol';
import { expect, it } from 'vitest';
import { Broker } from '../broker.ts';
import { RawClient } from '../testing/raw-client.ts';

const pem = (name: string): Buffer => readFileSync(new URL(`../../fixtures/localhost-${name}.pem`, import.meta.url));

it.each(['max.connections', 'max.connections.per.ip'])(
  '%s counts a connection from before its TLS handshake until that has failed',
  async (limit) => {
    await using broker = await Broker.open({
      data: 'memory',
      listen: { port: 0, tls: { key: pem('key'), cert: pem('cert') } },
      config: { [limit]: 20 },
    });
    const [host = '', port] = broker.address.split(':');
    const network = nodeNetwork();
    const dial = (tls?: { readonly ca: Buffer; readonly servername: string }): Promise<Connection> =>
      network.connect({ host, port: Number(port), timeoutMs: 5000, tls });
    const dialTls = (): Promise<Connection> => dial({ ca: pem('cert'), servername: 'localhost' });
    const refusedCount = (): number =>
      Number(/^millrace_connections_refused_total (\S+)$/m.exec(broker.metrics().prometheus())?.[1]);

    const silent = new Set<Connection>();
    let closed = (): void => {};
    for (let i = 0; i < 60; i++) {
      const connection = await dial();
      silent.add(connection);
      connection.onData(() => {});
      connection.onClose(() => {
        silent.delete(connection);
        closed();
      });
    }
    while (silent.size > 20) await new Promise<void>((resolve) => (closed = resolve));
    expect(refusedCount()).toBe(40);
    await expect(dialTls()).rejects.toMatchObject({ code: 'NETWORK_ERROR' });
    expect([silent.size, refusedCount(), broker.metrics().connectionCount]).toEqual([20, 41, 0]);

    for (const connection of silent) connection.write([Buffer.from('no TLS at all')]);
    while (silent.size > 0) await new Promise<void>((resolve) => (closed = resolve));
    const clients: RawClient[] = [];
    while (clients.length < 20) {
      // The broker may hear of an end after its peer.
      const connection = await dialTls().catch(() => undefined);
      if (connection !== undefined) clients.push(RawClient.over(connection));
    }
    await expect(dialTls()).rejects.toMatchObject({ code: 'NETWORK_ERROR' });
    for (const client of clients) {
      expect((await client.request(apis.metadata, 9, { topics: [] })).clusterId).toBe(broker.clusterId);
      client.close();
    }
  },
);

it('a connection whose TLS handshake takes too long counts no more', async () => {
  await using broker = await Broker.open({
    data: 'memory',
    listen: { port: 0, tls: { key: pem('key'), cert: pem('cert') } },
    config: { 'max.connections': 1, 'connection.failed.handshake.timeout.ms': 500 },
  });
  const [host = '', port] = broker.address.split(':');
  const options = { host, port: Number(port), timeoutMs: 5000 };
  const network = nodeNetwork();
  await RawClient.over(await network.connect(options)).closed;
  let connection: Connection | undefined;
  while (connection === undefined) {
    // The broker may hear of an end after its peer.
    const tls = { ca: pem('cert'), servername: 'localhost' };
    connection = await network.connect({ ...options, tls }).catch(() => undefined);
  }
  const client = RawClient.over(connection);
  expect((await client.request(apis.metadata, 9, { topics: [] })).clusterId).toBe(broker.clusterId);
  client.close();
});

it('a connection whose handshake ends after the broker has closed is cut', async () => {
  let options: ListenOptions | undefined;
  let accept: (connection: Connection) => void = () => {};
  const network: Network = {
    connect: () => Promise.reject(new Error('nobody connects')),
    listen: (listening, accepting) => {
      options = listening;
      accept = accepting;
      return Promise.resolve({ port: 9092, close: () => Promise.resolve() });
    },
  };
  const broker = await Broker.open({
    data: 'memory',
    listen: { port: 9092 },
    platform: { ...nodePlatform(), network },
  });
  const remoteAddress = 'client:1';
  const gone = options?.admit?.(remoteAddress);
  expect(gone).toBeTypeOf('function');
  await broker.close();
  expect(options?.admit?.('client:2')).toBeUndefined();
  const events: string[] = [];
  accept({
    remoteAddress,
    onData: () => events.push('read'),
    onDrain() {},
    onClose() {},
    write: () => events.push('written'),
    bufferedBytes: 0,
    pause() {},
    resume() {},
    end: () => events.push('ended'),
    destroy: () => events.push('destroyed'),
  });
  gone?.();
  expect(events).toEqual(['destroyed']);
});

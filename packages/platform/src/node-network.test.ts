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

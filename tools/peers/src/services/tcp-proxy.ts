import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** Stands between a client and a service, and cuts. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** The next reply of the service does not get through: its connection is cut instead. Resolves when that has happened. */
  cutNextReply(): Promise<void>;
  /** Cuts all connections. */
  cut(): void;
}

export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let onReply: (() => void) | undefined;
  const server = createServer((client) => {
    const target = connect(targetPort, '127.0.0.1');
    for (const [socket, other] of [
      [client, target],
      [target, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy()); // a cut is what this is for
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    client.on('data', (data) => target.write(data));
    target.on('data', (data) => {
      if (onReply === undefined) {
        client.write(data);
        return;
      }
      const notify = onReply;
      onReply = undefined;
      client.destroy();
      notify();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    cutNextReply: () => new Promise((resolve) => void (onReply = resolve)),
    cut,
    async [Symbol.asyncDispose]() {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}

import { connect as connectTcp, createServer, isIP, type Server, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { NetworkError, PortInUseError } from './errors.ts';
import type { Connection, ConnectOptions, ListenOptions, Network, NetworkListener } from './network.ts';

/** The machine's TCP and TLS. */
export function nodeNetwork(): Network {
  return { listen, connect };
}

function listen(options: ListenOptions, accept: (connection: Connection) => void): Promise<NetworkListener> {
  return new Promise((resolve, reject) => {
    const onSocket = (socket: Socket): void => accept(new NodeConnection(socket));
    const server: Server = options.tls
      ? createTlsServer(options.tls, onSocket)
      : createServer({ noDelay: true }, onSocket);
    server.on('tlsClientError', () => {}); // a failed handshake costs its own connection, which Node has closed
    const onError = (error: NodeJS.ErrnoException): void =>
      reject(
        error.code === 'EADDRINUSE'
          ? new PortInUseError(options.host, options.port, error)
          : new NetworkError('Cannot listen on', options.host, options.port, error),
      );
    server.once('error', onError);
    server.listen({ port: options.port, host: options.host, backlog: 1024 }, () => {
      server.off('error', onError);
      server.on('error', () => {}); // accept() failing for want of descriptors: the next connection may succeed
      const { port } = server.address() as { port: number };
      resolve({
        port,
        // Not awaiting the callback: it waits for open connections, which are their owners' to close.
        close: () => (server.close(), Promise.resolve()),
      });
    });
  });
}

function connect(options: ConnectOptions): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const { host, port, tls, timeoutMs } = options;
    const socket: Socket = tls
      ? connectTls({ ...(isIP(host) === 0 ? { servername: host } : {}), ...tls, host, port }) // RFC 6066: no addresses
      : connectTcp({ host, port, noDelay: true });
    const timer = setTimeout(() => socket.destroy(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs);
    const onError = (error: Error): void => {
      clearTimeout(timer);
      reject(new NetworkError('Cannot connect to', host, port, error));
    };
    socket.once('error', onError);
    socket.once(tls ? 'secureConnect' : 'connect', () => {
      clearTimeout(timer);
      socket.off('error', onError);
      socket.setNoDelay(true);
      resolve(new NodeConnection(socket));
    });
  });
}

class NodeConnection implements Connection {
  readonly remoteAddress: string;
  readonly #socket: Socket;
  #failure: Error | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.remoteAddress = `${socket.remoteAddress ?? '?'}:${socket.remotePort ?? 0}`;
    socket.on('error', (error) => (this.#failure ??= error));
  }

  onData(listener: (chunk: Uint8Array) => void): void {
    this.#socket.on('data', listener);
  }

  onDrain(listener: () => void): void {
    this.#socket.on('drain', listener);
  }

  onClose(listener: (reason?: Error) => void): void {
    this.#socket.once('close', () => listener(this.#failure));
    // allowHalfOpen is off: when the peer has finished sending, Node ends our side too.
  }

  write(parts: readonly Uint8Array[]): void {
    if (parts.length === 1) return void this.#socket.write(parts[0]!);
    // Corked writes leave in one writev: 0.4 to 1 µs a part, alone 9 to 19 µs.
    this.#socket.cork();
    for (const part of parts) this.#socket.write(part);
    this.#socket.uncork();
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
  }

  destroy(reason?: Error): void {
    this.#failure ??= reason;
    this.#socket.destroy();
  }
}

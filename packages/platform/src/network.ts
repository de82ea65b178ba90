import type { TlsOptions, ConnectionOptions } from 'node:tls';

/** Connections, passed in, so that a simulated network can delay and cut. */
export interface Network {
  /** @throws `PortInUseError`, `NetworkError` */
  listen(options: ListenOptions, accept: (connection: Connection) => void): Promise<NetworkListener>;
  /** Resolves when connected (and the TLS handshake is done). @throws `NetworkError` */
  connect(options: ConnectOptions): Promise<Connection>;
}

export interface ListenOptions {
  /** 0 picks a free one. */
  readonly port: number;
  readonly host: string;
  readonly tls?: TlsOptions | undefined;
  /**
   * Asked about each connection when the kernel hands it over, before any TLS handshake, which a peer need never finish. Gives
   * what to call when the connection has closed; undefined refuses it.
   */
  readonly admit?: ((remoteAddress: string) => (() => void) | undefined) | undefined;
}

export interface ConnectOptions {
  readonly host: string;
  readonly port: number;
  readonly tls?: ConnectionOptions | undefined;
  /** Gives up after this long. */
  readonly timeoutMs: number;
}

export interface NetworkListener {
  /** The port listened on, also where 0 was asked for. */
  readonly port: number;
  /** Stops accepting; open connections stay. */
  close(): Promise<void>;
}

/** A byte stream to a peer. Listeners are set once, in the turn in which the connection is handed over. */
export interface Connection {
  /** `host:port` of the peer. */
  readonly remoteAddress: string;
  /** A chunk as it came, owned by the receiver. */
  onData(listener: (chunk: Uint8Array) => void): void;
  /** Everything written has left the process: `bufferedBytes` is 0 again. */
  onDrain(listener: () => void): void;
  /** Once, last: the peer closed (no reason), or it broke. */
  onClose(listener: (reason?: Error) => void): void;
  /** Sends the parts in order, in one write. They must not be changed afterwards. */
  write(parts: readonly Uint8Array[]): void;
  /** Bytes written and not yet taken by the kernel. */
  readonly bufferedBytes: number;
  /** Stops `onData`: the peer is held back by TCP. */
  pause(): void;
  resume(): void;
  /** Sends what is written, then closes. */
  end(): void;
  /** Closes at once; what is not sent is lost. */
  destroy(reason?: Error): void;
}

import type { Connection, Network } from '@millrace/platform';
import { FrameSplitter, type InProcessEndpoint, type OutgoingFrame } from '@millrace/protocol';
import type { ConnectionOptions } from 'node:tls';

/** A channel that carries whole Kafka frames: a socket, or a broker in this process. */
export interface Transport {
  /** For messages: `host:port`, or `in-process`. */
  readonly address: string;
  /** @param onTaken called once the peer's side has room for what was sent; never, if the transport closes before */
  send(frame: OutgoingFrame, onTaken?: () => void): void;
  /** What was sent still leaves. */
  close(): void;
  /** At once. */
  abort(reason: Error): void;
}

/** Set before the first frame can come. */
export interface TransportListener {
  /** Less the length prefix; owned by the listener. */
  onFrame(frame: Uint8Array): void;
  /** Once, last. */
  onClose(reason?: Error): void;
}

export interface TcpTarget {
  readonly host: string;
  readonly port: number;
  readonly tls: ConnectionOptions | undefined;
  readonly timeoutMs: number;
  readonly maxFrameBytes: number;
}

/** @throws `NetworkError` */
export async function dialTcp(network: Network, target: TcpTarget, listener: TransportListener): Promise<Transport> {
  const { host, port, tls, timeoutMs } = target;
  const connection = await network.connect({ host, port, tls, timeoutMs });
  return new TcpTransport(connection, `${host}:${port}`, target.maxFrameBytes, listener);
}

/**
 * Less than this may still be in the process when it counts as taken: Node tells of a drain only where its buffer was full, and
 * that is 16 KiB in Node 20, 64 KiB since.
 */
const takenBytes = 65_536;

class TcpTransport implements Transport {
  readonly address: string;
  readonly #connection: Connection;
  #queued: Uint8Array[] = [];
  /** Who waits for what was written to be taken. */
  #untaken: (() => void)[] = [];

  constructor(connection: Connection, address: string, maxFrameBytes: number, listener: TransportListener) {
    this.address = address;
    this.#connection = connection;
    const splitter = new FrameSplitter({ maxFrameBytes });
    connection.onData((chunk) => {
      try {
        splitter.push(chunk, (frame) => listener.onFrame(frame));
      } catch (error) {
        connection.destroy(error as Error); // the stream cannot be trusted any more
      }
    });
    connection.onDrain(() => this.#taken());
    connection.onClose((reason) => listener.onClose(reason));
  }

  /** Frames sent in one go leave in one write: alone each costs a system call. */
  send(frame: OutgoingFrame, onTaken?: () => void): void {
    if (this.#queued.length === 0) queueMicrotask(() => this.#flush());
    for (const part of frame.parts) this.#queued.push(part);
    if (onTaken !== undefined) this.#untaken.push(onTaken);
  }

  close(): void {
    this.#flush();
    // A peer that never closes its side would keep a half-open socket, and with it the process.
    if (this.#connection.bufferedBytes > 0) this.#connection.end();
    else this.#connection.destroy();
  }

  abort(reason: Error): void {
    this.#queued = [];
    this.#untaken = [];
    this.#connection.destroy(reason);
  }

  #flush(): void {
    if (this.#queued.length === 0) return;
    const parts = this.#queued;
    this.#queued = [];
    this.#connection.write(parts);
    if (this.#untaken.length > 0 && this.#connection.bufferedBytes < takenBytes) this.#taken();
  }

  #taken(): void {
    const untaken = this.#untaken;
    this.#untaken = [];
    for (const onTaken of untaken) onTaken();
  }
}

export function dialInProcess(endpoint: InProcessEndpoint, listener: TransportListener): Transport {
  const channel = endpoint.dial();
  channel.onFrame((frame) => listener.onFrame(frame));
  channel.onClose((reason) => listener.onClose(reason));
  return {
    address: 'in-process',
    send: (frame, onTaken) => {
      channel.send(withoutPrefix(frame));
      onTaken?.();
    },
    close: () => channel.close(),
    abort: () => channel.close(),
  };
}

/** One view where the frame is one part; else joined, since the receiver owns what it gets. */
function withoutPrefix({ parts, byteLength }: OutgoingFrame): Uint8Array {
  if (parts.length === 1) return parts[0]!.subarray(4);
  const frame = new Uint8Array(byteLength - 4);
  let at = -4;
  for (const part of parts) {
    if (at < 0) frame.set(part.subarray(4), 0);
    else frame.set(part, at);
    at += part.length;
  }
  return frame;
}

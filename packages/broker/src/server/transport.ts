import type { Connection } from '@millrace/platform';
import { FrameSplitter, type OutgoingFrame } from '@millrace/protocol';

/** Frames in both directions: over a socket, or within the process. Listeners are set once, in the turn it is handed over. */
export interface Transport {
  /** `host:port` of the peer. */
  readonly remoteAddress: string;
  /** Frames without their length prefix, owned by the receiver. What the listener throws closes the transport. */
  onFrame(listener: (frame: Uint8Array) => void): void;
  onDrain(listener: () => void): void;
  /** Once, last. */
  onClose(listener: (reason?: Error) => void): void;
  /** In one write. */
  send(frames: readonly OutgoingFrame[]): void;
  /** Bytes sent that the peer has not taken. */
  readonly bufferedBytes: number;
  /** Bytes held of a frame that is not whole. */
  readonly pendingBytes: number;
  pause(): void;
  resume(): void;
  /** Sends what is sent, then closes. */
  end(): void;
  destroy(reason?: Error): void;
}

/** Cuts a socket's bytes into frames. */
export class SocketTransport implements Transport {
  readonly #connection: Connection;
  readonly #splitter: FrameSplitter;
  readonly #onChunk: (byteLength: number) => void;

  /** @param options.onChunk called after each chunk: what is pending may have grown */
  constructor(
    connection: Connection,
    options: { readonly maxFrameBytes: number; readonly onChunk: (byteLength: number) => void },
  ) {
    this.#connection = connection;
    this.#splitter = new FrameSplitter(options);
    this.#onChunk = options.onChunk;
  }

  get remoteAddress(): string {
    return this.#connection.remoteAddress;
  }

  onFrame(listener: (frame: Uint8Array) => void): void {
    let hasFailed = false;
    this.#connection.onData((chunk) => {
      if (hasFailed) return;
      try {
        this.#splitter.push(chunk, listener);
      } catch (error) {
        // A malformed frame: there is no telling where the next one begins.
        hasFailed = true;
        this.destroy(error as Error);
        return;
      }
      this.#onChunk(chunk.length);
    });
  }

  onDrain(listener: () => void): void {
    this.#connection.onDrain(listener);
  }

  onClose(listener: (reason?: Error) => void): void {
    this.#connection.onClose(listener);
  }

  send(frames: readonly OutgoingFrame[]): void {
    if (frames.length === 1) return this.#connection.write(frames[0]!.parts);
    const parts: Uint8Array[] = [];
    for (const frame of frames) for (const part of frame.parts) parts.push(part);
    this.#connection.write(parts);
  }

  get bufferedBytes(): number {
    return this.#connection.bufferedBytes;
  }

  get pendingBytes(): number {
    return this.#splitter.pendingBytes;
  }

  pause(): void {
    this.#connection.pause();
  }

  resume(): void {
    this.#connection.resume();
  }

  end(): void {
    this.#connection.end();
  }

  destroy(reason?: Error): void {
    this.#connection.destroy(reason);
  }
}

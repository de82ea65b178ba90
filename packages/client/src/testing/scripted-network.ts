import { NetworkError, type Connection, type ConnectOptions, type Network } from '@millrace/platform';
import { FrameSplitter, type InProcessChannel } from '@millrace/protocol';
import type { ScriptedBroker } from './scripted-broker.ts';

/** Scripted brokers at addresses, over byte streams whose sending side may be held back, as TCP holds back who is not read. */
export class ScriptedNetwork implements Network {
  /** `host:port` → broker; one that is not here refuses connections. */
  readonly brokers: Map<string, ScriptedBroker> = new Map();
  readonly #connections = new Set<ScriptedConnection>();
  readonly #heldBack = new Set<string>();

  listen(): Promise<never> {
    return Promise.reject(new Error('brokers are scripted'));
  }

  connect({ host, port }: ConnectOptions): Promise<Connection> {
    const broker = this.brokers.get(`${host}:${port}`);
    if (broker === undefined) return Promise.reject(new NetworkError('Cannot connect to', host, port));
    const connection = new ScriptedConnection(`${host}:${port}`, broker.dial());
    connection.holdBack(this.#heldBack.has(connection.remoteAddress));
    this.#connections.add(connection);
    return Promise.resolve(connection);
  }

  /** While held back, what is written to this address stays in the process. */
  holdBack(address: string, isHeldBack: boolean): void {
    if (isHeldBack) this.#heldBack.add(address);
    else this.#heldBack.delete(address);
    for (const connection of this.#connections) {
      if (connection.remoteAddress === address) connection.holdBack(isHeldBack);
    }
  }
}

class ScriptedConnection implements Connection {
  readonly remoteAddress: string;
  readonly #channel: InProcessChannel;
  readonly #splitter = new FrameSplitter({ maxFrameBytes: 2 ** 30 });
  #written: Uint8Array[] = [];
  #isHeldBack = false;
  #onDrain: () => void = () => {};
  #onClose: (reason?: Error) => void = () => {};
  #isClosed = false;

  constructor(remoteAddress: string, channel: InProcessChannel) {
    this.remoteAddress = remoteAddress;
    this.#channel = channel;
  }

  get bufferedBytes(): number {
    return this.#written.reduce((sum, part) => sum + part.length, 0);
  }

  onData(listener: (chunk: Uint8Array) => void): void {
    this.#channel.onFrame((frame) => {
      const prefix = Buffer.alloc(4);
      prefix.writeInt32BE(frame.length);
      listener(Buffer.concat([prefix, frame]));
    });
  }

  onDrain(listener: () => void): void {
    this.#onDrain = listener;
  }

  onClose(listener: (reason?: Error) => void): void {
    this.#onClose = listener;
    this.#channel.onClose((reason) => this.#closed(reason));
  }

  write(parts: readonly Uint8Array[]): void {
    this.#written.push(...parts);
    this.#send();
  }

  holdBack(isHeldBack: boolean): void {
    const wasHeldBack = this.#isHeldBack;
    this.#isHeldBack = isHeldBack;
    this.#send();
    if (wasHeldBack && !isHeldBack) this.#onDrain();
  }

  pause(): void {}

  resume(): void {}

  end(): void {
    this.destroy();
  }

  destroy(reason?: Error): void {
    this.#written = [];
    this.#channel.close();
    this.#closed(reason);
  }

  #send(): void {
    if (this.#isHeldBack || this.#written.length === 0) return;
    const bytes = Buffer.concat(this.#written);
    this.#written = [];
    this.#splitter.push(bytes, (frame) => this.#channel.send(frame.slice()));
  }

  #closed(reason?: Error): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#onClose(reason);
  }
}

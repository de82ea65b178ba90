import type { Clock } from '../clock.ts';
import { NetworkError, PortInUseError } from '../errors.ts';
import type { Connection, ConnectOptions, ListenOptions, Network, NetworkListener } from '../network.ts';
import type { SeededRandom } from './seeded-random.ts';

export interface SimulatedNetworkOptions {
  readonly clock: Clock;
  readonly random: SeededRandom;
  /** A chunk takes between these, uniformly; chunks of one direction stay in order. Defaults 0 and 1. */
  readonly minLatencyMs?: number | undefined;
  readonly maxLatencyMs?: number | undefined;
  /** Each write is cut into chunks at random places, as TCP may. Default true. */
  readonly isFragmenting?: boolean | undefined;
}

interface Listener {
  readonly accept: (connection: Connection) => void;
  readonly admit: ListenOptions['admit'];
}

/**
 * Hosts that are only names, and connections whose bytes take time, arrive in pieces, and can be cut. What was under way when
 * a connection is cut is lost, on both sides.
 */
export class SimulatedNetwork implements Network {
  readonly #clock: Clock;
  readonly #random: SeededRandom;
  readonly #minLatencyMs: number;
  readonly #maxLatencyMs: number;
  readonly #isFragmenting: boolean;
  readonly #listeners = new Map<string, Listener>();
  readonly #pairs = new Set<ConnectionPair>();
  #isPartitioned = false;
  #nextPort = 40_000;

  constructor(options: SimulatedNetworkOptions) {
    this.#clock = options.clock;
    this.#random = options.random;
    this.#minLatencyMs = options.minLatencyMs ?? 0;
    this.#maxLatencyMs = options.maxLatencyMs ?? 1;
    this.#isFragmenting = options.isFragmenting ?? true;
  }

  listen(options: ListenOptions, accept: (connection: Connection) => void): Promise<NetworkListener> {
    const port = options.port === 0 ? this.#nextPort++ : options.port;
    const address = `${options.host}:${port}`;
    if (this.#listeners.has(address)) {
      return Promise.reject(new PortInUseError(options.host, port, new Error('a simulated listener is there')));
    }
    const listener = { accept, admit: options.admit };
    this.#listeners.set(address, listener);
    return Promise.resolve({
      port,
      close: () => {
        if (this.#listeners.get(address) === listener) this.#listeners.delete(address);
        return Promise.resolve();
      },
    });
  }

  connect(options: ConnectOptions): Promise<Connection> {
    const { host, port } = options;
    return new Promise((resolve, reject) => {
      if (this.#isPartitioned) {
        // Packets vanish: nobody says no, the caller's patience ends.
        this.#clock.after(options.timeoutMs, () => reject(new NetworkError('Cannot connect to', host, port)));
        return;
      }
      this.#clock.after(this.latencyMs(), () => {
        const listener = this.#listeners.get(`${host}:${port}`);
        if (listener === undefined) return reject(new NetworkError('Cannot connect to', host, port));
        const clientAddress = `client:${this.#nextPort++}`;
        const closed = listener.admit === undefined ? () => {} : listener.admit(clientAddress);
        const pair = new ConnectionPair(this, this.#clock, clientAddress, `${host}:${port}`, () => {
          if (this.#pairs.delete(pair)) closed?.();
        });
        this.#pairs.add(pair);
        if (closed === undefined) pair.cut();
        else listener.accept(pair.server);
        resolve(pair.client);
      });
    });
  }

  /** Open connections. */
  get connectionCount(): number {
    return this.#pairs.size;
  }

  /** Cuts every open connection: both ends see an error, bytes under way are lost. */
  cutAll(): void {
    for (const pair of this.#pairs) pair.cut(new Error('connection reset (simulated)'));
  }

  /** Cuts one open connection, chosen by the seed. */
  cutOne(): void {
    const pairs = [...this.#pairs];
    if (pairs.length > 0) pairs[this.#random.below(pairs.length)]!.cut(new Error('connection reset (simulated)'));
  }

  /** While partitioned, nothing is delivered and nobody can connect; what was sent arrives after the healing. */
  setPartitioned(isPartitioned: boolean): void {
    this.#isPartitioned = isPartitioned;
    if (!isPartitioned) for (const pair of this.#pairs) pair.kick();
  }

  /** @internal */
  get isPartitioned(): boolean {
    return this.#isPartitioned;
  }

  /** @internal */
  latencyMs(): number {
    return this.#minLatencyMs + this.#random.next() * (this.#maxLatencyMs - this.#minLatencyMs);
  }

  /** @internal */
  fragments(bytes: Uint8Array): readonly Uint8Array[] {
    if (!this.#isFragmenting || bytes.length < 2 || this.#random.chance(0.5)) return [bytes];
    const cut = 1 + this.#random.below(bytes.length - 1);
    return [bytes.subarray(0, cut), bytes.subarray(cut)];
  }
}

class ConnectionPair {
  readonly client: SimulatedConnection;
  readonly server: SimulatedConnection;
  readonly #onGone: () => void;

  constructor(
    network: SimulatedNetwork,
    clock: Clock,
    clientAddress: string,
    serverAddress: string,
    onGone: () => void,
  ) {
    this.#onGone = onGone;
    this.client = new SimulatedConnection(network, clock, serverAddress, this);
    this.server = new SimulatedConnection(network, clock, clientAddress, this);
    this.client.peer = this.server;
    this.server.peer = this.client;
  }

  cut(reason?: Error): void {
    this.#onGone();
    this.client.closed(reason);
    this.server.closed(reason);
  }

  kick(): void {
    this.client.deliver();
    this.server.deliver();
  }
}

/** The receiving half holds the chunks under way to it. */
class SimulatedConnection implements Connection {
  readonly remoteAddress: string;
  peer!: SimulatedConnection;
  readonly #network: SimulatedNetwork;
  readonly #clock: Clock;
  readonly #pair: ConnectionPair;
  readonly #incoming: { readonly atMs: number; readonly chunk: Uint8Array | 'end' }[] = [];
  #lastArrivalMs = 0;
  #sentBytes = 0;
  #isPaused = false;
  #isClosed = false;
  #onData: (chunk: Uint8Array) => void = () => {};
  #onDrain: () => void = () => {};
  #onClose: (reason?: Error) => void = () => {};

  constructor(network: SimulatedNetwork, clock: Clock, remoteAddress: string, pair: ConnectionPair) {
    this.#network = network;
    this.#clock = clock;
    this.remoteAddress = remoteAddress;
    this.#pair = pair;
  }

  onData(listener: (chunk: Uint8Array) => void): void {
    this.#onData = listener;
  }

  onDrain(listener: () => void): void {
    this.#onDrain = listener;
  }

  onClose(listener: (reason?: Error) => void): void {
    this.#onClose = listener;
  }

  write(parts: readonly Uint8Array[]): void {
    if (this.#isClosed) return;
    for (const part of parts) {
      if (part.length === 0) continue;
      // A copy (a Buffer's own `slice` is none): the network owns what is under way, whatever becomes of the sender's memory.
      for (const fragment of this.#network.fragments(part)) this.peer.#enqueue(Uint8Array.from(fragment));
      this.#sentBytes += part.length;
    }
  }

  get bufferedBytes(): number {
    return this.#sentBytes;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#clock.after(0, () => this.deliver());
  }

  end(): void {
    if (!this.#isClosed) this.peer.#enqueue('end');
  }

  destroy(reason?: Error): void {
    if (!this.#isClosed) this.#pair.cut(reason);
  }

  #enqueue(chunk: Uint8Array | 'end'): void {
    // In order: a chunk arrives no earlier than the one before it.
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, this.#clock.monotonic() + this.#network.latencyMs());
    this.#incoming.push({ atMs: this.#lastArrivalMs, chunk });
    this.#clock.after(this.#lastArrivalMs - this.#clock.monotonic(), () => this.deliver());
  }

  deliver(): void {
    while (!this.#isClosed && !this.#isPaused && !this.#network.isPartitioned) {
      const next = this.#incoming[0];
      if (next === undefined || next.atMs > this.#clock.monotonic()) return;
      this.#incoming.shift();
      if (next.chunk === 'end') return this.#pair.cut();
      this.peer.#sentBytes -= next.chunk.length;
      this.#onData(next.chunk);
      if (this.peer.#sentBytes === 0 && !this.peer.#isClosed) this.peer.#onDrain();
    }
  }

  closed(reason?: Error): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#incoming.length = 0;
    this.#clock.after(0, () => this.#onClose(reason));
  }
}

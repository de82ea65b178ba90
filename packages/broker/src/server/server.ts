import type { Clock, Connection, Logger, Network, NetworkListener } from '@millrace/platform';
import type { InProcessChannel } from '@millrace/protocol';
import type { TlsOptions } from 'node:tls';
import type { BrokerConfig } from '../core/broker-config.ts';
import type { HandlerRegistry } from '../kafka/handler.ts';
import { inProcessPair } from './in-process-transport.ts';
import { Session, type SessionHost } from './session.ts';
import { Traffic } from './traffic.ts';
import { SocketTransport } from './transport.ts';

/** Where a server listens. */
export interface Endpoint {
  readonly port: number;
  readonly host: string;
  /** What clients are told to connect to; without a port: the one it listens on. */
  readonly advertised: { readonly host: string; readonly port: number | undefined };
  readonly tls: TlsOptions | undefined;
}

/** How long a connection that ends may take until it is cut, in ms. */
const endingGraceMs = 1000;

/** Accepts connections and holds them to their limits. */
export class Server {
  readonly traffic: Traffic = new Traffic();
  readonly #clock: Clock;
  readonly #network: Network;
  readonly #logger: Logger;
  readonly #config: BrokerConfig;
  readonly #host: SessionHost;
  readonly #sessions: Set<Session> = new Set<Session>();
  readonly #countByHost: Map<string, number> = new Map<string, number>();
  readonly #listeners: NetworkListener[] = [];
  #advertised: { readonly host: string; readonly port: number } | undefined;
  #socketCount = 0;
  #toFlush: Session[] = [];
  #cancelSweep: (() => void) | undefined;
  #isReconsidering = false;
  /** Somebody may have been held back since those that are were told to look again. */
  #wasShort = false;
  #isClosed = false;
  #onLastClosed: (() => void) | undefined;

  constructor(options: {
    readonly clock: Clock;
    readonly network: Network;
    readonly logger: Logger;
    readonly config: BrokerConfig;
    readonly handlers: () => HandlerRegistry;
  }) {
    const { clock, config, handlers, logger } = options;
    this.#clock = clock;
    this.#network = options.network;
    this.#logger = logger;
    this.#config = config;
    this.#host = {
      handlers,
      logger,
      traffic: this.traffic,
      limits: {
        maxRequestBytes: config['millrace.request.max.bytes'],
        maxInFlightBytes: config['millrace.connection.max.in.flight.bytes'],
        maxInFlightRequests: config['millrace.connection.max.in.flight.requests'],
        maxQueuedResponseBytes: config['millrace.connection.max.queued.response.bytes'],
      },
      nowMs: () => clock.monotonic(),
      flushLater: (session) => this.#flushLater(session),
      isShortOfMemory: () => this.#isShortOfMemory(),
      memoryFreed: () => this.#reconsiderAll(),
      closed: (session, reason) => this.#onSessionClosed(session, reason),
    };
  }

  /** Resolves when connections are accepted, with the address that it listens on. @throws `PortInUseError`, `NetworkError` */
  async listen(endpoint: Endpoint): Promise<{ readonly host: string; readonly port: number }> {
    let advertised = { host: endpoint.advertised.host, port: endpoint.advertised.port ?? endpoint.port };
    const tls =
      endpoint.tls === undefined
        ? undefined
        : { handshakeTimeout: this.#config['connection.failed.handshake.timeout.ms'], ...endpoint.tls };
    const admit = (remoteAddress: string): (() => void) | undefined => this.#admit(remoteAddress);
    const listener = await this.#network.listen(
      { port: endpoint.port, host: endpoint.host, tls, admit },
      (connection) => this.#accept(connection, advertised),
    );
    advertised = { ...advertised, port: endpoint.advertised.port ?? listener.port };
    this.#advertised ??= advertised;
    this.#listeners.push(listener);
    return { host: endpoint.host, port: listener.port };
  }

  /** A connection from within the process. It is told what the first listener advertises. */
  dial(): InProcessChannel {
    const { transport, channel } = inProcessPair(this.#clock);
    const advertised = this.#advertised ?? { host: '127.0.0.1', port: 0 };
    this.#sessions.add(new Session(transport, this.#host, { advertised, isLocal: true }));
    return channel;
  }

  get connectionCount(): number {
    return this.#sessions.size;
  }

  /** Bytes that responses may still take before the broker holds too many that nobody reads. */
  get responseBudgetBytes(): number {
    return Math.max(0, this.#config['millrace.queued.max.response.bytes'] - this.traffic.heldResponseBytes);
  }

  /** Accepts nothing more and begins nothing more. Requests that are in flight are still answered. */
  async stopAccepting(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#listeners.map((listener) => listener.close()));
    for (const session of this.#sessions) session.drain();
  }

  /** Resolves when all connections have ended, at the latest after `timeoutMs`. */
  async close(timeoutMs: number): Promise<void> {
    if (this.#sessions.size > 0) {
      await new Promise<void>((resolve) => {
        const cancel = this.#clock.after(timeoutMs, () => {
          for (const session of this.#sessions) session.destroy();
          resolve();
        });
        // What is answered may still linger: a peer that never closes its side is cut sooner.
        const cancelGrace = this.#clock.after(Math.min(timeoutMs, endingGraceMs), () => {
          for (const session of this.#sessions) if (session.isIdle) session.destroy();
        });
        this.#onLastClosed = () => {
          cancel();
          cancelGrace();
          resolve();
        };
      });
    }
    this.#cancelSweep?.();
  }

  /** The broker cannot go on: cuts every connection, and accepts none. */
  abort(): void {
    this.#isClosed = true;
    for (const listener of this.#listeners) void listener.close();
    for (const session of this.#sessions) session.destroy();
  }

  /** Counts a connection from before its handshake on. Gives what counts it no more; undefined: there are too many. */
  #admit(remoteAddress: string): (() => void) | undefined {
    const host = hostOf(remoteAddress);
    const fromHost = this.#countByHost.get(host) ?? 0;
    const isFull = this.#socketCount >= this.#config['max.connections'];
    if (this.#isClosed || isFull || fromHost >= this.#config['max.connections.per.ip']) {
      this.traffic.refusedCount++;
      const limit = isFull ? 'max.connections' : 'max.connections.per.ip';
      if (!this.#isClosed) this.#logger.warn({ client: remoteAddress, limit }, 'a connection was refused');
      return undefined;
    }
    this.#socketCount++;
    this.#countByHost.set(host, fromHost + 1);
    return () => {
      this.#socketCount--;
      const left = this.#countByHost.get(host)! - 1;
      if (left > 0) this.#countByHost.set(host, left);
      else this.#countByHost.delete(host);
    };
  }

  #accept(connection: Connection, advertised: { readonly host: string; readonly port: number }): void {
    if (this.#isClosed) {
      connection.destroy(); // its handshake took longer
      return;
    }
    let session: Session | undefined;
    const transport = new SocketTransport(connection, {
      maxFrameBytes: this.#config['socket.request.max.bytes'],
      onChunk: (byteLength) => {
        session!.chunkReceived(byteLength);
        if (this.#isShortOfMemory()) this.#relieve();
      },
    });
    session = new Session(transport, this.#host, { advertised, isLocal: false });
    this.#sessions.add(session);
    if (this.#cancelSweep === undefined) this.#scheduleSweep();
  }

  #onSessionClosed(session: Session, reason: Error | undefined): void {
    this.#sessions.delete(session);
    if (reason !== undefined) {
      this.#logger.info({ client: session.clientHost, reason: reason.message }, 'a connection broke');
    }
    if (this.#sessions.size === 0) this.#onLastClosed?.();
  }

  #flushLater(session: Session): void {
    if (this.#toFlush.push(session) > 1) return;
    this.#clock.defer(() => {
      const sessions = this.#toFlush;
      this.#toFlush = [];
      for (const each of sessions) each.flush();
    });
  }

  #isShortOfMemory(): boolean {
    const isShort = this.traffic.heldRequestBytes > this.#config['queued.max.request.bytes'];
    if (isShort) this.#wasShort = true;
    return isShort;
  }

  /** Memory was freed: those that were held back look again, in a turn of their own. */
  #reconsiderAll(): void {
    if (this.#isReconsidering || !this.#wasShort) return;
    if (this.#isShortOfMemory()) return;
    this.#wasShort = false;
    this.#isReconsidering = true;
    this.#clock.defer(() => {
      this.#isReconsidering = false;
      for (const session of this.#sessions) session.reconsider();
    });
  }

  /**
   * Requests hold too much memory. Those that have begun are answered before long, and that frees it. Where it is held by requests
   * that are still coming, all of them could wait for each other for ever; those behind a fetch wait as long as it likes: the
   * connection that has most goes.
   */
  #relieve(): void {
    let notBegunBytes = 0;
    let largest: Session | undefined;
    for (const session of this.#sessions) {
      if (session.isLocal) continue;
      notBegunBytes += session.notBegunBytes;
      if (session.notBegunBytes > (largest?.notBegunBytes ?? 0)) largest = session;
    }
    if (largest === undefined || notBegunBytes <= this.#config['queued.max.request.bytes'] / 2) return;
    this.traffic.refusedCount++;
    this.#logger.warn(
      { client: largest.clientHost, notBegunBytes: largest.notBegunBytes, limit: 'queued.max.request.bytes' },
      'a connection is closed: requests that have not begun hold too much memory, and it has most of them',
    );
    largest.destroy();
  }

  #scheduleSweep(): void {
    const idleMs = this.#config['connections.max.idle.ms'];
    const handshakeMs = this.#config['connection.failed.handshake.timeout.ms'];
    const intervalMs = Math.min(5000, Math.max(10, Math.min(idleMs, handshakeMs) / 4));
    this.#cancelSweep = this.#clock.after(intervalMs, () => {
      this.#sweep(idleMs, handshakeMs);
      this.#cancelSweep = undefined;
      if (this.#socketCount > 0) this.#scheduleSweep();
    });
  }

  /** Closes what is idle, what never said anything, and, when too many answers lie unread, who leave most of them. */
  #sweep(idleMs: number, handshakeMs: number): void {
    const nowMs = this.#clock.monotonic();
    const unread: Session[] = [];
    for (const session of this.#sessions) {
      if (session.isLocal) continue;
      const sinceMs = nowMs - session.lastActivityMs;
      // A parked request is no idleness; answers that nobody reads are.
      if (session.inFlightCount === 0 && sinceMs >= (session.isNew ? Math.min(idleMs, handshakeMs) : idleMs)) {
        session.destroy();
      } else if (sinceMs >= endingGraceMs && session.heldResponseBytes > 0) {
        unread.push(session);
      }
    }
    const limit = 'millrace.queued.max.response.bytes';
    let excessBytes = this.traffic.heldResponseBytes - this.#config[limit];
    for (const session of unread.toSorted((a, b) => b.heldResponseBytes - a.heldResponseBytes)) {
      if (excessBytes < 0) return;
      const unreadBytes = session.heldResponseBytes;
      excessBytes -= unreadBytes;
      this.traffic.refusedCount++;
      this.#logger.warn(
        { client: session.clientHost, unreadBytes, limit },
        'a connection is closed: unread answers hold too much memory, and it has the most',
      );
      session.destroy();
    }
  }
}

/** Without its port. */
function hostOf(remoteAddress: string): string {
  return remoteAddress.slice(0, remoteAddress.lastIndexOf(':'));
}

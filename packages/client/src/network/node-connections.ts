import { delay } from '@millrace/platform';
import { ClosedError } from '../errors.ts';
import { formatAddress } from './addresses.ts';
import { Backoff } from './backoff.ts';
import type { ClusterClient } from './cluster-client.ts';
import type { KafkaConnection } from './connection.ts';

const reconnectBackoffMs = 50;
const reconnectBackoffMaxMs = 1_000;

interface Slot {
  address: string;
  connection: KafkaConnection | undefined;
  connecting: Promise<KafkaConnection> | undefined;
  readonly backoff: Backoff;
  /** Not before this, by the monotonic clock. */
  retryAtMs: number;
}

/**
 * One connection to each node, for one user. A broker answers the requests of a connection one after another, so a member
 * that waits in JoinGroup, or a fetch that waits for data, must not share one with others.
 */
export class NodeConnections {
  readonly #cluster: ClusterClient;
  readonly #slots = new Map<number, Slot>();
  readonly #closing = new AbortController();

  constructor(cluster: ClusterClient) {
    this.#cluster = cluster;
  }

  get isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  /** The open connection to a node, if there is one: for callers that cannot wait. */
  opened(nodeId: number): KafkaConnection | undefined {
    const slot = this.#slots.get(nodeId);
    if (slot?.connection === undefined || slot.connection.isClosed) return undefined;
    return slot.address === this.#addressOf(nodeId) ? slot.connection : undefined;
  }

  /** Any that is open. */
  anyOpened(): KafkaConnection | undefined {
    for (const nodeId of this.#slots.keys()) {
      const connection = this.opened(nodeId);
      if (connection !== undefined) return connection;
    }
    return undefined;
  }

  /** Connects if need be; after a failure not sooner than the backoff. @throws `NetworkError`, `SASL_AUTHENTICATION_FAILED` */
  async to(nodeId: number): Promise<KafkaConnection> {
    const opened = this.opened(nodeId);
    if (opened !== undefined) return opened;
    const slot = this.#slot(nodeId);
    slot.connecting ??= this.#connect(nodeId, slot).finally(() => {
      slot.connecting = undefined;
    });
    return await slot.connecting;
  }

  close(): void {
    if (this.isClosed) return;
    this.#closing.abort();
    for (const slot of this.#slots.values()) slot.connection?.close();
  }

  async #connect(nodeId: number, slot: Slot): Promise<KafkaConnection> {
    const { clock } = this.#cluster.platform;
    slot.connection?.close();
    slot.connection = undefined;
    const waitMs = slot.retryAtMs - clock.monotonic();
    if (waitMs > 0) await delay(clock, waitMs, this.#closing.signal);
    if (this.isClosed) throw new ClosedError('client');
    try {
      slot.address = this.#addressOf(nodeId);
      const connection = await this.#cluster.dialNode(nodeId, this.#closing.signal);
      if (this.isClosed) {
        connection.close();
        throw new ClosedError('client');
      }
      slot.connection = connection;
      slot.backoff.reset();
      // A connection that is lost right away again is a failure too.
      slot.retryAtMs = clock.monotonic() + reconnectBackoffMs;
      return connection;
    } catch (error) {
      slot.retryAtMs = clock.monotonic() + slot.backoff.nextMs();
      throw error;
    }
  }

  #addressOf(nodeId: number): string {
    const address = this.#cluster.metadata.brokers.get(nodeId);
    return address === undefined ? '' : formatAddress(address);
  }

  #slot(nodeId: number): Slot {
    let slot = this.#slots.get(nodeId);
    if (slot === undefined) {
      const backoff = new Backoff(this.#cluster.platform.random, reconnectBackoffMs, reconnectBackoffMaxMs);
      slot = { address: '', connection: undefined, connecting: undefined, backoff, retryAtMs: 0 };
      this.#slots.set(nodeId, slot);
    }
    return slot;
  }
}

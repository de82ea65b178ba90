import { silentLogger, systemClock, systemRandom, type Clock, type Logger, type Random } from '@millrace/platform';
import type { BackendStore, StateStoreBackend, StoreSpec } from '@millrace/streams/state';
import type { Redis } from 'ioredis';
import { connect, refuseEviction } from './connection.ts';
import { ClosedError } from './errors.ts';
import { directoryKey, layoutVersion, type StoreDescription } from './layout.ts';
import { RedisStore } from './redis-store.ts';
import { persistently } from './refusals.ts';

/** Where a Redis is. */
export interface RedisConnection {
  /** `redis://host:6379/0`, or `rediss://` for TLS. */
  readonly url: string;
  /** Before every key: lets several systems share a Redis. Default `millrace`. */
  readonly prefix?: string | undefined;
}

export interface RedisStoreOptions extends RedisConnection {
  /** Hears of lost connections and refused commands. Default: silent. */
  readonly logger?: Logger | undefined;
  /** Default: the machine's. */
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
}

/**
 * Stores in Redis 7 or Valkey, one node, where other services may read them (`openView`). Give it to `Streams.start` as `store`
 * or in `stores`.
 *
 * The changelog stays the truth. A commit is one script call for up to 5,000 changes, which applies them and moves the watermark
 * only for the owner of the partition and only in sequence; every read is checked against the watermark. A Redis that has lost
 * data is filled again from the changelog.
 * @throws {EvictionEnabledError} when a store is opened in a Redis whose `maxmemory-policy` may evict our keys
 * @example Streams.start(topology, { cluster, store: redis({ url: 'redis://localhost:6379' }) });
 */
export function redis(options: RedisStoreOptions): StateStoreBackend {
  return new RedisBackend(options);
}

class RedisBackend implements StateStoreBackend {
  readonly kind = 'redis';
  readonly #options: RedisStoreOptions;
  /** Made with the first store: a backend that is only named costs nothing. */
  #redis: Redis | undefined;
  readonly #seenEpochs = new Map<string, number>();
  readonly #closing = new AbortController();

  constructor(options: RedisStoreOptions) {
    this.#options = options;
  }

  async openStore(spec: StoreSpec): Promise<BackendStore> {
    if (this.#closing.signal.aborted) throw new ClosedError('The Redis backend');
    const {
      url,
      prefix = defaultPrefix,
      logger = silentLogger,
      clock = systemClock(),
      random = systemRandom(),
    } = this.#options;
    this.#redis ??= connect(url, logger);
    const connection = this.#redis;
    const around = { clock, logger, signal: this.#closing.signal };
    await persistently(`The store ${spec.name}`, () => refuseEviction(connection, url), around);
    const description: StoreDescription = {
      layout: layoutVersion,
      kind: spec.kind,
      partitions: spec.partitionCount,
      key: spec.keySerde,
      value: spec.valueSerde,
    };
    const directory = directoryKey({ prefix, applicationId: spec.applicationId });
    const announce = (): Promise<unknown> => connection.hset(directory, { [spec.name]: JSON.stringify(description) });
    await persistently(`The store ${spec.name}`, announce, around);
    const seenEpochs = this.#seenEpochs;
    return new RedisStore({ redis: connection, prefix, spec, announce, clock, random, logger, seenEpochs });
  }

  close(): Promise<void> {
    this.#closing.abort();
    this.#redis?.disconnect();
    return Promise.resolve();
  }
}

export const defaultPrefix = 'millrace';

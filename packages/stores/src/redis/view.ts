import { delay, silentLogger, systemClock, type Clock, type Logger } from '@millrace/platform';
import { partitionOf } from '@millrace/client/bytes';
import { recordHeaders, type Serde, type SerdeContext } from '@millrace/serde';
import type { ReadOptions } from '@millrace/streams';
import type { Redis } from 'ioredis';
import { defaultPrefix, type RedisConnection } from './backend.ts';
import { connect } from './connection.ts';
import { ClosedError, StoreNotFoundError, ViewTimeoutError } from './errors.ts';
import {
  directoryKey,
  fieldOf,
  keyOf,
  layoutVersion,
  mainKey,
  marks,
  readMs,
  type StoreDescription,
} from './layout.ts';

export interface RedisViewOptions<K, V> extends RedisConnection {
  readonly applicationId: string;
  /** Name of a key-value store of that application. */
  readonly store: string;
  readonly key: Serde<K>;
  /** Of the store. */
  readonly value: Serde<V>;
  readonly signal?: AbortSignal | undefined;
  /** Hears of lost connections. Default: silent. */
  readonly logger?: Logger | undefined;
  /** Default: the machine's. */
  readonly clock?: Clock | undefined;
}

/** A row, and how old it may be. */
export interface RedisAnswer<T> {
  readonly value: T;
  /** Event time of the row; undefined where there is no row. */
  readonly timestampMs: number | undefined;
  /** Broker time of the last record that its partition of the store reflects. */
  readonly asOfMs: number;
}

/** A store as other services read it: what its owner has committed, a commit's delay behind it. */
export interface RedisView<K, V> extends AsyncDisposable {
  /**
   * Waits while the store is being rebuilt and, with `after`, until it reflects that position of its input.
   * @throws {ViewTimeoutError}
   */
  get(key: K, options?: ReadOptions): Promise<RedisAnswer<V | undefined>>;
  /** Rows with encoded keys from `from` to `to`, both included, in any order: it reads the whole store. */
  range(from: K, to: K): AsyncIterable<readonly [K, V]>;
  /** Every row, in any order. One that is written meanwhile may come twice. */
  all(): AsyncIterable<readonly [K, V]>;
  close(): Promise<void>;
}

/**
 * Reads a store from any service: no pipeline, no broker, only Redis and the names. Keys are looked up where the default
 * partitioner puts them.
 * @throws {StoreNotFoundError} no application has opened such a store in this Redis, or it is of another layout or kind
 * @example
 * await using points = await openView({ url, applicationId: 'loyalty', store: 'points', key: string, value: json(Points) });
 * const { value } = await points.get('ada');
 */
export async function openView<K, V>(options: RedisViewOptions<K, V>): Promise<RedisView<K, V>> {
  const { url, prefix = defaultPrefix, applicationId, store, logger = silentLogger } = options;
  options.signal?.throwIfAborted();
  const redis = connect(url, logger);
  const abort = (): void => redis.disconnect();
  options.signal?.addEventListener('abort', abort, { once: true });
  try {
    const text = await redis.hget(directoryKey({ prefix, applicationId }), store);
    if (text === null) {
      const known = await redis.hkeys(directoryKey({ prefix, applicationId }));
      const others = known.length === 0 ? 'the application has none here' : `it has ${known.toSorted().join(', ')}`;
      throw new StoreNotFoundError(applicationId, store, `there is none of this name; ${others}`);
    }
    const description = JSON.parse(text) as StoreDescription;
    if (description.layout !== layoutVersion) {
      const reason = `its layout is ${description.layout}, this version reads ${layoutVersion}: use the same version for both`;
      throw new StoreNotFoundError(applicationId, store, reason);
    }
    if (description.kind !== 'keyValue') {
      throw new StoreNotFoundError(
        applicationId,
        store,
        'it holds windows; materialize a table of them to read it here',
      );
    }
    return new View(redis, options, description.partitions, options.clock ?? systemClock());
  } catch (error) {
    redis.disconnect();
    throw options.signal?.aborted ? options.signal.reason : error;
  } finally {
    options.signal?.removeEventListener('abort', abort);
  }
}

class View<K, V> implements RedisView<K, V> {
  readonly #redis: Redis;
  readonly #options: RedisViewOptions<K, V>;
  readonly #partitionCount: number;
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  readonly #keyContext: SerdeContext;
  readonly #valueContext: SerdeContext;

  constructor(redis: Redis, options: RedisViewOptions<K, V>, partitionCount: number, clock: Clock) {
    this.#redis = redis;
    this.#options = options;
    this.#partitionCount = partitionCount;
    this.#clock = clock;
    const topic = `${options.applicationId}-${options.store}-changelog`;
    this.#keyContext = { topic, part: 'key', headers: recordHeaders() };
    this.#valueContext = { topic, part: 'value', headers: recordHeaders() };
    options.signal?.addEventListener('abort', () => void this.close(), { once: true });
  }

  async get(key: K, { after, timeoutMs = 5000 }: ReadOptions = {}): Promise<RedisAnswer<V | undefined>> {
    let waitsFor = `Redis did not answer for the store ${this.#options.store}`;
    let cancel: (() => void) | undefined;
    const late = new Promise<never>((_, reject) => {
      cancel = this.#clock.after(timeoutMs, () => reject(new ViewTimeoutError(waitsFor, timeoutMs)));
    });
    const ended = new AbortController();
    try {
      // Commands of a lost connection wait in the driver, however long it takes: readers do not.
      return await Promise.race([late, this.#read(key, after, ended.signal, (what) => (waitsFor = what))]);
    } finally {
      ended.abort();
      cancel?.();
    }
  }

  async #read(
    key: K,
    after: ReadOptions['after'],
    ended: AbortSignal,
    onWait: (what: string) => void,
  ): Promise<RedisAnswer<V | undefined>> {
    const { key: keySerde } = this.#options;
    const keyBytes = keySerde.serialize(key, this.#keyContext);
    const hash = this.#hash(partitionOf(keySerde.partitionBytes?.(keyBytes) ?? keyBytes, this.#partitionCount));
    for (let attempt = 1; ; attempt++) {
      const [offset, building, timestamp, positions, row] = await this.#command(() =>
        this.#redis.hmgetBuffer(
          hash,
          marks.offset,
          marks.building,
          marks.timestamp,
          ...(after === undefined ? [marks.building] : [marks.positions]),
          fieldOf(keyBytes),
        ),
      );
      const isWhole = offset !== null && building === null;
      if (isWhole && (after === undefined || reflects(positions ?? null, after))) {
        return {
          value: row ? this.#options.value.deserialize(row.subarray(8), this.#valueContext) : undefined,
          timestampMs: row ? readMs(row, 0) : undefined,
          asOfMs: Number(timestamp?.toString() ?? 0),
        };
      }
      onWait(this.#reasonToWait(isWhole, after));
      await delay(this.#clock, 2 ** Math.min(attempt, 6), AbortSignal.any([ended, this.#closing.signal]));
      ended.throwIfAborted();
    }
  }

  async *range(from: K, to: K): AsyncGenerator<readonly [K, V]> {
    const first = this.#options.key.serialize(from, this.#keyContext);
    const last = this.#options.key.serialize(to, this.#keyContext);
    for await (const [key, value] of this.#rows()) {
      if (Buffer.compare(key, first) >= 0 && Buffer.compare(key, last) <= 0) yield this.#decode(key, value);
    }
  }

  async *all(): AsyncGenerator<readonly [K, V]> {
    for await (const [key, value] of this.#rows()) yield this.#decode(key, value);
  }

  close(): Promise<void> {
    this.#closing.abort();
    this.#redis.disconnect();
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async *#rows(): AsyncGenerator<readonly [key: Buffer, value: Buffer]> {
    for (let partition = 0; partition < this.#partitionCount; partition++) {
      let cursor = '0';
      do {
        const [next, flat] = await this.#command(() =>
          this.#redis.hscanBuffer(this.#hash(partition), cursor, 'COUNT', 500),
        );
        for (let i = 0; i < flat.length; i += 2) {
          const key = keyOf(flat[i]!);
          if (key !== undefined) yield [key, flat[i + 1]!.subarray(8)];
        }
        cursor = next.toString();
      } while (cursor !== '0');
    }
  }

  #decode(key: Buffer, value: Buffer): readonly [K, V] {
    return [
      this.#options.key.deserialize(key, this.#keyContext),
      this.#options.value.deserialize(value, this.#valueContext),
    ];
  }

  #hash(partition: number): string {
    const { prefix = defaultPrefix, applicationId, store } = this.#options;
    return mainKey({ prefix, applicationId, store }, partition);
  }

  async #command<T>(command: () => Promise<T>): Promise<T> {
    if (this.#closing.signal.aborted) throw new ClosedError(`The view of ${this.#options.store}`);
    try {
      return await command();
    } catch (error) {
      if (this.#closing.signal.aborted) throw new ClosedError(`The view of ${this.#options.store}`);
      throw error;
    }
  }

  #reasonToWait(isWhole: boolean, after: ReadOptions['after']): string {
    const { store, applicationId } = this.#options;
    if (!isWhole) return `The store ${store} of ${applicationId} was not whole again`;
    return `The store ${store} of ${applicationId} did not get to ${after?.topic}-${after?.partition}@${after?.offset}`;
  }
}

/** Whether the marks say that the input is read beyond this record. */
function reflects(positions: Buffer | null, after: NonNullable<ReadOptions['after']>): boolean {
  if (positions === null) return false;
  const next = (JSON.parse(positions.toString()) as Readonly<Record<string, number>>)[
    `${after.topic}-${after.partition}`
  ];
  return next !== undefined && next > after.offset;
}

import { inlineCompactor, workerCompactor } from '@millrace/log';
import {
  memoryFileSystem,
  nodePlatform,
  silentLogger,
  type Clock,
  type FileSystem,
  type Logger,
  type Platform,
} from '@millrace/platform';
import { prepareDecompression, type InProcessChannel, type InProcessEndpoint } from '@millrace/protocol';
import { BrokerCore } from './broker-core.ts';
import type { BrokerOptions } from './broker-options.ts';
import { brokerConfigFrom, type BrokerConfig } from './core/broker-config.ts';
import { BrokerClosedError, NotInMemoryError, NotListeningError } from './core/errors.ts';
import { DataDirectory } from './data-directory.ts';
import { MetricsReader, type BrokerMetrics, type MetricSources } from './metrics.ts';
import { Server } from './server/server.ts';
import { settingsOf, type Settings } from './settings.ts';

const defaultCloseTimeoutMs = 10_000;
const memoryDirectory = '/memory';

/**
 * An open broker. Give it to a client or a pipeline as its cluster: no socket, the same protocol, the same guarantees.
 *
 *     await using broker = await Broker.open({ data: './data', listen: { port: 9092 } });
 */
export class Broker implements InProcessEndpoint, AsyncDisposable {
  readonly #platform: Platform;
  readonly #logger: Logger;
  readonly #options: BrokerOptions;
  readonly #settings: Settings;
  readonly #config: BrokerConfig;
  readonly #directory: DataDirectory;
  readonly #server: Server;
  readonly #metrics: MetricsReader;
  readonly #onAbort: () => void;
  #core: BrokerCore | undefined;
  #addresses: readonly HostAndPort[] = [];
  #failure: Error | undefined;
  #closing: Promise<void> | undefined;
  /** Never rejects. */
  #resetting: Promise<void> = Promise.resolve();

  private constructor(parts: {
    readonly platform: Platform;
    readonly options: BrokerOptions;
    readonly settings: Settings;
    readonly config: BrokerConfig;
    readonly directory: DataDirectory;
  }) {
    const { platform, options, config, directory } = parts;
    this.#platform = platform;
    this.#settings = parts.settings;
    this.#logger = options.logger ?? silentLogger;
    this.#options = options;
    this.#config = config;
    this.#directory = directory;
    this.#server = new Server({
      clock: platform.clock,
      network: platform.network,
      logger: this.#logger,
      config,
      handlers: () => this.#core!.handlers, // nobody is connected before it is open
    });
    this.#metrics = new MetricsReader(platform.clock, () => this.#metricSources());
    this.#onAbort = () => {
      this.close().catch((error: unknown) => this.#logger.error({ error }, 'closing the broker failed'));
    };
  }

  /**
   * Recovers the logs, then listens.
   * @throws `DATA_DIR_LOCKED`: another broker has the directory
   * @throws `FILE_SYSTEM_ERROR`: the directory cannot be made, read or written
   * @throws `CORRUPT_LOG`: files contradict each other in a way that recovery cannot mend
   * @throws `UNKNOWN_TRANSACTION_STATE`: a later version has written to the directory
   * @throws `PORT_IN_USE`, `NETWORK_ERROR`: a listener's port is taken, or its host is none of this machine's
   * @throws `UNKNOWN_CONFIG`, `INVALID_CONFIG`: also for an option that cannot be what it is
   * @throws the reason of `signal`, if it aborts before the broker is open
   */
  static async open(options: BrokerOptions): Promise<Broker> {
    const config = brokerConfigFrom(options.config ?? {});
    const settings = settingsOf(options);
    options.signal?.throwIfAborted();
    const given = options.platform ?? nodePlatform();
    const { directory: path } = settings;
    const platform = path === undefined ? { ...given, files: memoryFileSystem(() => given.clock.now()) } : given;
    // Loading a module is real work, which a simulated world would not wait for. Recovery looks into no batch, so it need not wait.
    const prepared = options.platform === undefined ? prepareDecompression() : Promise.resolve();
    prepared.catch(() => {}); // seen by `#start`, if the directory lets it come so far
    const directory = await DataDirectory.open(path ?? memoryDirectory, platform.files);
    const broker = new Broker({ platform, options, settings, config, directory });
    try {
      await broker.#start(prepared);
    } catch (error) {
      await broker.#giveUp();
      throw error;
    }
    return broker;
  }

  async #start(prepared: Promise<void>): Promise<void> {
    const { signal } = this.#options;
    this.#core = await this.#openCore(this.#platform.files, this.#directory.closedCleanlyAt);
    await prepared;
    const addresses: HostAndPort[] = [];
    for (const endpoint of this.#settings.endpoints) addresses.push(await this.#server.listen(endpoint));
    this.#addresses = addresses;
    signal?.throwIfAborted();
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    this.#logger.info({ addresses, clusterId: this.clusterId }, 'the broker is open');
  }

  /** `host:port` of the first listener, where it listens: what it advertises may be another. @throws `NOT_LISTENING` */
  get address(): string {
    const first = this.#addresses[0];
    if (first === undefined) throw new NotListeningError();
    return first.host.includes(':') ? `[${first.host}]:${first.port}` : `${first.host}:${first.port}`;
  }

  /** 22 letters that name the data: they stay as long as the directory does. */
  get clusterId(): string {
    return this.#openCoreOrThrow().topics.clusterId;
  }

  /** The broker's figures now. Cheap enough to be asked every second. */
  metrics(): BrokerMetrics {
    return this.#metrics.read();
  }

  /**
   * Opens a connection within the process.
   * @throws `BROKER_CLOSED`: it was closed, or cannot go on (`cause` tells why)
   */
  dial(): InProcessChannel {
    this.#openCoreOrThrow();
    if (this.#failure !== undefined) throw new BrokerClosedError(this.#failure);
    return this.#server.dial();
  }

  /**
   * Forgets every topic, group and transaction: a clean broker between two tests. Connections stay; what they wait for is answered.
   * Of several calls at once each has a clean broker after it, one after the other.
   * @throws `NOT_IN_MEMORY` unless `data` is `'memory'`
   * @throws `BROKER_CLOSED`: it was closed, or is closed meanwhile
   */
  async reset(): Promise<void> {
    this.#openCoreOrThrow();
    const { directory } = this.#settings;
    if (directory !== undefined) throw new NotInMemoryError(directory);
    const reset = this.#resetting.then(() => this.#reset());
    this.#resetting = reset.catch(() => {});
    await reset;
  }

  async #reset(): Promise<void> {
    const before = this.#openCoreOrThrow();
    const files = memoryFileSystem(() => this.#platform.clock.now());
    const after = await this.#openCore(files, undefined, before.topics.clusterId);
    if (this.#closing !== undefined) {
      after.stop();
      await after.close();
      throw new BrokerClosedError(this.#failure);
    }
    // Every request from here on begins on the new one: behind what the old one has parked and now answers, nothing comes.
    this.#core = after;
    before.stop();
    await before.close();
  }

  /**
   * Answers what is in flight, syncs, closes. Idempotent. Requests that are not answered after `timeoutMs` (default 10,000) are cut.
   * @throws `KAFKA_STORAGE_ERROR` if the disk has failed
   */
  close(options: { readonly timeoutMs?: number | undefined } = {}): Promise<void> {
    this.#closing ??= this.#close(options.timeoutMs ?? defaultCloseTimeoutMs);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(timeoutMs: number): Promise<void> {
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    await this.#server.stopAccepting();
    this.#core?.stop();
    await this.#server.close(timeoutMs);
    const isDone = await within(this.#platform.clock, timeoutMs, this.#closeData());
    if (isDone) {
      this.#directory.release();
      this.#logger.info({}, 'the broker is closed');
      return;
    }
    // The lock stays with the process: whoever opened the directory now would write beside what is still under way.
    this.#logger.error({ timeoutMs }, 'the disk does not answer: the broker is closed without waiting for it');
  }

  async #closeData(): Promise<void> {
    await this.#resetting;
    const core = this.#core;
    if (core === undefined) return;
    try {
      await core.close();
      await this.#directory.markClean(core.topics.brokerEpoch);
    } catch (error) {
      this.#directory.release();
      throw error;
    }
  }

  /** Opening failed: what was opened is closed, and the first error is what counts. */
  async #giveUp(): Promise<void> {
    try {
      await this.close({ timeoutMs: 1000 });
    } catch (error) {
      this.#logger.error({ error }, 'closing after a failed start failed, too');
      this.#directory.release();
    }
  }

  #openCore(files: FileSystem, closedCleanlyAt: number | undefined, clusterId?: string): Promise<BrokerCore> {
    const { clock, random } = this.#platform;
    const { platform, config } = this.#options;
    const { directory, flush, tailCacheMaxBytes } = this.#settings;
    const dedupeBufferBytes = this.#config['log.cleaner.dedupe.buffer.size'];
    // A thread sees the machine's files only.
    const isOnMachine = directory !== undefined && platform === undefined;
    return BrokerCore.open({
      directory: this.#directory.path,
      files,
      clock,
      random,
      logger: this.#logger,
      config: this.#config,
      givenConfigs: new Set(Object.keys(config ?? {})),
      flush,
      tailCacheMaxBytes,
      closedCleanlyAt,
      clusterId,
      responseBudget: () => this.#server.responseBudgetBytes,
      onFailure: (error) => this.#onFailure(error),
      newCompactor: () =>
        isOnMachine ? workerCompactor({ dedupeBufferBytes }) : inlineCompactor(files, clock, { dedupeBufferBytes }),
    });
  }

  #openCoreOrThrow(): BrokerCore {
    if (this.#core === undefined || this.#closing !== undefined) throw new BrokerClosedError(this.#failure);
    return this.#core;
  }

  /** The disk has failed. Nothing more can be acknowledged, and clients that wait must not wait for ever. */
  #onFailure(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#logger.error({ error: error.stack }, 'the broker cannot go on: its connections are cut');
    this.#server.abort();
    this.#options.onFailure?.(error);
  }

  #metricSources(): MetricSources {
    const core = this.#openCoreOrThrow();
    return {
      traffic: this.#server.traffic,
      handlers: core.handlers,
      connectionCount: this.#server.connectionCount,
      topicCount: core.topics.topicCount,
      partitionCount: core.topics.partitionCount,
      logBytes: core.logBytes,
      parkedFetchCount: core.fetcher.parkedCount,
      tailCacheBytes: core.tailCache.usedBytes,
    };
  }
}

interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

/** Whether `task` is done in time. Its failure is thrown. */
async function within(clock: Clock, timeoutMs: number, task: Promise<void>): Promise<boolean> {
  let cancel = (): void => {};
  const timedOut = new Promise<false>((resolve) => (cancel = clock.after(timeoutMs, () => resolve(false))));
  try {
    return await Promise.race([task.then(() => true), timedOut]);
  } finally {
    cancel();
  }
}

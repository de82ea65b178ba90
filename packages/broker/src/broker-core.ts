import { GroupCommit, TailCache, type Compactor, type FlushMode, type PartitionLog } from '@millrace/log';
import type { Clock, FileSystem, Logger, Random } from '@millrace/platform';
import type { BrokerConfig } from './core/broker-config.ts';
import type { Coordinator, CoreServices } from './core/core-services.ts';
import { Fetcher } from './core/fetcher.ts';
import { Housekeeping } from './core/housekeeping.ts';
import { Topics } from './core/topics.ts';
import { HandlerRegistry } from './kafka/handler.ts';
import { createHandlers } from './kafka/handlers.ts';

export interface BrokerCoreOptions {
  readonly directory: string;
  readonly files: FileSystem;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly config: BrokerConfig;
  readonly givenConfigs: ReadonlySet<string>;
  readonly flush: FlushMode;
  readonly tailCacheMaxBytes: number;
  readonly closedCleanlyAt: number | undefined;
  /** Given to a data directory that has none yet. */
  readonly clusterId?: string | undefined;
  readonly responseBudget: () => number;
  readonly onFailure: (error: Error) => void;
  readonly newCompactor: () => Compactor;
}

/** Everything of a broker that stands on its data: topics, coordinators, and the handlers over them. */
export class BrokerCore {
  readonly topics: Topics;
  readonly fetcher: Fetcher;
  readonly handlers: HandlerRegistry;
  readonly tailCache: TailCache;
  readonly #commits: GroupCommit;
  readonly #coordinators: readonly Coordinator[];
  readonly #housekeeping: Housekeeping;

  private constructor(parts: {
    readonly topics: Topics;
    readonly fetcher: Fetcher;
    readonly handlers: HandlerRegistry;
    readonly tailCache: TailCache;
    readonly commits: GroupCommit;
    readonly coordinators: readonly Coordinator[];
    readonly housekeeping: Housekeeping;
  }) {
    this.topics = parts.topics;
    this.fetcher = parts.fetcher;
    this.handlers = parts.handlers;
    this.tailCache = parts.tailCache;
    this.#commits = parts.commits;
    this.#coordinators = parts.coordinators;
    this.#housekeeping = parts.housekeeping;
  }

  /** Recovers what is in the directory, and loads the coordinators. @throws `CorruptLogError`, `FileSystemError` */
  static async open(options: BrokerCoreOptions): Promise<BrokerCore> {
    const { clock, random, logger, config } = options;
    const { onFailure } = options;
    const commits = new GroupCommit({ flush: options.flush, clock, logger, onFailure });
    const tailCache = new TailCache({ maxBytes: options.tailCacheMaxBytes });
    const topics = await Topics.open({ ...options, commits, tailCache });
    let loading: readonly Coordinator[] = [];
    try {
      const fetcher = new Fetcher({ clock, responseBudget: options.responseBudget });
      const services: CoreServices = {
        clock,
        random,
        logger,
        config,
        partitions: topics,
        producerIds: topics.producerIds,
        nodeId: config['node.id'],
      };
      const { handlers, coordinators } = createHandlers(services, {
        topics,
        fetcher,
        config,
        givenConfigs: options.givenConfigs,
        logger,
      });
      loading = coordinators;
      for (const coordinator of coordinators) await coordinator.load();
      const housekeeping = new Housekeeping({
        clock,
        logger,
        config,
        logs: () => allLogs(topics),
        newCompactor: options.newCompactor,
      });
      housekeeping.start();
      const registry = new HandlerRegistry(handlers);
      return new BrokerCore({ topics, fetcher, handlers: registry, tailCache, commits, coordinators, housekeeping });
    } catch (error) {
      for (const coordinator of loading) coordinator.close();
      await topics.close().catch((closing: unknown) => logger.error({ error: closing }, 'closing the logs failed'));
      throw error;
    }
  }

  get logBytes(): number {
    let bytes = 0;
    for (const log of allLogs(this.topics)) bytes += log.sizeBytes;
    return bytes;
  }

  /** Answers what is parked: fetches, joins. */
  stop(): void {
    this.fetcher.close();
    for (const coordinator of this.#coordinators) coordinator.close();
  }

  /** Makes everything durable and closes the files. @throws `KafkaStorageError` */
  async close(): Promise<void> {
    await this.#housekeeping.close();
    try {
      await this.#commits.drain();
    } finally {
      await this.topics.close();
    }
  }
}

function* allLogs(topics: Topics): Iterable<PartitionLog> {
  yield topics.metadataLog;
  for (const topic of topics.all()) yield* topic.logs;
}

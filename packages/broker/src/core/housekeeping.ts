import type { Compactor, PartitionLog } from '@millrace/log';
import type { Clock, Logger } from '@millrace/platform';
import type { BrokerConfig } from './broker-config.ts';

/** What is done to all logs from time to time: retention, rolling, compaction. */
export class Housekeeping {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #config: BrokerConfig;
  readonly #logs: () => Iterable<PartitionLog>;
  readonly #newCompactor: () => Compactor;
  /** Logs whose compaction failed, and when it may be tried again. */
  readonly #notBefore: WeakMap<PartitionLog, number> = new WeakMap<PartitionLog, number>();
  readonly #cancel: Set<() => void> = new Set<() => void>();
  #compactor: Compactor | undefined;
  #compaction: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: {
    readonly clock: Clock;
    readonly logger: Logger;
    readonly config: BrokerConfig;
    readonly logs: () => Iterable<PartitionLog>;
    /** Called when there is something to compact, so that no thread is started before. */
    readonly newCompactor: () => Compactor;
  }) {
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#config = options.config;
    this.#logs = options.logs;
    this.#newCompactor = options.newCompactor;
  }

  start(): void {
    this.#every(this.#config['log.retention.check.interval.ms'], () => this.#enforceRetention());
    if (this.#config['log.cleaner.enable']) this.#every(this.#config['log.cleaner.backoff.ms'], () => this.#compact());
  }

  /** Gives up the compaction under way, if there is one: its log stays as it was. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const cancel of this.#cancel) cancel();
    await this.#compactor?.close();
    await this.#compaction;
  }

  #every(intervalMs: number, task: () => void): void {
    let cancel = (): void => {};
    const arm = (): void => {
      this.#cancel.delete(cancel);
      cancel = this.#clock.after(intervalMs, () => {
        if (this.#isClosed) return;
        task();
        arm();
      });
      this.#cancel.add(cancel);
    };
    arm();
  }

  #enforceRetention(): void {
    for (const log of this.#logs()) {
      try {
        log.enforceRetention();
      } catch (error) {
        this.#logger.error({ topic: log.topic, partition: log.partition, error }, 'retention failed');
      }
    }
  }

  #compact(): void {
    if (this.#compaction !== undefined) return;
    this.#compaction = this.#compactAll().finally(() => (this.#compaction = undefined));
  }

  /** The dirtiest first, until none is due: a pass each, since what was cleaned moves on meanwhile. */
  async #compactAll(): Promise<void> {
    const done = new Set<PartitionLog>();
    while (!this.#isClosed) {
      const log = this.#dirtiest(done);
      if (log === undefined) return;
      done.add(log);
      const startMs = this.#clock.monotonic();
      try {
        const { bytesBefore, bytesAfter } = await log.compact((this.#compactor ??= this.#newCompactor()));
        const tookMs = Math.round(this.#clock.monotonic() - startMs);
        this.#logger.info(
          { topic: log.topic, partition: log.partition, bytesBefore, bytesAfter, tookMs },
          'a log was compacted',
        );
      } catch (error) {
        if (this.#isClosed) return;
        // One log that cannot be compacted must not keep the others from it, nor be tried in a loop.
        this.#notBefore.set(log, this.#clock.monotonic() + 10 * this.#config['log.cleaner.backoff.ms']);
        this.#logger.error({ topic: log.topic, partition: log.partition, error }, 'compaction failed');
      }
    }
  }

  #dirtiest(except: ReadonlySet<PartitionLog>): PartitionLog | undefined {
    let best: PartitionLog | undefined;
    let bestRatio = -1;
    for (const log of this.#logs()) {
      if (!log.config.cleanupPolicy.startsWith('compact') || except.has(log)) continue;
      if ((this.#notBefore.get(log) ?? 0) > this.#clock.monotonic()) continue;
      const ratio = log.dirtyRatio;
      if (ratio === undefined || ratio < log.config.minCleanableDirtyRatio || ratio <= bestRatio) continue;
      best = log;
      bestRatio = ratio;
    }
    return best;
  }
}

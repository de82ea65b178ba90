import type { Cluster, ConsumerRecord } from '@millrace/client';
import type { Logger, Platform } from '@millrace/platform';
import type { Observable, SchedulerLike } from 'rxjs';
import type { KStream } from '../dsl/kstream.ts';
import { planOf, type Topology } from '../plan/topology.ts';
import type { StoreBackend, Stored } from '../stores.ts';
import { createTask } from '../task/task.ts';
import type { RecordFailure } from '../task/ports.ts';
import { AppRunner } from './app-runner.ts';
import type { StreamsMetrics } from './metrics.ts';
import type { RestoreProgress } from './restore.ts';

/** How a plan is run. Spelt as Kafka Streams spells its configs. */
export interface StreamsOptions {
  /** The one thing that differs between a laptop and a cluster: an embedded `Broker`, an address, several, or with TLS and SASL. */
  readonly cluster: Cluster;
  /** Default `'exactly_once_v2'`. `'at_least_once'` spares the transactions: lower latency, and duplicates after a crash. */
  readonly processingGuarantee?: 'exactly_once_v2' | 'at_least_once' | undefined;
  /** Default 100. It is longer while commits take more than a tenth of the time. */
  readonly commitIntervalMs?: number | undefined;
  /** Default `'interval'`. `'eager'` commits whenever the input is read to its end: for commands and replies. */
  readonly commit?: 'interval' | 'eager' | undefined;
  /** Run under another name: its own group, internal topics and state. Default: the plan's. */
  readonly applicationId?: string | undefined;

  /** Where stores are kept. Default `memory()`. */
  readonly store?: StoreBackend | undefined;
  /** The same for single stores, by name. */
  readonly stores?: Readonly<Record<string, StoreBackend>> | undefined;
  /** The cache of decoded objects before stores that are kept elsewhere, over all of them. Default 128 MiB. */
  readonly statestoreCacheMaxBytes?: number | undefined;
  /** Of internal topics. Default −1: the cluster's. */
  readonly replicationFactor?: number | undefined;

  /** Default 1000. When they are there, the partition is paused: that is the backpressure. */
  readonly bufferedRecordsPerPartition?: number | undefined;
  /** How long a task waits for data of its other inputs, to take records in the order of their times. Default 0. */
  readonly maxTaskIdleMs?: number | undefined;
  /** Static membership: a restart moves no partition, and takes up at once what a crash has left. */
  readonly groupInstanceId?: string | undefined;
  /** After this long without a sign of life an instance counts as dead, and its tasks move. Default 45 000. */
  readonly sessionTimeoutMs?: number | undefined;
  /** How often it is looked for sources that are new (of a pattern), gone, or have grown. Default 300 000. */
  readonly metadataMaxAgeMs?: number | undefined;
  /** The wall clock, for timers and idle windows. Default: the platform's. */
  readonly scheduler?: SchedulerLike | undefined;
  /** Aborting is `close()`. */
  readonly signal?: AbortSignal | undefined;
  /** Is told when the app begins again at its last commit, and why; and what the app warns of. Default: warnings of lost records go to `process.emitWarning`, the rest nowhere. */
  readonly logger?: Logger | undefined;
  /** Clock, randomness and network. Default: the machine's. */
  readonly platform?: Platform | undefined;
}

/** As Kafka Streams has them, and `RESTORING` and `PAUSED`. */
export type StreamsState =
  | 'CREATED'
  | 'REBALANCING'
  | 'RESTORING'
  | 'RUNNING'
  | 'PAUSED'
  | 'PENDING_SHUTDOWN'
  | 'NOT_RUNNING'
  | 'PENDING_ERROR'
  | 'ERROR';

/**
 * A running plan.
 *
 *     await using app = Streams.start(topology, { cluster: 'localhost:9092' });
 *     await app.running;
 */
export class Streams {
  /** Begins with the present state, completes after `NOT_RUNNING` or `ERROR`. */
  readonly state$: Observable<StreamsState>;
  /** How stores come back from their changelogs. */
  readonly restore$: Observable<RestoreProgress>;
  /** Once a second while somebody listens. */
  readonly metrics$: Observable<StreamsMetrics>;
  /** Records that a policy retried, skipped or sent to a dead-letter topic. */
  readonly failures$: Observable<RecordFailure>;
  readonly #runner: AppRunner;

  /**
   * Returns at once; the app joins its group in the background. Options that cannot work are thrown here.
   * @throws {InvalidStreamsOptionError} `INVALID_CONFIG`
   */
  static start(topology: Topology, options: StreamsOptions): Streams {
    return new Streams(new AppRunner(planOf(topology), options, createTask));
  }

  private constructor(runner: AppRunner) {
    this.#runner = runner;
    this.state$ = runner.state$;
    this.restore$ = runner.restore$;
    this.metrics$ = runner.metrics$;
    this.failures$ = runner.failures$;
    runner.start();
  }

  /** Resolves when every task of this instance first runs, its state restored. */
  get running(): Promise<void> {
    return this.#runner.outcome.running;
  }

  /**
   * Resolves when closed, rejects when the app has failed. If nobody has asked for it, a failure is an unhandled rejection, which
   * ends the process: it is never silent.
   */
  get done(): Promise<void> {
    return this.#runner.outcome.done;
  }

  /**
   * What passes a point of the plan, after its commit. Hot, and bounded: of more than 10 000 records in a commit the latest. To
   * look at, not to build on.
   */
  records$<K, V>(stream: KStream<K, V>): Observable<ConsumerRecord<K, V>> {
    return this.#runner.records$(stream) as Observable<ConsumerRecord<K, V>>;
  }

  /** Reads a store: what is committed of this instance's share. */
  view<View, Store>(table: Stored<View, Store>): View {
    return this.#runner.view(table.storeName) as View;
  }

  /** Nothing more is processed; what was is committed. The app stays in its group. */
  pause(): void {
    this.#runner.setPaused(true);
  }

  resume(): void {
    this.#runner.setPaused(false);
  }

  /**
   * Finishes the batch, commits, leaves the group. Idempotent. After `timeoutMs` (default 30 000) it stops without the commit:
   * nothing is lost, some work is done again.
   */
  close(options: { readonly timeoutMs?: number | undefined } = {}): Promise<void> {
    return this.#runner.close(options.timeoutMs ?? 30_000);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

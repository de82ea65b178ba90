import { Client } from '@millrace/client';
import {
  delay,
  isMillraceError,
  nodePlatform,
  silentLogger,
  uuid,
  type Clock,
  type Logger,
  type Platform,
} from '@millrace/platform';
import { Observable, ReplaySubject, Subject } from 'rxjs';
import { placeOf } from '../dsl/handles.ts';
import type { Plan } from '../plan/plan.ts';
import type { StateStoreBackend } from '../state/store-backend.ts';
import type { StoreBackend } from '../stores.ts';
import type { ObservedRecord, RecordFailure } from '../task/ports.ts';
import type { StreamsOptions, StreamsState } from './app.ts';
import { clusterOf } from './client-cluster.ts';
import type { StreamsCluster } from './cluster.ts';
import { checkOptions } from './check-options.ts';
import { takeSlot } from './embedded-slots.ts';
import { AppClosedError, InvalidStreamsOptionError } from './errors.ts';
import { GlobalTables } from './global-tables.ts';
import { prepareTopics, sourcesOf } from './internal-topics.ts';
import { AppMetrics, type StreamsMetrics } from './metrics.ts';
import { Observations } from './observations.ts';
import { Outcome } from './outcome.ts';
import { Patience } from './patience.ts';
import { PlanWatch } from './plan-watch.ts';
import { prepareSerdes } from './prepare-serdes.ts';
import { Reflection } from './reflection.ts';
import type { RestoreProgress } from './restore.ts';
import { schedulerClock } from './scheduler-clock.ts';
import { isRecoverable } from './session-end.ts';
import { Session } from './session.ts';
import type { CreateTask, SessionEvents, SessionState } from './session-options.ts';
import type { TaskRunner } from './task-runner.ts';
import { globalView, keyValueView, windowView, type ViewSurroundings } from './table-views.ts';
import { within } from './within.ts';

/** How long an app tries to go on, while nothing does, before it gives up: Kafka Streams' `task.timeout.ms`. */
const taskTimeoutMs = 300_000;
/** Kafka Streams' own. With sinks or calls to the outside, which a commit waits for, a minute. */
const transactionTimeoutMs = 10_000;
/** How long backends have to close. */
const backendGraceMs = 5_000;
/** And the client. */
const clientGraceMs = 1_000;

const stateOf: Readonly<Record<SessionState, StreamsState>> = {
  joining: 'REBALANCING',
  restoring: 'RESTORING',
  running: 'RUNNING',
  paused: 'PAUSED',
};

/** The life of an app: connects, prepares topics, and runs one session after the other until it is closed or cannot go on. */
export class AppRunner {
  readonly outcome: Outcome = new Outcome();
  readonly state$: Observable<StreamsState>;
  readonly restore$: Observable<RestoreProgress>;
  readonly failures$: Observable<RecordFailure>;
  readonly metrics$: Observable<StreamsMetrics>;

  readonly #plan: Plan;
  readonly #options: StreamsOptions;
  readonly #applicationId: string;
  readonly #platform: Platform;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #createTask: CreateTask;
  /** Whoever comes late hears of the last one, also after the end. */
  readonly #state = new ReplaySubject<StreamsState>(1);
  #lastState: StreamsState = 'CREATED';
  readonly #restore = new Subject<RestoreProgress>();
  readonly #failures = new Subject<RecordFailure>();
  readonly #closing = new AbortController();
  readonly #metrics: AppMetrics;
  readonly #observations: Observations;
  readonly #reflection: Reflection;
  readonly #views: ViewSurroundings;
  readonly #globalTables: GlobalTables;
  readonly #transactionalId: string;
  readonly #groupInstanceId: string | undefined;
  readonly #releaseSlot: () => void;
  #cluster: StreamsCluster | undefined;
  #partitionCounts: ReadonlyMap<string, number> = new Map();
  #session: Session | undefined;
  #isPaused = false;
  readonly #patience: Patience;
  readonly #planWatch: PlanWatch;
  #ended: Promise<void> | undefined;

  constructor(plan: Plan, options: StreamsOptions, createTask: CreateTask) {
    checkOptions(plan, options);
    this.#plan = plan;
    this.#options = options;
    this.#createTask = createTask;
    this.#applicationId = options.applicationId ?? plan.applicationId;
    this.#platform = options.platform ?? nodePlatform();
    this.#clock = this.#platform.clock;
    this.#logger = options.logger ?? silentLogger;
    this.#patience = this.#newPatience();
    this.#planWatch = new PlanWatch(plan, this.#applicationId, this.#clock);
    this.#metrics = new AppMetrics(this.#applicationId, () => this.#clock.monotonic());
    this.#observations = new Observations(() => this.#session?.tasks.openTasks() ?? []);
    this.#reflection = new Reflection({
      plan,
      applicationId: this.#applicationId,
      cluster: () => this.#cluster!,
      runner: (subtopology, partition) => this.#runner(subtopology, partition),
    });
    this.#globalTables = new GlobalTables({
      plans: plan.globalTables,
      applicationId: this.#applicationId,
      clock: this.#clock,
      onFailure: (failure) => this.#failures.next(failure),
      onProgress: (progress) => this.#restore.next(progress),
      onLost: (error) => this.#session?.abort(error),
    });
    this.#views = {
      plan,
      applicationId: this.#applicationId,
      clock: this.#clock,
      partitionCount: (topic) => this.#partitionCounts.get(topic),
      runner: (subtopology, partition) => this.#runner(subtopology, partition),
      readCommitted: (read) => this.#readCommitted(read),
      changes$: (store) => this.#observations.changes$(store),
      reflection: this.#reflection,
    };
    this.state$ = this.#state.asObservable();
    this.restore$ = this.#restore.asObservable();
    this.failures$ = this.#failures.asObservable();
    this.metrics$ = this.#metrics$();

    const { cluster, groupInstanceId } = options;
    const isEmbedded = typeof cluster === 'object' && 'dial' in cluster;
    const taken = isEmbedded && groupInstanceId === undefined ? takeSlot(cluster, this.#applicationId) : undefined;
    this.#groupInstanceId = groupInstanceId ?? (taken === undefined ? undefined : `embedded-${taken.slot}`);
    const instance = this.#groupInstanceId ?? uuid(this.#platform.random);
    this.#transactionalId = `${this.#applicationId}-${instance}`;
    this.#releaseSlot = taken?.release ?? (() => {});
  }

  start(): void {
    const { signal } = this.#options;
    const abort = (): void => void this.close(30_000);
    this.#ended = this.#live().finally(() => signal?.removeEventListener('abort', abort)); // it may outlive many apps
    if (signal?.aborted === true) abort();
    else signal?.addEventListener('abort', abort, { once: true });
  }

  close(timeoutMs: number): Promise<void> {
    if (!this.#closing.signal.aborted) {
      const isOver = this.#lastState === 'ERROR' || this.#lastState === 'PENDING_ERROR';
      if (!isOver) this.#setState('PENDING_SHUTDOWN');
      this.#closing.abort();
      const late = new AppClosedError(this.#applicationId, `it was not closed within ${timeoutMs} ms`);
      const cancel = this.#clock.after(timeoutMs, () => this.#session?.abort(late));
      this.#session?.stop();
      void this.#ended?.finally(cancel);
    }
    return this.#ended ?? Promise.resolve();
  }

  setPaused(isPaused: boolean): void {
    this.#isPaused = isPaused;
    this.#session?.setPaused(isPaused);
  }

  records$(stream: object): Observable<ObservedRecord> {
    return this.#observations.records$(this.#plan.nodes[placeOf(stream).node]!.name);
  }

  view(storeName: string): unknown {
    const globals = this.#globalTables;
    if (globals.has(storeName)) {
      return globalView(
        () => globals.byStore.get(storeName),
        storeName,
        () => globals.lagRecords,
      );
    }
    const plan = this.#plan.stores.find(({ name }) => name === storeName);
    if (plan === undefined) {
      throw new InvalidStreamsOptionError('table', storeName, "it is no store of this app's plan.");
    }
    return plan.kind === 'window' ? windowView(plan, this.#views) : keyValueView(plan, this.#views);
  }

  // ── The life of the app ──

  /** Never rejects: how it ended is told by `outcome`. */
  async #live(): Promise<void> {
    let failure: Error | undefined;
    try {
      this.#setState('REBALANCING');
      await this.#unlessClosing(this.#prepare());
      await this.#runSessions();
    } catch (error) {
      if (!this.#closing.signal.aborted) failure = error instanceof Error ? error : new Error(String(error));
    }
    if (failure !== undefined) this.#setState('PENDING_ERROR');
    await this.#release();
    this.#setState(failure === undefined ? 'NOT_RUNNING' : 'ERROR');
    for (const subject of [this.#state, this.#restore, this.#failures]) subject.complete();
    this.#observations.complete();
    if (failure === undefined) this.outcome.closed(new AppClosedError(this.#applicationId, 'before it ran'));
    else this.outcome.failed(failure);
  }

  /** Until the cluster answers, topics are there, and global tables are read. */
  async #prepare(): Promise<void> {
    const { cluster, replicationFactor = -1 } = this.#options;
    await this.#retrying(async () => {
      const client = await Client.connect(cluster, {
        clientId: this.#applicationId,
        platform: this.#platform,
        metadataMaxAgeMs: this.#options.metadataMaxAgeMs,
      });
      if (this.#closing.signal.aborted) return await client.close();
      this.#cluster = clusterOf(client, { transactionTimeoutMs: this.#transactionTimeoutMs });
    });
    await prepareSerdes(this.#plan);
    await this.#retrying(async () => {
      this.#partitionCounts = await prepareTopics(this.#plan, this.#applicationId, this.#cluster!, {
        replicationFactor,
        guarantee: this.#guarantee,
      });
      await this.#planWatch.check(this.#cluster!);
    });
    await this.#openGlobalTables();
  }

  /** A session that lost its place in the group, or a broker, is followed by another one. */
  async #runSessions(): Promise<void> {
    for (;;) {
      if (this.#closing.signal.aborted) return;
      if (!this.#globalTables.areOpen) await this.#unlessClosing(this.#openGlobalTables());
      const session = new Session(
        {
          plan: this.#plan,
          applicationId: this.#applicationId,
          sources: sourcesOf(this.#plan, this.#applicationId),
          cluster: this.#cluster!,
          partitionCounts: this.#partitionCounts,
          createTask: this.#createTask,
          globalStores: this.#globalTables.byStore,
          backendOf: (store) => this.#backendOf(store),
          guarantee: this.#guarantee,
          transactionalId: this.#transactionalId,
          commitIntervalMs: this.#options.commitIntervalMs ?? 100,
          isEager: this.#options.commit === 'eager',
          bufferedRecordsPerPartition: this.#options.bufferedRecordsPerPartition ?? 1000,
          cacheMaxBytes: this.#options.statestoreCacheMaxBytes ?? 128 * 1024 * 1024,
          maxTaskIdleMs: this.#options.maxTaskIdleMs ?? 0,
          groupInstanceId: this.#groupInstanceId,
          leaveOnClose: this.#options.groupInstanceId === undefined,
          sessionTimeoutMs: this.#options.sessionTimeoutMs,
          clock: this.#clock,
          wallClock:
            this.#options.scheduler === undefined ? this.#clock : schedulerClock(this.#options.scheduler, this.#clock),
          events: this.#events,
        },
        this.#isPaused,
      );
      this.#session = session;
      const startedMs = this.#clock.monotonic();
      try {
        return await session.run();
      } catch (error) {
        this.#session = undefined; // nobody is to wait for a commit of it
        this.#observations.rolledBack();
        this.#planWatch.stop();
        if (this.#closing.signal.aborted || !isRecoverable(error)) throw error;
        // Whoever restores for long fails rarely, not all the time.
        if (this.#clock.monotonic() - startedMs > taskTimeoutMs) this.#patience.progressed();
        const waitMs = this.#patience.failed();
        if (waitMs === undefined) throw error;
        this.#logger.warn({ error, applicationId: this.#applicationId }, 'The app begins again at its last commit.');
        this.#metrics.recovered();
        this.#setState('REBALANCING');
        await delay(this.#clock, waitMs, this.#closing.signal);
      } finally {
        this.#session = undefined;
      }
    }
  }

  async #release(): Promise<void> {
    const reason = new AppClosedError(this.#applicationId, 'it has ended');
    this.#planWatch.stop();
    const backends = new Set([this.#options.store, ...Object.values(this.#options.stores ?? {})]);
    const closings = Promise.allSettled([
      this.#globalTables.close(reason),
      ...[...backends].map((backend) => (isStateStoreBackend(backend) ? backend.close() : undefined)),
    ]);
    await within(this.#clock, backendGraceMs, closings); // a server that is away must not keep the app from ending
    // What it made is closed already, or did not close in time.
    if (this.#cluster !== undefined) await within(this.#clock, clientGraceMs, this.#cluster.close());
    this.#releaseSlot();
  }

  // ── Parts ──

  get #guarantee(): 'exactly_once_v2' | 'at_least_once' {
    return this.#options.processingGuarantee ?? 'exactly_once_v2';
  }

  get #transactionTimeoutMs(): number {
    const waits = this.#plan.nodes.some(({ kind }) => kind === 'sink' || kind === 'mapAsync');
    return Math.max(
      waits ? 60_000 : transactionTimeoutMs,
      (this.#options.commitIntervalMs ?? 0) + transactionTimeoutMs,
    );
  }

  /** Before there is a session there is nothing to be finished: closing need not wait for a cluster that does not answer. */
  #unlessClosing(work: Promise<void>): Promise<void> {
    const { signal } = this.#closing;
    return new Promise((resolve, reject) => {
      work.then(resolve, reject);
      const stop = (): void => reject(new AppClosedError(this.#applicationId, 'before it had joined its group'));
      if (signal.aborted) stop();
      else signal.addEventListener('abort', stop, { once: true });
    });
  }

  /** Tries again what may pass: a broker that is not up yet. */
  async #retrying(work: () => Promise<void>): Promise<void> {
    const patience = this.#newPatience();
    for (;;) {
      this.#closing.signal.throwIfAborted();
      try {
        return await work();
      } catch (error) {
        const waitMs = isMillraceError(error) && error.retriable ? patience.failed() : undefined;
        if (waitMs === undefined) throw error;
        this.#logger.warn({ error, applicationId: this.#applicationId }, 'The cluster does not answer yet.');
        await delay(this.#clock, waitMs, this.#closing.signal);
      }
    }
  }

  #newPatience(): Patience {
    return new Patience(() => this.#clock.monotonic(), taskTimeoutMs);
  }

  #openGlobalTables(): Promise<void> {
    return this.#retrying(() => this.#globalTables.open(this.#cluster!));
  }

  #backendOf(store: string): StateStoreBackend | undefined {
    const backend = this.#options.stores?.[store] ?? this.#options.store;
    return isStateStoreBackend(backend) ? backend : undefined;
  }

  readonly #events: SessionEvents = {
    environment: {
      onFailure: (failure) => this.#failures.next(failure),
      onRecord: (name, record) => this.#observations.onEvent(name, record),
      onChange: (name, change) => this.#observations.onEvent(name, change),
    },
    stateChanged: (state) => {
      if (this.#closing.signal.aborted) return;
      this.#setState(stateOf[state]);
      if (state !== 'running' && state !== 'paused') return;
      this.outcome.ran();
      const session = this.#session;
      if (session === undefined || session.tasks.runners.size > 0) return;
      const hasTasks = (): boolean => session.tasks.runners.size > 0;
      this.#planWatch.start(this.#cluster!, hasTasks, (error) => session.abort(error));
    },
    restoreProgressed: (progress) => this.#restore.next(progress),
    processed: (recordCount) => this.#metrics.processed(recordCount),
    progressed: () => this.#patience.progressed(),
    committed: ({ durationMs, endToEndMs }) => {
      this.#metrics.committed(durationMs, endToEndMs);
      this.#observations.committed();
      this.#reflection.moved();
    },
    moved: () => this.#reflection.moved(),
    taskOpened: (task) => this.#observations.watch(task),
    taskClosed: (task) => this.#metrics.taskClosed(task.metrics),
    warn: (context, message) => {
      const about = { ...context, applicationId: this.#applicationId };
      // Records that were never processed are not passed over in silence.
      if (this.#options.logger === undefined) {
        process.emitWarning(message, { type: 'StreamsWarning', detail: JSON.stringify(about) });
      } else this.#logger.warn(about, message);
    },
  };

  #setState(state: StreamsState): void {
    if (this.#lastState === state) return;
    this.#lastState = state;
    this.#state.next(state);
  }

  #metrics$(): Observable<StreamsMetrics> {
    return new Observable((subscriber) => {
      let cancel: (() => void) | undefined;
      const tell = (): void => {
        subscriber.next(this.#metrics.snapshot(this.#session?.tasks.runners.values() ?? []));
        cancel = this.#clock.after(1000, tell);
      };
      tell();
      const subscription = this.#state.subscribe({ complete: () => subscriber.complete() });
      return () => {
        cancel?.();
        subscription.unsubscribe();
      };
    });
  }

  #runner(subtopology: number, partition: number): TaskRunner | undefined {
    return this.#session?.tasks.runner(subtopology, partition);
  }

  #readCommitted<T>(read: () => T | Promise<T>): Promise<T> {
    if (this.#ended !== undefined && this.#closing.signal.aborted) {
      return Promise.reject(new AppClosedError(this.#applicationId, 'its views cannot be read'));
    }
    return this.#session === undefined ? Promise.resolve().then(read) : this.#session.readCommitted(read);
  }
}

function isStateStoreBackend(backend: StoreBackend | undefined): backend is StateStoreBackend {
  return backend !== undefined && 'openStore' in backend;
}

import type { ConsumerRecord, OutgoingRecord } from '@millrace/client';
import { MillraceError } from '@millrace/platform';
import { decode, encode, headerEntries, recordHeaders, type Topic, type TopicSink } from '@millrace/serde';
import { VirtualTimeScheduler } from 'rxjs';
import { InvalidPlanError } from '../errors.ts';
import type { Plan } from '../plan/plan.ts';
import { planOf, type Topology } from '../plan/topology.ts';
import { IncompatiblePlanError } from '../runtime/errors.ts';
import type { Sink, SinkRecord } from '../sink.ts';
import type { Stored } from '../stores.ts';
import type { RecordFailure } from '../task/ports.ts';
import type { CommitStep } from './commit-step.ts';
import { parseMarbles } from './marbles.ts';
import { partitionCountsOf } from './partition-counts.ts';
import { SchedulerClock } from './scheduler-clock.ts';
import { SimulatedApp, type CommittedPositions } from './simulated-app.ts';
import { SimulatedCluster } from './simulated-log.ts';
import { SimulatedSinks } from './simulated-sinks.ts';
import { readOnlyStoreOf } from './stores.ts';

/** How a driver runs. */
export interface TestDriverOptions {
  /** The wall clock at the start, and the time of records sent without one. Default 0. */
  readonly startMs?: number | undefined;
  /** Of every topic whose contract or `repartition` does not say. Default 1. */
  readonly numPartitions?: number | undefined;
  /** Default true: a commit after each record. False: when `commit()` is called, as an app commits now and then. */
  readonly autoCommit?: boolean | undefined;
}

/** The driver's process has died, or it was disposed of. */
export class DriverDownError extends MillraceError {
  readonly code = 'DRIVER_DOWN';
  constructor(cause: unknown) {
    super('The process under test is dead. Call restart(), as a supervisor would.', { cause });
  }
}

/**
 * Runs the real engine within one turn of the event loop: `pipeInput` returns when all that it caused has happened. (With
 * `mapAsync` in the plan: `await driver.settled()`.) Stores are in memory; sinks are not opened. Guarantees are those of
 * exactly-once: what was not committed is not seen, and a restart begins at the last commit.
 */
export class TestDriver {
  /** RxJS's virtual clock, for Observables under test. */
  readonly scheduler: VirtualTimeScheduler = new VirtualTimeScheduler(undefined, 0);
  readonly #startMs: number;
  readonly #autoCommit: boolean;
  readonly #clock: SchedulerClock;
  readonly #cluster: SimulatedCluster;
  readonly #sinks = new SimulatedSinks();
  readonly #readTo = new Map<string, number>();
  #committed: CommittedPositions;
  #plan: Plan;
  #app: SimulatedApp;
  #death: { readonly cause: unknown } | null = null;
  #lastInputMs: number;

  /** @throws whatever reading a global table or a store throws */
  constructor(topology: Topology, options: TestDriverOptions = {}) {
    const { startMs = 0, numPartitions = 1, autoCommit = true } = options;
    this.#startMs = startMs;
    this.#lastInputMs = startMs;
    this.#autoCommit = autoCommit;
    this.#clock = new SchedulerClock(this.scheduler, startMs);
    this.#plan = planOf(topology);
    this.#cluster = new SimulatedCluster((topic) => partitionCountsOf(this.#plan, numPartitions)(topic));
    this.#committed = { planHash: this.#plan.hash, offsets: new Map(), streamTimes: new Map() };
    this.#app = this.#startApp();
  }

  /** Sends records to a topic, and processes them. */
  pipeInput<K, V>(topic: TopicSink<K, V>, ...records: readonly OutgoingRecord<K, V>[]): void {
    for (const record of records) {
      this.#alive(() => {
        const log = this.#cluster.topic(topic.name);
        const headers = record.headers === undefined ? [] : headerEntries(record.headers);
        const context = { topic: topic.name, headers: recordHeaders(headers) };
        const key = encode(topic.key, (record.key ?? null) as K, { ...context, part: 'key' });
        const value = encode(topic.value, record.value, { ...context, part: 'value' });
        const partition = record.partition ?? log.partitionOf(key);
        log.append({ partition, timestampMs: record.timestampMs ?? this.#clock.now(), key, value, headers });
        this.#lastInputMs = this.#clock.now();
        this.#run();
      });
    }
  }

  /**
   * Marbles, `'ab--c'`: a letter a record, a frame `frameMs` of event time (default 1000), from `startMs` on. `-` lets a frame
   * pass, `(ab)` are at one time, spaces mean nothing.
   */
  pipeMarbles<K, V>(
    topic: TopicSink<K, V>,
    marbles: string,
    records: Readonly<Record<string, OutgoingRecord<K, V>>>,
    options: { readonly frameMs?: number | undefined } = {},
  ): void {
    const { frameMs = 1000 } = options;
    for (const { letter, frame } of parseMarbles(marbles)) {
      const record = records[letter];
      if (record === undefined) throw new RangeError(`The marble '${letter}' stands for no record.`);
      this.pipeInput(topic, { ...record, timestampMs: this.#startMs + frame * frameMs });
    }
  }

  /** What was committed to the topic since the last read. */
  readRecords<K, V, Name extends string>(topic: Topic<K, V, Name>): ConsumerRecord<K, V, Name>[] {
    const { records } = this.#cluster.topic(topic.name);
    const from = this.#readTo.get(topic.name) ?? 0;
    this.#readTo.set(topic.name, records.length);
    return records.slice(from).map((record) => {
      const headers = recordHeaders(record.headers);
      const context = { topic: topic.name, headers };
      return {
        topic: topic.name,
        partition: record.partition,
        offset: record.offset,
        timestampMs: record.timestampMs,
        key: decode(topic.key, record.key, { ...context, part: 'key' }),
        value: decode(topic.value, record.value, { ...context, part: 'value' }),
        headers,
      };
    });
  }

  /** The same, values alone. */
  readValues<K, V>(topic: Topic<K, V>): V[] {
    return this.readRecords(topic).map(({ value }) => value);
  }

  /** What a sink would have been given since the last call: what was flushed to it, and it did not have. */
  written<K, V>(sink: Sink<K, V>): SinkRecord<K, V>[] {
    return this.#sinks.take(sink) as SinkRecord<K, V>[];
  }

  /** A table or store, as the tasks have it now: of all partitions, one after the other. */
  store<View, Store>(table: Stored<View, Store>): Store {
    const store = readOnlyStoreOf(this.#app, table.storeName);
    if (store === undefined) {
      throw new InvalidPlanError(`The plan has no store '${table.storeName}'.`, { store: table.storeName });
    }
    return store as Store; // the kind of a store is that of its handle
  }

  /** Entries of a store in memory, over all partitions: what a test asks that looks for state which never goes. */
  entryCount(storeName: string): number {
    return this.#app.tasks.reduce((sum, { compiled }) => sum + (compiled.stores.get(storeName)?.entryCount ?? 0), 0);
  }

  /** Records that a policy has retried, skipped or sent to a dead-letter topic since the last call. */
  readFailures(): RecordFailure[] {
    return this.#app.failures.splice(0);
  }

  /** Wall-clock timers fire on the way, and windows that close on idle input close. */
  advanceWallClockTime(ms: number): void {
    this.#alive(() => {
      const untilMs = this.#clock.now() + ms;
      for (;;) {
        const timers = this.#app.tasks.flatMap((task) => task.nextWallTimerMs ?? []);
        const idle = this.#app.tasks.flatMap(({ idleCloseMs }) =>
          idleCloseMs === undefined || this.#lastInputMs + idleCloseMs <= this.#clock.now()
            ? []
            : this.#lastInputMs + idleCloseMs,
        );
        const untilNextMs = this.#clock.untilNextMs;
        const nextMs = Math.min(untilMs, ...timers, ...idle, this.#clock.now() + (untilNextMs ?? Infinity));
        this.#clock.moveTo(Math.max(nextMs, this.#clock.now()));
        for (const task of this.#app.tasks) {
          task.advanceWallClock(this.#clock.now());
          task.closeIdle(this.#clock.now() - this.#lastInputMs);
        }
        this.#app.resume();
        this.#run();
        if (nextMs >= untilMs) return;
      }
    });
  }

  /** As a record of that time would, without one: windows close. */
  advanceStreamTimeTo(ms: number): void {
    this.#alive(() => {
      for (const task of this.#app.tasks) task.advanceStreamTime(ms);
      this.#run();
    });
  }

  /**
   * Commits, and processes and commits what that brings to internal topics, until nothing is left. Where a table's changes go on
   * to `mapAsync`, or to a retry, the commit is done after `await driver.settled()`.
   */
  commit(): void {
    this.#alive(() => {
      if (!this.#app.isDrained) {
        throw new InvalidPlanError('Calls of mapAsync are out: await driver.settled() before a commit.');
      }
      this.#commitAll();
    });
  }

  /** The next commit dies before this step: it throws `SIMULATED_CRASH`, and `restart` goes on from what was committed. */
  crashBefore(step: CommitStep): void {
    this.#app.crashBefore(step);
  }

  /** Recovers as a new process would; with an edited plan, if one is given. @throws {IncompatiblePlanError} state would not fit it */
  restart(topology?: Topology): void {
    const plan = topology === undefined ? this.#plan : planOf(topology);
    if (plan.hash !== this.#committed.planHash) {
      throw new IncompatiblePlanError('The edited plan has other stores or internal topics than the one that ran.', {
        hash: plan.hash,
        committedHash: this.#committed.planHash,
      });
    }
    this.#app.close();
    this.#plan = plan;
    this.#death = null;
    this.#app = this.#startApp();
    this.#alive(() => this.#run());
  }

  /**
   * Resolves when no call of `mapAsync` is out and no retry waits; virtual time moves on to retries. Calls themselves take
   * real time: their time limits pass only with `advanceWallClockTime`.
   */
  async settled(): Promise<void> {
    while (!this.#app.isDrained) {
      const isWaitingForCalls = this.#app.tasks.some(({ compiled }) =>
        compiled.asyncNodes.some(({ callsOut }) => callsOut > 0),
      );
      const { untilNextMs } = this.#clock;
      if (isWaitingForCalls) await this.#app.nextProgress();
      else if (untilNextMs !== undefined) this.#clock.moveTo(this.#clock.now() + untilNextMs);
      this.#alive(() => {
        this.#app.resume();
        this.#run();
      });
    }
  }

  [Symbol.dispose](): void {
    this.#app.close();
    this.#death = { cause: undefined };
  }

  #run(): void {
    do {
      this.#app.processAll();
      const commits = this.#autoCommit || this.#app.isCommitting;
      if (!commits || !this.#app.isDrained || !this.#app.tasks.some(({ isDirty }) => isDirty)) return;
      this.#app.commit();
    } while (this.#app.processAll());
    if (this.#app.isDrained && this.#app.tasks.some(({ isDirty }) => isDirty)) this.#commitAll();
  }

  #commitAll(): void {
    do this.#app.commit();
    while (this.#app.processAll() && this.#app.isDrained);
  }

  #alive(action: () => void): void {
    if (this.#death !== null) throw new DriverDownError(this.#death.cause);
    try {
      action();
    } catch (error) {
      this.#death = { cause: error };
      this.#app.close();
      throw error;
    }
  }

  #startApp(): SimulatedApp {
    return new SimulatedApp(this.#plan, this.#cluster, this.#sinks, this.#committed, this.#clock);
  }
}

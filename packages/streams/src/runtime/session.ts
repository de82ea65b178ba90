import type { BytesConsumer, TopicPartitionId } from '@millrace/client/bytes';
import { delay, isMillraceError } from '@millrace/platform';
import { streamsAssignor } from './assignor.ts';
import { limitCaches } from './cache-limit.ts';
import { ChangelogReader } from './changelog-reader.ts';
import { commitTasks, type CommitPath, type CommitSurroundings } from './commit.ts';
import { CommittedReads } from './committed-reads.ts';
import { Doorbell } from './doorbell.ts';
import type { OpeningTask } from './opening-task.ts';
import type { OpenStore } from './open-store.ts';
import { RecordOutput } from './record-output.ts';
import { RepartitionPurge } from './repartition-purge.ts';
import { bringUpToDate, type RestoreSurroundings } from './restore.ts';
import { HandOverTimeoutError, PartitionsLostError, TaskMovedError } from './session-end.ts';
import type { SessionOptions } from './session-options.ts';
import type { TaskRunner } from './task-runner.ts';
import { TaskSet } from './task-set.ts';

/** How long the loop processes before it lets others have the event loop: heartbeats, acks, fetches. */
const sliceMs = 10;
/** What slow commits may stretch the interval to. */
const maxStretchedIntervalMs = 1_000;
/** Heartbeats tell of rebalances: a third of Kafka's default, so that a new instance has its share a second or two after its start. */
const heartbeatIntervalMs = 1_000;
/** How long the group waits for a member that gives partitions up: then it throws it out. */
const rebalanceTimeoutMs = 60_000;
/** Giving up takes a commit, for which sinks and backends are waited for. In time to leave the group in good order. */
const handOverMs = 50_000;
/** How long a session that has failed waits for what its loop does: nothing of it will be committed. */
const failureGraceMs = 10_000;
/** How often backends are asked whether their copies are still there: others read them while there is nothing to do. */
const checkIntervalMs = 1_000;
/** How long an aborted session waits for its consumer to leave and its transaction to be aborted. */
const abortGraceMs = 1_000;

interface Revocation {
  readonly partitions: readonly TopicPartitionId[];
  readonly done: () => void;
}

/**
 * From joining the group to leaving it: one consumer, one producer, and the tasks the group gives to this instance. Everything
 * that touches a task happens in one loop, one thing at a time; the group's callbacks wait for it. A session that fails is thrown
 * away whole, with all that was not committed, and another one begins at the last commit.
 */
export class Session {
  readonly tasks: TaskSet;
  readonly #options: SessionOptions;
  readonly #consumer: BytesConsumer;
  readonly #reader: ChangelogReader;
  readonly #path: CommitPath;
  readonly #output: RecordOutput;
  readonly #restore: RestoreSurroundings;
  readonly #purge: RepartitionPurge;
  readonly #doorbell: Doorbell;
  readonly #revocations: Revocation[] = [];
  readonly #closing = new AbortController();
  #pumping: Promise<void> = Promise.resolve();
  #hasJoined = false;
  #isPaused: boolean;
  #isStopping = false;
  #failure: unknown;
  #lastCommitMs = 0;
  #lastCommitDurationMs = 0;
  #lastCheckMs = 0;
  #firstRunner = 0;
  #sampledMs: number[] = [];
  #isCommitting = false;
  readonly #reads = new CommittedReads();
  #isAborted = false;
  #abort: (reason: unknown) => void = () => {};
  #cancelGrace: (() => void) | undefined;
  readonly #aborted = new Promise<never>((_, reject) => (this.#abort = reject));

  constructor(options: SessionOptions, isPaused: boolean) {
    this.#options = options;
    this.#isPaused = isPaused;
    this.#doorbell = new Doorbell(options.clock, options.wallClock);
    const { cluster, sources, applicationId, plan, guarantee, transactionalId, clock, events } = options;
    const topics = sources.flatMap((source) => source.topics);
    const patterns = sources.flatMap((source) => source.patterns);
    this.#consumer = cluster.consumer({
      groupId: applicationId,
      topics: patterns.length === 0 ? topics : anyOf(topics, patterns),
      isolationLevel: 'read_committed',
      autoOffsetReset: 'none',
      // Each input is paused in time. In a common limit, those that wait would leave no room for those that they wait for.
      maxBufferedBytes: Number.MAX_SAFE_INTEGER,
      assignors: [streamsAssignor({ planHash: plan.hash, sources })],
      groupInstanceId: options.groupInstanceId,
      leaveOnClose: options.leaveOnClose,
      sessionTimeoutMs: options.sessionTimeoutMs,
      rebalanceTimeoutMs,
      heartbeatIntervalMs: Math.min(heartbeatIntervalMs, (options.sessionTimeoutMs ?? Infinity) / 3),
      onPartitionsAssigned: (partitions) => {
        this.#hasJoined = true;
        this.tasks.assigned(partitions);
        this.#doorbell.ring();
      },
      onPartitionsRevoked: (partitions) => this.#revoked(partitions),
      onPartitionsLost: () => {
        // They are another's already: what was made of them must not be committed, and is in one transaction with the rest.
        if (!this.#closing.signal.aborted) this.#fail(new PartitionsLostError(applicationId));
      },
    });
    this.#reader = new ChangelogReader(
      cluster.consumer({ isolationLevel: 'read_committed', autoOffsetReset: 'none' }),
      (error) => this.#fail(error),
    );
    this.#path =
      guarantee === 'exactly_once_v2'
        ? { guarantee, producer: cluster.transactionalProducer(transactionalId) }
        : { guarantee, producer: cluster.producer() };
    this.#output = new RecordOutput(this.#path.producer, options.partitionCounts);
    this.#restore = {
      cluster,
      reader: this.#reader,
      nowMs: () => clock.now(),
      monotonic: () => clock.monotonic(),
      onProgress: (progress) => events.restoreProgressed(progress),
    };
    this.#purge = new RepartitionPurge(options);
    this.tasks = new TaskSet({
      options,
      consumer: this.#consumer,
      output: this.#output,
      restore: this.#restore,
      wake: () => this.#doorbell.ring(),
      fail: (error) => this.#fail(error),
    });
  }

  /** Until `stop`. Rejects with what made going on impossible; then nothing uncommitted has been committed. */
  async run(): Promise<void> {
    try {
      await Promise.race([this.#live(), this.#aborted]);
    } catch (error) {
      this.#fail(error);
      if (isMillraceError(error, 'PRODUCER_FENCED')) await this.#askGroup();
    }
    // Aborted, be it while it closes: what has not closed by then is closed with the client's connections.
    const late = this.#aborted.catch(() => delay(this.#options.clock, abortGraceMs));
    await Promise.race([this.#close(), late]);
    this.#cancelGrace?.();
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #live(): Promise<void> {
    if (this.#path.guarantee === 'exactly_once_v2') {
      await this.#path.producer.init();
      this.#path.producer.begin();
    }
    this.#lastCommitMs = this.#options.clock.monotonic();
    this.#pumping = this.#pump();
    this.#pumping.catch((error: unknown) => {
      if (!this.#closing.signal.aborted) this.#fail(error);
    });
    await this.#loop();
  }

  /**
   * The producer was fenced. By its coordinator, after a timeout: then another session goes on. Or by another process with the same
   * `groupInstanceId`: then the group's next answer says so, and this instance must not fence it in turn.
   */
  async #askGroup(): Promise<void> {
    // A name that the app has chosen itself is nobody else's.
    if (this.#options.leaveOnClose || this.#isAborted) return;
    const answered = this.#pumping.catch((error: unknown) => {
      if (isMillraceError(error, 'FENCED_INSTANCE_ID')) this.#failure = error;
    });
    await Promise.race([answered, delay(this.#options.clock, 2 * heartbeatIntervalMs)]);
  }

  /** Commits, gives up the tasks, leaves the group; `run` resolves. */
  stop(): void {
    this.#isStopping = true;
    this.#doorbell.ring();
  }

  /** Stops without the commit, whatever is waited for; `run` rejects with the reason. */
  abort(reason: unknown): void {
    this.#isAborted = true;
    this.#fail(reason);
    this.#abort(reason);
  }

  setPaused(isPaused: boolean): void {
    this.#isPaused = isPaused;
    this.#doorbell.ring();
  }

  /** Runs `read` when the stores hold what is committed and nothing else: at once, or right after the next commit. */
  readCommitted<T>(read: () => T | Promise<T>): Promise<T> {
    return this.#reads.run(!this.#isDirty() && !this.#isCommitting, read);
  }

  // ── The loop ──

  async #loop(): Promise<void> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      this.#doorbell.listen();
      while (this.#revocations.length > 0) await this.#giveUp(this.#revocations[0]!);
      if (this.#isStopping) return this.#commit();
      await this.tasks.open((opening) => this.#commit(opening));
      this.tasks.startFilled();
      this.#tellState();
      const recordCount = this.#isPaused ? 0 : await this.#process();
      if (this.#isCommitDue()) await this.#commit();
      if (recordCount > 0 || this.#doorbell.hasRung) await this.#doorbell.turn();
      else {
        if (this.#hasJoined && this.#isIdle()) this.#options.events.progressed();
        this.#checkBackends();
        const { waitMs, wallWaitMs } = this.#nextDue();
        await this.#doorbell.wait(waitMs, wallWaitMs);
      }
    }
  }

  async #process(): Promise<number> {
    this.tasks.resume();
    const runners = [...this.tasks.runners.values()];
    if (runners.length === 0) return 0;
    await this.#output.settled();
    const { clock, events } = this.#options;
    // Each in turn is first, and no task has more than its part of the slice while others wait.
    this.#firstRunner = (this.#firstRunner + 1) % runners.length;
    const share = Math.max(1, sliceMs / runners.length);
    let recordCount = 0;
    for (let i = 0; i < runners.length; i++) {
      const runner = runners[(this.#firstRunner + i) % runners.length]!;
      recordCount += await this.#run(runner, clock.monotonic() + share);
      await this.#runTimers(runner);
      // While answers are awaited, results of records before the position may still come.
      if (runner.task.isDrained && !runner.hasStaged) await runner.sinks.writeFull();
      this.tasks.resumeInputs(runner);
    }
    if (recordCount > 0) events.processed(recordCount);
    return recordCount;
  }

  async #run(runner: TaskRunner, deadlineMs: number): Promise<number> {
    for (const open of runner.stores) if (open.isStale) await this.#resync(open);
    const { queue } = runner.inputs[0]!;
    if (!runner.hasProcessed && queue.size > 0) this.#sampledMs.push(queue.timestampMs);
    if (!runner.task.needsPrefetch) return runner.run(deadlineMs);
    for (;;) {
      const answer = await runner.runPrefetched();
      if (typeof answer === 'number') return answer;
      await this.#resync(runner.stores.find(({ store }) => store === answer)!);
    }
  }

  /** Timers of the wall clock, and windows that close on idle input. */
  async #runTimers(runner: TaskRunner): Promise<void> {
    const { task } = runner;
    if (!task.canProcess || runner.hasStaged) return;
    const nowMs = this.#options.wallClock.now();
    if (task.nextWallTimerMs !== undefined && task.nextWallTimerMs <= nowMs) {
      if (task.needsPrefetch) {
        task.announceWallClock(nowMs);
        const answer = await task.prefetch();
        if (answer.verdict === 'stale') return this.#resync(runner.stores.find(({ store }) => store === answer.store)!);
      }
      task.advanceWallClock(nowMs);
    }
    const { silentMs } = runner;
    if (task.idleCloseMs === undefined || silentMs < task.idleCloseMs) return;
    if (task.needsPrefetch) {
      task.announceIdle(silentMs);
      const answer = await task.prefetch();
      if (answer.verdict === 'stale') return this.#resync(runner.stores.find(({ store }) => store === answer.store)!);
    }
    task.closeIdle(silentMs);
  }

  /** The far copy of a store has lost something: brings it back to what is committed. What is not yet is in the cache. */
  async #resync(open: OpenStore): Promise<void> {
    await open.settled();
    open.isStale = false;
    await bringUpToDate(open, open.nextOffset, this.#restore);
    await open.sendPositions(this.#restore.nowMs());
  }

  // ── Commits ──

  #isDirty(): boolean {
    if (this.#output.hasRecords) return true;
    for (const runner of this.tasks.runners.values()) if (runner.isDirty) return true;
    return false;
  }

  #isCommitDue(): boolean {
    if (!this.#isDirty()) return false;
    if (this.#options.clock.monotonic() - this.#lastCommitMs >= this.#commitDelayMs) return true;
    return this.#options.isEager && this.#isAllProcessed();
  }

  /** All there is to do is done. */
  #isIdle(): boolean {
    if (this.tasks.openingCount > 0 || this.#isDirty()) return false;
    for (const runner of this.tasks.runners.values()) if (!runner.isCaughtUp) return false;
    return true;
  }

  /** All that the cluster has for the tasks with something to commit is processed, and no call is in flight. */
  #isAllProcessed(): boolean {
    for (const runner of this.tasks.runners.values()) {
      if (runner.isDirty && !(runner.isCaughtUp && runner.task.isDrained)) return false;
    }
    return true;
  }

  /**
   * The interval, or longer while commits are slow: so that they cost a tenth of the time, and batches grow with the load. Never
   * more than a second for that reason, as an open transaction has a timeout.
   */
  get #commitDelayMs(): number {
    return Math.max(this.#options.commitIntervalMs, Math.min(9 * this.#lastCommitDurationMs, maxStretchedIntervalMs));
  }

  async #commit(opening: readonly OpeningTask[] = []): Promise<void> {
    const { clock, events, plan } = this.#options;
    const runners = [...this.tasks.runners.values()].filter((runner) => runner.isDirty);
    if (runners.length > 0 || opening.length > 0 || this.#output.hasRecords) {
      const startMs = clock.monotonic();
      const around: CommitSurroundings = {
        path: this.#path,
        consumer: this.#consumer,
        output: this.#output,
        planHash: plan.hash,
        nowMs: () => clock.now(),
        throwIfFailed: () => {
          if (this.#failure !== undefined) throw this.#failure;
        },
      };
      this.#isCommitting = true;
      try {
        await commitTasks(runners, opening, around);
      } finally {
        this.#isCommitting = false;
      }
      this.#lastCommitDurationMs = clock.monotonic() - startMs;
      const nowMs = clock.now();
      const endToEndMs = this.#sampledMs.map((timestampMs) => nowMs - timestampMs);
      this.#sampledMs = [];
      events.committed({ durationMs: this.#lastCommitDurationMs, endToEndMs });
      if (runners.length > 0) events.progressed();
      this.#wakeForStale(runners);
      limitCaches(this.tasks.runners.values(), this.#options.cacheMaxBytes);
      this.#purge.committed(this.tasks.runners.values());
    }
    this.#lastCommitMs = clock.monotonic();
    this.#reads.release();
  }

  /** A far copy may turn out to be lost by the last commit of a burst: then it is mended now, not with the next record. */
  #wakeForStale(runners: readonly TaskRunner[]): void {
    for (const open of runners.flatMap(({ stores }) => stores)) {
      if (open.backend === undefined) continue;
      void open.answered.then(() => {
        if (open.isStale) this.#doorbell.ring();
      });
    }
  }

  /** While there is nothing to do: with records, reads and commits say it. */
  #checkBackends(): void {
    const nowMs = this.#options.clock.monotonic();
    if (this.#isPaused || nowMs - this.#lastCheckMs < checkIntervalMs) return;
    this.#lastCheckMs = nowMs;
    for (const open of this.#farStores()) {
      void open.check().then(() => {
        if (open.isStale) this.#doorbell.ring();
      });
    }
  }

  *#farStores(): Iterable<OpenStore> {
    for (const { stores } of this.tasks.runners.values()) {
      for (const open of stores) if (open.backend?.isSynchronous === false) yield open;
    }
  }

  // ── The group ──

  #revoked(partitions: readonly TopicPartitionId[]): Promise<void> {
    if (this.#closing.signal.aborted || this.#failure !== undefined) return Promise.resolve();
    const { clock, applicationId } = this.#options;
    const cancel = clock.after(handOverMs, () => this.abort(new HandOverTimeoutError(applicationId, handOverMs)));
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        resolve();
      };
      this.#revocations.push({ partitions, done });
      this.#doorbell.ring();
    });
  }

  async #giveUp({ partitions, done }: Revocation): Promise<void> {
    const isRunning = (partition: TopicPartitionId): boolean => {
      const { subtopology, partition: number } = this.tasks.taskOf(partition);
      return this.tasks.runner(subtopology, number) !== undefined;
    };
    if (partitions.some(isRunning)) await this.#commit();
    await this.tasks.close(partitions, new TaskMovedError(partitions));
    this.#revocations.shift();
    done();
  }

  /** Fetches go straight into the tasks' queues. Rejects with what the group or a fetch says. */
  async #pump(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      const fetched = await this.#consumer.poll(1000);
      if (fetched !== null) {
        this.tasks.take(fetched);
        this.#options.events.moved();
      }
      this.#doorbell.ring(); // nothing fetched may be news too: that an input, which others wait for, has no more
    }
  }

  // ── Waiting ──

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#cancelGrace ??= this.#options.clock.after(failureGraceMs, () => this.#abort(error));
    this.tasks.abort(error);
    this.#doorbell.ring();
  }

  #nextDue(): { readonly waitMs: number; readonly wallWaitMs: number } {
    const { clock, wallClock } = this.#options;
    const nowMs = clock.monotonic();
    let waitMs = 60_000;
    let wallWaitMs = Infinity;
    if (this.#isDirty()) waitMs = this.#lastCommitMs + this.#commitDelayMs - nowMs;
    if (this.#isPaused) return { waitMs, wallWaitMs };
    if (!this.#farStores()[Symbol.iterator]().next().done) {
      waitMs = Math.min(waitMs, this.#lastCheckMs + checkIntervalMs - nowMs);
    }
    for (const runner of this.tasks.runners.values()) {
      const { nextWallTimerMs, idleCloseMs, canProcess } = runner.task;
      if (runner.idleDeadlineMs !== undefined) waitMs = Math.min(waitMs, runner.idleDeadlineMs - nowMs);
      if (nextWallTimerMs !== undefined && canProcess) {
        wallWaitMs = Math.min(wallWaitMs, nextWallTimerMs - wallClock.now());
      }
      if (idleCloseMs !== undefined) {
        const leftMs = idleCloseMs - runner.silentMs;
        wallWaitMs = Math.min(wallWaitMs, leftMs > 0 ? leftMs : idleCloseMs);
      }
    }
    return { waitMs, wallWaitMs };
  }

  #tellState(): void {
    const { events } = this.#options;
    if (!this.#hasJoined) events.stateChanged('joining');
    else if (this.tasks.openingCount > 0) events.stateChanged('restoring');
    else events.stateChanged(this.#isPaused ? 'paused' : 'running');
  }

  // ── The end ──

  /** Whatever fails here, the rest is closed too. An open transaction is aborted. */
  async #close(): Promise<void> {
    const reason = this.#failure ?? new TaskMovedError([]);
    this.#closing.abort(reason);
    await this.tasks.closeAll(reason);
    for (const { done } of this.#revocations.splice(0)) done();
    await Promise.allSettled([this.#reader.close(reason), this.#consumer.close(), this.#path.producer.close()]);
    this.#reads.release();
  }
}

/** One pattern for a subscription that has patterns: the client takes names or a pattern. */
function anyOf(topics: readonly string[], patterns: readonly RegExp[]): RegExp {
  const names = topics.map((topic) => topic.replace(/[.\\+*?[^\]$(){}=!<>|:-]/g, '\\$&'));
  return new RegExp(`^(?:${[...names, ...patterns.map(({ source }) => source)].join('|')})$`);
}

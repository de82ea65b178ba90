import type { TopicPartitionId } from '@millrace/client/bytes';
import type { InputRecord } from '../task/ports.ts';
import type { StateStore } from '../state/state-store.ts';
import type { StreamTask } from '../task/task-port.ts';
import type { TaskId } from './assignor.ts';
import type { PartitionQueue } from './partition-queue.ts';
import type { OpenStore } from './open-store.ts';
import type { TaskSinks } from './task-sinks.ts';

/** A task's way to one partition. */
export interface TaskInput extends TopicPartitionId {
  /** Place of the source in the sub-topology. */
  readonly source: number;
  readonly queue: PartitionQueue;
  isPaused: boolean;
  /** As of the last commit. */
  committedOffset: number;
}

/** What a task needs of its surroundings while it runs. */
export interface TaskSurroundings {
  /** How long a slice may take, how long an input was waited for. */
  monotonic(): number;
  /** The wall clock of timers and idle windows. */
  wallMs(): number;
  /** End of a partition's log as of the last fetch. */
  endOffset(partition: TopicPartitionId): number | undefined;
  /** The output takes no more for now. */
  readonly isOutputFull: boolean;
  readonly maxTaskIdleMs: number;
}

/** A record taken from its queue, since what it reads is being fetched. */
interface Staged extends InputRecord {
  readonly source: number;
  readonly topic: string;
}

/** Looking at the clock costs 40 ns: it is done once in so many records. */
const clockEvery = 16;
/** How many records one prefetch covers. Redis answers a thousand keys in a millisecond. */
const stagedRecords = 500;

/** Feeds a task from its partitions: in the order of the records' times, as far as they are there. */
export class TaskRunner {
  readonly id: TaskId;
  readonly task: StreamTask;
  readonly inputs: readonly TaskInput[];
  readonly stores: readonly OpenStore[];
  readonly sinks: TaskSinks;
  /** How often the partition has changed hands. */
  readonly epoch: number;

  /** Since the last commit. Positions alone, moved by the markers of our own transactions, are no reason for one. */
  hasProcessed = false;

  readonly #around: TaskSurroundings;
  #staged: Staged[] = [];
  #stagedIndex = 0;
  /** Since when an input has been empty while another one had records. */
  #waitingSinceMs: number | undefined;
  /** That is why nothing was taken when it was looked last. */
  #isWaiting = false;
  /** When the last record came, by the wall clock. */
  #lastRecordMs: number;

  constructor(options: {
    readonly id: TaskId;
    readonly task: StreamTask;
    readonly inputs: readonly TaskInput[];
    readonly stores: readonly OpenStore[];
    readonly sinks: TaskSinks;
    readonly epoch: number;
    readonly surroundings: TaskSurroundings;
  }) {
    this.id = options.id;
    this.task = options.task;
    this.inputs = options.inputs;
    this.stores = options.stores;
    this.sinks = options.sinks;
    this.epoch = options.epoch;
    this.#around = options.surroundings;
    this.#lastRecordMs = this.#around.wallMs();
  }

  /** Whether a commit would have something to say. */
  get isDirty(): boolean {
    return this.hasProcessed || this.task.isDirty || !this.task.isDrained || this.#staged.length > 0;
  }

  /** Everything that the cluster has of its inputs is processed. */
  get isCaughtUp(): boolean {
    return (
      this.#staged.length === 0 && this.inputs.every((input) => input.queue.size === 0 && this.#isReadToEnd(input))
    );
  }

  get lagRecords(): number {
    let lag = 0;
    for (const input of this.inputs) {
      lag += Math.max(0, (this.#endOffset(input) ?? 0) - input.queue.position);
    }
    return lag;
  }

  /**
   * Processes until `deadlineMs` (monotonic), or until nothing can be. Gives the number of records. Of a task with a far store,
   * use `runPrefetched`.
   */
  run(deadlineMs: number): number {
    this.#isWaiting = false;
    const count = this.inputs.length === 1 ? this.#runOne(this.inputs[0]!, deadlineMs) : this.#runMany(deadlineMs);
    if (count > 0) this.#processed();
    return count;
  }

  #processed(): void {
    this.#lastRecordMs = this.#around.wallMs();
    this.hasProcessed = true;
  }

  /** The common case, without a choice. */
  #runOne(input: TaskInput, deadlineMs: number): number {
    const { task } = this;
    const { queue, source, topic } = input;
    let count = 0;
    while (queue.size > 0 && task.canProcess && !this.#around.isOutputFull) {
      task.process(source, topic, queue);
      queue.shift();
      if (++count % clockEvery === 0 && this.#around.monotonic() >= deadlineMs) break;
    }
    return count;
  }

  #runMany(deadlineMs: number): number {
    const { task } = this;
    let count = 0;
    while (task.canProcess && !this.#around.isOutputFull) {
      const input = this.#choose();
      if (input === undefined) break;
      task.process(input.source, input.topic, input.queue);
      input.queue.shift();
      if (++count % clockEvery === 0 && this.#around.monotonic() >= deadlineMs) break;
    }
    return count;
  }

  /**
   * The same for far stores: takes a batch of records, fetches what they read in one go, processes them.
   * @returns the number of records, or the store whose copy is stale: claim and replay it, then call again
   */
  async runPrefetched(): Promise<number | StateStore> {
    const { task } = this;
    this.#isWaiting = false;
    if (this.#staged.length === 0) this.#stage();
    if (this.#staged.length === 0) return 0;
    for (let i = this.#stagedIndex; i < this.#staged.length; i++) {
      const record = this.#staged[i]!;
      task.announce(record.source, record.topic, record);
    }
    const answer = await task.prefetch();
    if (answer.verdict === 'stale') return answer.store;
    return this.processStaged();
  }

  /** Goes on with the batch that has been fetched for. */
  processStaged(): number {
    const { task } = this;
    let count = 0;
    while (this.#stagedIndex < this.#staged.length && task.canProcess) {
      const record = this.#staged[this.#stagedIndex++]!;
      task.process(record.source, record.topic, record);
      count++;
    }
    if (this.#stagedIndex === this.#staged.length) {
      this.#staged = [];
      this.#stagedIndex = 0;
    }
    if (count > 0) this.#processed();
    return count;
  }

  /** Records are taken from their queues, and so count as done there: no commit before they are. */
  get hasStaged(): boolean {
    return this.#staged.length > 0;
  }

  #stage(): void {
    while (this.#staged.length < stagedRecords) {
      const input = this.inputs.length === 1 ? this.inputs[0]! : this.#choose();
      if (input === undefined || input.queue.size === 0) return;
      const { offset, timestampMs, key, value, headers } = input.queue;
      this.#staged.push({ source: input.source, topic: input.topic, offset, timestampMs, key, value, headers });
      input.queue.shift();
    }
  }

  /**
   * The input whose head is oldest. None while another input is empty of which the log holds more, or, for `maxTaskIdleMs`, of
   * which it may soon hold more: so that streams meet in the order of their times.
   */
  #choose(): TaskInput | undefined {
    let best: TaskInput | undefined;
    let isOneEmpty = false;
    let isOneBehind = false;
    for (const input of this.inputs) {
      if (input.queue.size === 0) {
        isOneEmpty = true;
        isOneBehind ||= !this.#isReadToEnd(input);
      } else if (best === undefined || input.queue.timestampMs < best.queue.timestampMs) best = input;
    }
    if (!isOneEmpty || best === undefined) {
      this.#waitingSinceMs = undefined;
      return best;
    }
    if (isOneBehind) return undefined;
    if (this.#around.maxTaskIdleMs <= 0) return best;
    const nowMs = this.#around.monotonic();
    this.#waitingSinceMs ??= nowMs;
    this.#isWaiting = nowMs - this.#waitingSinceMs < this.#around.maxTaskIdleMs;
    return this.#isWaiting ? undefined : best;
  }

  /** When a record may be taken though another input is empty; undefined: nothing waits for that. */
  get idleDeadlineMs(): number | undefined {
    return this.#isWaiting ? this.#waitingSinceMs! + this.#around.maxTaskIdleMs : undefined;
  }

  /** How long its inputs, read to their ends, have been silent; 0: there is something to read. */
  get silentMs(): number {
    return this.isCaughtUp ? this.#around.wallMs() - this.#lastRecordMs : 0;
  }

  #isReadToEnd(input: TaskInput): boolean {
    const endOffset = this.#endOffset(input);
    return endOffset !== undefined && input.queue.nextFetchOffset >= endOffset;
  }

  #endOffset(input: TaskInput): number | undefined {
    return this.#around.endOffset(input) ?? input.queue.highWatermark;
  }
}

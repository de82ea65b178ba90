import type { BytesConsumer, FetchedRecords, TopicPartitionId } from '@millrace/client/bytes';
import { MillraceError } from '@millrace/platform';
import type { SourceNode } from '../plan/plan.ts';
import type { TaskEnvironment } from '../task/ports.ts';
import type { StreamTask } from '../task/task-port.ts';
import type { TaskId } from './assignor.ts';
import { MissingTopicError } from './errors.ts';
import {
  fillStores,
  isSourceOf,
  openTask,
  type AssignedPartition,
  type OpeningSurroundings,
  type OpeningTask,
} from './opening-task.ts';
import type { OpenStore } from './open-store.ts';
import type { RecordOutput } from './record-output.ts';
import type { Correction, RestoreSurroundings } from './restore.ts';
import type { SessionOptions } from './session-options.ts';
import { TaskRunner, type TaskInput, type TaskSurroundings } from './task-runner.ts';
import { TaskSinks, type SinkSurroundings } from './task-sinks.ts';
import { within } from './within.ts';

/** How long a store has to close. */
const closeGraceMs = 5_000;

/** From the assignment of its partitions to the moment it runs. */
interface Opening {
  readonly id: TaskId;
  readonly partitions: AssignedPartition[];
  readonly closing: AbortController;
  /** Its partitions are being looked at: they are all it will have. */
  hasBegun: boolean;
  opened: OpeningTask | undefined;
  filled: Filled | undefined;
}

interface Filled {
  readonly sinks: TaskSinks;
  readonly corrections: readonly { readonly open: OpenStore; readonly corrections: readonly Correction[] }[];
}

/** What the tasks of a session need of it. */
export interface TaskSetSurroundings {
  readonly options: SessionOptions;
  readonly consumer: BytesConsumer;
  readonly output: RecordOutput;
  readonly restore: RestoreSurroundings;
  /** Something is to be done. */
  readonly wake: () => void;
  readonly fail: (error: unknown) => void;
}

/** The tasks that the group has given to this instance: those that run, and those whose stores are being filled. */
export class TaskSet {
  readonly runners: Map<string, TaskRunner> = new Map();
  readonly #openings = new Map<string, Opening>();
  readonly #closings = new Map<string, AbortController>();
  readonly #inputs = new Map<string, TaskInput>();
  readonly #tasksToResume = new Set<StreamTask>();
  readonly #around: TaskSetSurroundings;
  readonly #opening: OpeningSurroundings;
  readonly #sinks: SinkSurroundings;
  readonly #running: TaskSurroundings;

  constructor(around: TaskSetSurroundings) {
    this.#around = around;
    const { options, output, consumer } = around;
    const { plan, applicationId, cluster, clock, wallClock, maxTaskIdleMs, events } = options;
    const { onFailure } = events.environment;
    const warn = (context: object, message: string): void => events.warn(context, message);
    this.#opening = {
      plan,
      applicationId,
      cluster,
      partitionCounts: options.partitionCounts,
      createTask: (id) => this.#createTask(id),
      backendOf: options.backendOf,
      warn,
      nowMs: () => clock.now(),
    };
    const endOffset = async (topic: string, partition: number): Promise<number> =>
      (await cluster.endOffsets(topic)).get(partition) ?? 0;
    this.#sinks = { plan, applicationId, collector: output, clock, endOffset, onFailure, warn };
    this.#running = {
      maxTaskIdleMs,
      monotonic: () => clock.monotonic(),
      wallMs: () => wallClock.now(),
      endOffset: (partition) => consumer.endOffset(partition),
      get isOutputFull() {
        return output.isFull;
      },
    };
  }

  get openingCount(): number {
    return this.#openings.size;
  }

  /** Only takes note: opening is the loop's. Partitions stay paused until their task runs. */
  assigned(partitions: readonly AssignedPartition[]): void {
    const { consumer, fail } = this.#around;
    consumer.pause(partitions);
    for (const partition of partitions) {
      const id = this.taskOf(partition);
      const key = keyOf(id);
      consumer.seek({ ...partition, offset: partition.committed?.offset ?? 0 });
      const opening = this.#openings.get(key);
      if (this.runners.has(key) || opening?.hasBegun === true) return fail(new TaskChangedError(id));
      if (opening !== undefined) opening.partitions.push(partition);
      else {
        const closing = new AbortController();
        this.#closings.set(key, closing);
        const nothing = { hasBegun: false, opened: undefined, filled: undefined };
        this.#openings.set(key, { id, partitions: [partition], closing, ...nothing });
      }
    }
  }

  /** The task that reads a partition. */
  taskOf({ topic, partition }: TopicPartitionId): TaskId {
    const { plan, applicationId } = this.#around.options;
    const subtopology = plan.subtopologies.findIndex(({ sources }) =>
      sources.some((id) => isSourceOf(plan.nodes[id] as SourceNode, topic, applicationId)),
    );
    if (subtopology < 0) throw new MissingTopicError([topic], 'reads');
    return { subtopology, partition };
  }

  runner(subtopology: number, partition: number): TaskRunner | undefined {
    return this.runners.get(keyOf({ subtopology, partition }));
  }

  /** Opens the stores of what has been assigned, for `commit` to write barriers and first positions. */
  async open(commit: (opening: readonly OpeningTask[]) => Promise<void>): Promise<void> {
    const assigned = [...this.#openings.values()].filter(({ opened }) => opened === undefined);
    if (assigned.length === 0) return;
    const { plan } = this.#opening;
    for (const opening of assigned) {
      opening.hasBegun = true;
      const opened = await openTask(opening.id, opening.partitions, this.#opening);
      opening.opened = opened;
      if (!opening.closing.signal.aborted) continue;
      // The session was aborted meanwhile, and has closed what there was.
      opened.task.close();
      await Promise.allSettled(opened.stores.map((store) => store.close()));
      throw opening.closing.signal.reason;
    }
    const opened = assigned.map((opening) => opening.opened!);
    const needsCommit = ({ id, stores, hasNewInput }: OpeningTask): boolean =>
      hasNewInput || stores.length > 0 || TaskSinks.hasSinks(plan, id.subtopology);
    await commit(opened.filter(needsCommit));
    for (const opening of assigned) void this.#fill(opening, opening.opened!);
  }

  /** Runs beside the loop: other tasks go on meanwhile. */
  async #fill(opening: Opening, opened: OpeningTask): Promise<void> {
    const { restore, wake, fail } = this.#around;
    const { signal } = opening.closing;
    try {
      const corrections = await fillStores(opened, { ...restore, signal });
      signal.throwIfAborted();
      const { id, epoch, inputs } = opened;
      const sinks = await TaskSinks.open({ subtopology: id.subtopology, epoch, inputs }, signal, this.#sinks);
      if (signal.aborted) return await sinks.close();
      opening.filled = { corrections, sinks };
      wake();
    } catch (error) {
      if (!signal.aborted) fail(error);
    }
  }

  /** Lets those run whose stores are filled. */
  startFilled(): void {
    const { consumer, output } = this.#around;
    for (const [key, opening] of this.#openings) {
      if (opening.filled === undefined) continue;
      this.#openings.delete(key);
      const { corrections, sinks } = opening.filled;
      for (const { open, corrections: records } of corrections) {
        open.correctionCount = records.length;
        for (const { key: bytes, value, timestampMs } of records) {
          output.send(open.changelogTopic, open.partition, timestampMs, bytes, value, []);
        }
      }
      const opened = opening.opened!;
      opened.task.start(opened.streamTimeMs);
      this.runners.set(key, new TaskRunner({ ...opened, sinks, surroundings: this.#running }));
      for (const input of opened.inputs) {
        this.#inputs.set(idOf(input), input);
        input.isPaused = false;
        consumer.seek({ topic: input.topic, partition: input.partition, offset: input.queue.position });
      }
      consumer.resume(opened.inputs);
    }
  }

  /** Answers have come, or retries are due. */
  resume(): void {
    for (const task of this.#tasksToResume) task.resume();
    this.#tasksToResume.clear();
  }

  /** Tasks, whether they run or not. */
  *openTasks(): Iterable<StreamTask> {
    for (const { task } of this.runners.values()) yield task;
    for (const { opened } of this.#openings.values()) if (opened !== undefined) yield opened.task;
  }

  /** Puts a fetch where it belongs. What belongs nowhere any more is dropped. */
  take(fetched: FetchedRecords): void {
    const input = this.#inputs.get(idOf(fetched));
    if (input === undefined || !input.queue.add(fetched)) return;
    if (input.isPaused || input.queue.size < this.#around.options.bufferedRecordsPerPartition) return;
    input.isPaused = true;
    this.#around.consumer.pause([input]);
  }

  /** The backpressure is over when half of the buffer is processed. */
  resumeInputs(runner: TaskRunner): void {
    const low = this.#around.options.bufferedRecordsPerPartition / 2;
    for (const input of runner.inputs) {
      if (!input.isPaused || input.queue.size > low) continue;
      input.isPaused = false;
      this.#around.consumer.resume([input]);
    }
  }

  /** Closes the task of these partitions, in whatever state it is. Nothing is written. */
  async close(partitions: readonly TopicPartitionId[], reason: unknown): Promise<void> {
    const keys = new Set(partitions.map((partition) => keyOf(this.taskOf(partition))));
    await Promise.all([...keys].map((key) => this.#close(key, reason)));
  }

  async closeAll(reason: unknown): Promise<void> {
    this.abort(reason);
    await Promise.all([...this.#closings.keys()].map((key) => this.#close(key, reason)));
  }

  /** Ends what tasks wait for: busy sinks. */
  abort(reason: unknown): void {
    for (const closing of this.#closings.values()) closing.abort(reason);
  }

  async #close(key: string, reason: unknown): Promise<void> {
    this.#closings.get(key)?.abort(reason);
    this.#closings.delete(key);
    const opening = this.#openings.get(key);
    const runner = this.runners.get(key);
    this.#openings.delete(key);
    this.runners.delete(key);
    const { task, stores, inputs } = runner ?? opening?.opened ?? {};
    for (const open of stores ?? []) this.#around.restore.reader.stop(open.changelogTopic, open.partition, reason);
    for (const input of inputs ?? []) this.#inputs.delete(idOf(input));
    if (task !== undefined) {
      this.#tasksToResume.delete(task);
      task.close();
      this.#around.options.events.taskClosed(task);
    }
    const sinks = runner?.sinks ?? opening?.filled?.sinks;
    await Promise.all([sinks?.close(), ...(stores ?? []).map((store) => this.#closeStore(store))]);
  }

  /** A commit that its backend has not answered is in the changelog: the next owner need not wait for it. */
  async #closeStore(open: OpenStore): Promise<void> {
    const { clock, events } = this.#around.options;
    if (await within(clock, closeGraceMs, open.close())) return;
    const { name } = open.store.plan;
    const message = `The backend of the store '${name}' does not answer: its last commit is not waited for any more.`;
    events.warn({ store: name, partition: open.partition }, message);
  }

  #createTask(id: TaskId): StreamTask {
    const { options, output, wake } = this.#around;
    const { plan, applicationId, globalStores, wallClock, events } = options;
    const key = keyOf(id);
    const environment: TaskEnvironment = {
      applicationId,
      collector: output,
      sink: (node, record, { topic }) => this.runners.get(key)!.sinks.add(node, record, topic),
      globalStores,
      clock: wallClock,
      onProgress: () => {
        this.#tasksToResume.add(task);
        wake();
      },
      ...events.environment,
    };
    const task = options.createTask(plan, id, environment);
    events.taskOpened(task);
    return task;
  }
}

/** A topic was added to a task that runs: all tasks are opened anew. */
class TaskChangedError extends MillraceError {
  readonly code = 'TASK_CHANGED';
  constructor({ subtopology, partition }: TaskId) {
    super(`Task ${subtopology}_${partition} has got another input. It is opened anew.`, { retriable: true });
  }
}

function keyOf({ subtopology, partition }: TaskId): string {
  return `${subtopology}_${partition}`;
}

function idOf({ topic, partition }: TopicPartitionId): string {
  return `${topic}-${partition}`;
}

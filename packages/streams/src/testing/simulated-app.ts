import { recordHeaders, type Serde } from '@millrace/serde';
import type { Clock } from '@millrace/platform';
import { RecordFailedError } from '../errors.ts';
import { topicNameOf, type GlobalTablePlan, type Plan, type SinkNode, type SourceNode } from '../plan/plan.ts';
import type { ReadOnlyKeyValueStore } from '../stores.ts';
import { chooseInput, type WaitingInput } from '../task/choose-input.ts';
import type { GlobalStore, InputRecord, RecordFailure } from '../task/ports.ts';
import { createTask, type Task } from '../task/task.ts';
import { SimulatedCrashError, type CommitStep } from './commit-step.ts';
import type { PendingRecord, SimulatedCluster, SimulatedTopic } from './simulated-log.ts';
import type { SimulatedSinks } from './simulated-sinks.ts';

/** What the cluster keeps of a task between its lives. */
export interface CommittedPositions {
  readonly planHash: string;
  /** By task and topic. */
  readonly offsets: Map<string, number>;
  readonly streamTimes: Map<string, number>;
}

/** One source partition of a task. */
class Input implements WaitingInput {
  readonly source: number;
  readonly topic: SimulatedTopic;
  readonly partition: number;
  position: number;

  constructor(source: number, topic: SimulatedTopic, partition: number, position: number) {
    this.source = source;
    this.topic = topic;
    this.partition = partition;
    this.position = position;
  }

  get head(): InputRecord {
    return this.topic.partitions[this.partition]![this.position]!;
  }
  get size(): number {
    return this.topic.partitions[this.partition]!.length - this.position;
  }
  get timestampMs(): number {
    return this.head.timestampMs;
  }
}

interface RunningTask {
  readonly id: string;
  readonly task: Task;
  readonly sources: readonly SourceNode[];
  readonly inputs: Map<string, Input>;
}

/** The process under test: every task of the plan, in one transaction at a time. */
export class SimulatedApp {
  readonly plan: Plan;
  readonly failures: RecordFailure[] = [];
  readonly globalTables: Map<string, GlobalTable> = new Map();
  readonly #tasks: RunningTask[] = [];
  readonly #cluster: SimulatedCluster;
  readonly #sinks: SimulatedSinks;
  readonly #committed: CommittedPositions;
  #transaction: PendingRecord[] = [];
  #crashBefore: CommitStep | undefined;
  #progress: (() => void) | null = null;
  /** Calls and retries came of what went on at a commit: it goes on when they are done. */
  isCommitting = false;

  constructor(
    plan: Plan,
    cluster: SimulatedCluster,
    sinks: SimulatedSinks,
    committed: CommittedPositions,
    clock: Clock,
  ) {
    this.plan = plan;
    this.#cluster = cluster;
    this.#sinks = sinks;
    this.#committed = committed;
    for (const table of plan.globalTables) this.globalTables.set(table.store, new GlobalTable(table));
    this.followGlobalTables();
    for (const { index, sources: ids } of plan.subtopologies) {
      const sources = ids.map((id) => plan.nodes[id] as SourceNode);
      const names = sources.flatMap(({ topic }) =>
        topic.kind === 'pattern' ? [] : [topicNameOf(topic, plan.applicationId)],
      );
      const count = Math.max(1, ...names.map((name) => cluster.topic(name).partitionCount));
      for (let partition = 0; partition < count; partition++) this.#start(index, partition, sources, clock);
    }
  }

  get tasks(): readonly Task[] {
    return this.#tasks.map(({ task }) => task);
  }

  get isDrained(): boolean {
    return this.#tasks.every(({ task }) => task.isDrained);
  }

  crashBefore(step: CommitStep): void {
    this.#crashBefore = step;
  }

  /** Processes all that is there and that it may. False: there was nothing. */
  processAll(): boolean {
    this.followGlobalTables();
    let hasProcessed = false;
    for (const running of this.#tasks) {
      this.#findTopics(running);
      const { task } = running;
      const inputs = [...running.inputs.values()];
      while (task.canProcess) {
        const chosen = inputs[chooseInput(inputs)];
        if (chosen === undefined) break;
        const record = chosen.head;
        chosen.position++;
        task.process(chosen.source, chosen.topic.name, record);
        hasProcessed = true;
      }
    }
    return hasProcessed;
  }

  /**
   * Where what goes on at the commit makes calls, it is to be called again when they are answered.
   * @throws {SimulatedCrashError} where `crashBefore` has put it: the app is dead then
   */
  commit(): void {
    this.#step('drain');
    for (const { task } of this.#tasks) task.passOn();
    this.isCommitting = !this.isDrained;
    if (this.isCommitting) return;
    for (const { task } of this.#tasks) task.flush();
    this.#step('flushSinks');
    for (const { task, inputs } of this.#tasks) {
      const { nodes } = this.plan.subtopologies[task.subtopology]!;
      const sinkNodes = nodes
        .map((id) => this.plan.nodes[id]!)
        .filter((node): node is SinkNode => node.kind === 'sink');
      const positions = [...inputs.values()].map(({ topic, partition, position }) => ({
        topic: topic.name,
        partition,
        offset: position,
      }));
      this.#sinks.flush(sinkNodes, positions);
    }
    this.#step('flushProducer');
    this.#step('sendOffsets');
    this.#step('commit');
    for (const record of this.#transaction) this.#cluster.append(record);
    this.#transaction = [];
    for (const { id, task, inputs } of this.#tasks) {
      for (const [name, { position }] of inputs) this.#committed.offsets.set(`${id} ${name}`, position);
      this.#committed.streamTimes.set(id, task.streamTimeMs);
    }
    this.#step('writeStores'); // they are in memory, and made anew from the changelogs by whoever comes next
  }

  /** Resolves at the next answer of a call, or retry that is due. */
  nextProgress(): Promise<void> {
    return new Promise((resolve) => {
      this.#progress = resolve;
    });
  }

  resume(): void {
    for (const { task } of this.#tasks) task.resume();
  }

  close(): void {
    for (const { task } of this.#tasks) task.close();
    this.#sinks.crash();
  }

  followGlobalTables(): void {
    for (const table of this.globalTables.values()) table.follow(this.#cluster.topic(table.plan.topic));
  }

  #step(step: CommitStep): void {
    if (this.#crashBefore === step) throw new SimulatedCrashError(step);
  }

  #start(subtopology: number, partition: number, sources: readonly SourceNode[], clock: Clock): void {
    const { applicationId } = this.plan;
    // By its inputs: in an edited plan it may have another number.
    const names = sources.map(({ topic }) => (topic.kind === 'pattern' ? String(topic.pattern) : topic.name));
    const id = `${names.toSorted().join(' ')} ${partition}`;
    const task = createTask(
      this.plan,
      { subtopology, partition },
      {
        applicationId,
        collector: {
          partitionCount: (topic) => this.#cluster.topic(topic).partitionCount,
          send: (topic, to, timestampMs, key, value, headers, _onUnknown, partitionBytes) => {
            this.#transaction.push({ topic, partition: to, timestampMs, key, value, headers, partitionBytes });
          },
        },
        sink: (node, record, source) => this.#sinks.stage(node, record, source),
        globalStores: this.globalTables,
        clock,
        onProgress: () => this.#progress?.(),
        onFailure: (failure) => void this.failures.push(failure),
      },
    );
    const running: RunningTask = { id, task, sources, inputs: new Map() };
    this.#findTopics(running);
    for (const store of task.stores) {
      const topic = this.#cluster.topic(topicNameOf(store.plan.changelog, applicationId));
      const end =
        store.plan.changelog.kind === 'changelog' ? Infinity : (running.inputs.get(topic.name)?.position ?? 0);
      const records = topic.partitions[partition]?.slice(0, end) ?? [];
      for (const { key, value, timestampMs } of records) if (key !== null) store.restore(key, value, timestampMs);
      void store.open(); // without a backend it is open when the call returns
    }
    task.start(this.#committed.streamTimes.get(id) ?? -1);
    this.#tasks.push(running);
  }

  /** Inputs of a task; topics that a pattern matches may come later. */
  #findTopics({ id, task, sources, inputs }: RunningTask): void {
    sources.forEach((source, place) => {
      const { topic } = source;
      const names =
        topic.kind === 'pattern'
          ? [...this.#cluster.topics].map(({ name }) => name).filter((name) => topic.pattern.test(name))
          : [topicNameOf(topic, this.plan.applicationId)];
      for (const name of names) {
        const log = this.#cluster.topic(name);
        if (inputs.has(name) || task.partition >= log.partitionCount) continue;
        const committed = this.#committed.offsets.get(`${id} ${name}`);
        const begin = source.autoOffsetReset === 'latest' ? log.partitions[task.partition]!.length : 0;
        inputs.set(name, new Input(place, log, task.partition, committed ?? begin));
      }
    });
  }
}

/** A global table: its topic read to the end. */
export class GlobalTable implements GlobalStore, ReadOnlyKeyValueStore<any, any> {
  readonly plan: GlobalTablePlan;
  readonly #rows = new Map<string, { readonly key: unknown; readonly value: unknown }>();
  #position = 0;

  constructor(plan: GlobalTablePlan) {
    this.plan = plan;
  }

  get(key: unknown): unknown {
    return this.#rows.get(this.#idOf(key))?.value;
  }

  *range(from: unknown, to: unknown): Iterable<readonly [unknown, unknown]> {
    const [least, greatest] = [this.#idOf(from), this.#idOf(to)];
    for (const id of [...this.#rows.keys()].toSorted()) {
      if (id < least || id > greatest) continue;
      const { key, value } = this.#rows.get(id)!;
      yield [key, value];
    }
  }

  *all(): Iterable<readonly [unknown, unknown]> {
    for (const id of [...this.#rows.keys()].toSorted()) {
      const { key, value } = this.#rows.get(id)!;
      yield [key, value];
    }
  }

  follow(topic: SimulatedTopic): void {
    for (; this.#position < topic.records.length; this.#position++) {
      const record = topic.records[this.#position]!;
      if (record.key === null) continue;
      try {
        const key = this.plan.key.deserialize(record.key, this.#context('key'));
        const id = latin1(record.key);
        if (record.value === null) this.#rows.delete(id);
        else this.#rows.set(id, { key, value: this.plan.value.deserialize(record.value, this.#context('value')) });
      } catch (error) {
        if (this.plan.onInvalid !== 'skip') {
          throw new RecordFailedError(
            this.plan.store,
            { topic: topic.name, partition: record.partition, offset: record.offset },
            error,
          );
        }
      }
    }
  }

  #idOf(key: unknown): string {
    return latin1((this.plan.key as Serde<unknown>).serialize(key, this.#context('key')));
  }

  #context(part: 'key' | 'value'): { topic: string; part: 'key' | 'value'; headers: ReturnType<typeof recordHeaders> } {
    return { topic: this.plan.topic, part, headers: recordHeaders() };
  }
}

/** Ordered as the bytes are. */
function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

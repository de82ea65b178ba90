import assert from 'node:assert/strict';
import type { Serde } from '@millrace/serde';
import { Failures, Retrying, TaskCounts } from '../nodes/failures.ts';
import { StreamGlobalTableJoinNode, StreamTableJoinNode } from '../nodes/joins.ts';
import { MapAsyncNode } from '../nodes/map-async.ts';
import { RepartitionNode, SinkNode, ToNode } from '../nodes/outputs.ts';
import { PipeNode } from '../nodes/pipe.ts';
import { ProcessNode } from '../nodes/process.ts';
import type { Receiver } from '../nodes/receiver.ts';
import { SourceReader } from '../nodes/source.ts';
import {
  BranchNode,
  FilterNode,
  FlatMapNode,
  FlatMapValuesNode,
  MapValuesNode,
  PeekNode,
  SelectKeyNode,
  WithHeadersNode,
  WithTimestampNode,
} from '../nodes/stateless.ts';
import { StoredTable, type TableGetter } from '../nodes/stored-table.ts';
import { StreamJoinNode } from '../nodes/stream-join.ts';
import {
  AggregateNode,
  KeepLastNode,
  TableAggregateNode,
  TableFilterNode,
  TableGroupByNode,
  TableMapValuesNode,
  TableTableJoinNode,
  ToStreamNode,
} from '../nodes/tables.ts';
import { TimerQueue } from '../nodes/timers.ts';
import { WindowAggregateNode } from '../nodes/windows.ts';
import { topicNameOf, type NodeOf, type Plan, type PlanNode, type SourceNode } from '../plan/plan.ts';
import { CachedStore } from '../state/cached-store.ts';
import { keyValueStore, windowStore } from '../state/facades.ts';
import { rowChangeSerde } from '../state/row-change-serde.ts';
import { Output } from './output.ts';
import type { TaskEnvironment } from './ports.ts';
import { CurrentRecord } from './record-context.ts';

/** The operators of a task, wired. */
export class CompiledTask {
  readonly record: CurrentRecord = new CurrentRecord();
  readonly counts: TaskCounts = new TaskCounts();
  readonly stores: Map<string, CachedStore> = new Map();
  /** By place in the sub-topology's `sources`. */
  readonly sources: SourceReader[] = [];
  /** By id of their node: what passes a point of the plan. */
  readonly outputs: Map<number, Output> = new Map();
  /** Tables with a store, inputs before what they feed: the order of their flush. */
  readonly tables: { readonly node: number; readonly table: StoredTable }[] = [];
  readonly windows: { readonly plan: NodeOf<'windowAggregate'>; readonly node: WindowAggregateNode }[] = [];
  readonly streamJoins: { readonly plan: NodeOf<'streamStreamJoin'>; readonly node: StreamJoinNode }[] = [];
  readonly processors: {
    readonly node: ProcessNode;
    readonly timers: TimerQueue | undefined;
    readonly store: CachedStore | undefined;
    readonly stores: readonly CachedStore[];
  }[] = [];
  readonly asyncNodes: MapAsyncNode[] = [];
  readonly pipes: PipeNode[] = [];
  readonly retrying: Retrying[] = [];

  readonly #plan: Plan;
  readonly #environment: TaskEnvironment;
  readonly #time: { readonly streamTimeMs: number };
  readonly #getters: Map<number, TableGetter> = new Map();
  /** What each input of a node with two inputs is passed to. */
  readonly #receivers: Map<number, readonly Receiver[]> = new Map();

  readonly #readers: Map<number, SourceReader> = new Map();

  constructor(
    plan: Plan,
    id: { readonly subtopology: number; readonly partition: number },
    environment: TaskEnvironment,
    time: { readonly streamTimeMs: number },
  ) {
    this.#plan = plan;
    this.#environment = environment;
    this.#time = time;
    const { applicationId, collector } = environment;
    const { nodes, stores, sources } = plan.subtopologies[id.subtopology]!;
    for (const name of stores) {
      const store = plan.stores.find((candidate) => candidate.name === name)!;
      const timestampOf = this.#sourceOfTable(name)?.timestampMs;
      this.stores.set(name, new CachedStore(store, { applicationId, partition: id.partition, collector, timestampOf }));
    }
    for (const nodeId of [...nodes].reverse()) this.#compile(plan.nodes[nodeId]!, id.partition); // what it feeds is there already
    this.tables.reverse();
    for (const source of sources) this.sources.push(this.#readers.get(source)!);
  }

  #sourceOfTable(store: string): SourceNode | undefined {
    const table = this.#plan.nodes.find(({ kind, stores }) => kind === 'tableSource' && stores.includes(store));
    return table === undefined ? undefined : (this.#plan.nodes[table.inputs[0]!] as SourceNode);
  }

  /** What a node passes its results to: all nodes that it feeds, but those of the kinds left out. */
  #output(node: PlanNode, except: readonly PlanNode['kind'][] = []): Output {
    const receivers: Receiver[] = [];
    for (const child of this.#plan.nodes) {
      if (child.kind === 'source' || except.includes(child.kind)) continue;
      child.inputs.forEach((input, place) => {
        if (input !== node.id) return;
        const receiver = this.#receivers.get(child.id)![place];
        if (receiver !== undefined) receivers.push(receiver);
      });
    }
    const output = new Output(receivers, this.record);
    this.outputs.set(node.id, output);
    return output;
  }

  #only(node: PlanNode, kind: PlanNode['kind']): Receiver[] {
    return this.#plan.nodes
      .filter((child) => child.kind === kind && child.inputs.includes(node.id))
      .flatMap((child) => this.#receivers.get(child.id)!);
  }

  #failures(node: PlanNode): Failures {
    return new Failures(node.name, node.onError, this.record, this.#environment, this.counts);
  }

  /** A getter that is there once everything is compiled: a join is made before the tables that it looks up. */
  #getterOf(node: number): TableGetter {
    const getters = this.#getters;
    return {
      get: (key) => getters.get(node)!.get(key),
      getPassedOn: (key) => getters.get(node)!.getPassedOn(key),
      timestampOf: (key) => getters.get(node)!.timestampOf(key),
    };
  }

  #storeOf(node: PlanNode, place = 0): CachedStore {
    return this.stores.get(node.stores[place]!)!;
  }

  #table(node: PlanNode & { readonly aggregation?: NodeOf<'aggregate'>['aggregation'] }, next: Receiver): StoredTable {
    const table = new StoredTable(this.#storeOf(node), this.record, next, {
      look: node.aggregation?.result,
      windowMs: node.kind === 'windowAggregate' ? node.sizeMs : 0,
    });
    this.tables.push({ node: node.id, table });
    this.#getters.set(node.id, table);
    return table;
  }

  #compile(node: PlanNode, partition: number): void {
    const failures = this.#failures(node);
    const receivers = this.#receiversOf(node, failures, partition);
    const { retry } = failures;
    this.#receivers.set(
      node.id,
      retry === undefined || node.kind === 'mapAsync' || node.kind === 'source'
        ? receivers
        : this.#withRetry(receivers, failures, retry),
    );
  }

  #withRetry(
    receivers: readonly Receiver[],
    failures: Failures,
    retry: NonNullable<Failures['retry']>,
  ): readonly Receiver[] {
    if (receivers.every((receiver) => receiver instanceof Output)) return receivers; // nothing in them can fail
    const retrying = new Retrying(failures, retry, this.record, this.#environment);
    this.retrying.push(retrying);
    return receivers.map((receiver) => retrying.around(receiver));
  }

  #receiversOf(node: PlanNode, failures: Failures, partition: number): readonly Receiver[] {
    const { record, counts } = this;
    const { collector, applicationId, globalStores } = this.#environment;
    switch (node.kind) {
      case 'source': {
        const onInvalid = new Failures(node.name, node.onInvalid, record, this.#environment, counts);
        const next = this.#output(node, ['tableSource']);
        const tables = this.#only(node, 'tableSource');
        this.#readers.set(node.id, new SourceReader(node, next, tables, record, onInvalid, partition));
        return [];
      }
      case 'filter':
        return [new FilterNode(node.predicate, record, failures, this.#output(node))];
      case 'mapValues':
        return [new MapValuesNode(node.mapper, record, failures, this.#output(node))];
      case 'flatMapValues':
        return [new FlatMapValuesNode(node.mapper, record, failures, this.#output(node))];
      case 'peek':
        return [new PeekNode(node.action, record, failures, this.#output(node))];
      case 'withTimestamp':
        return [new WithTimestampNode(node.timestampMs, record, failures, this.#output(node))];
      case 'withHeaders':
        return [new WithHeadersNode(node.headers, record, failures, this.#output(node))];
      case 'selectKey':
        return [new SelectKeyNode(node.mapper, record, failures, this.#output(node))];
      case 'map': {
        const { mapper } = node;
        const one = (value: unknown, key: unknown, context: unknown): [any] => [mapper(value, key, context)];
        return [new FlatMapNode(one, record, failures, this.#output(node))];
      }
      case 'flatMap':
        return [new FlatMapNode(node.mapper, record, failures, this.#output(node))];
      case 'pipe': {
        const pipe = new PipeNode(node.operators, failures, this.#output(node));
        this.pipes.push(pipe);
        return [pipe];
      }
      case 'merge': {
        const output = this.#output(node);
        return [output, output];
      }
      case 'branch': {
        const arms = this.#plan.nodes.filter(
          (arm): arm is NodeOf<'branchArm'> => arm.kind === 'branchArm' && arm.inputs[0] === node.id,
        );
        const receivers = arms.toSorted((a, b) => a.index - b.index).map((arm) => this.#receivers.get(arm.id)![0]!);
        return [new BranchNode(node.guards, record, failures, receivers)];
      }
      case 'branchArm':
        return [this.#output(node)];
      case 'mapAsync': {
        const async_ = new MapAsyncNode(node, record, this.#environment, failures, this.#output(node));
        this.asyncNodes.push(async_);
        return [async_];
      }
      case 'repartition': {
        const topic = topicNameOf(node.topic, applicationId);
        return [new RepartitionNode(node, topic, collector, record, failures)];
      }
      case 'to':
        return [new ToNode(node.topic, node.partitioner, collector, record, failures)];
      case 'sink':
        return [new SinkNode(node, record, this.#environment)];
      case 'process':
        return [this.#processor(node, failures)];
      case 'tableSource':
      case 'toTable':
      case 'materialize':
        return [new KeepLastNode(this.#table(node, this.#output(node)), record, counts)];
      case 'aggregate':
        return [new AggregateNode(node.aggregation, this.#table(node, this.#output(node)), record, failures, counts)];
      case 'tableAggregate':
        return [
          new TableAggregateNode(node.aggregation, this.#table(node, this.#output(node)), record, failures, counts),
        ];
      case 'windowAggregate': {
        const late = new Output(this.#only(node, 'late'), record);
        const finals = this.#only(node, 'final');
        const final = finals.length === 0 ? null : new Output(finals, record);
        const table = this.#table(node, this.#output(node, ['late', 'final']));
        const window = new WindowAggregateNode(node, table, record, failures, counts, { late, final });
        this.windows.push({ plan: node, node: window });
        return [window];
      }
      case 'late':
      case 'final':
        return [this.#output(node)];
      case 'tableFilter':
      case 'tableMapValues': {
        const input = this.#getterOf(node.inputs[0]!);
        const next = this.#output(node);
        const view =
          node.kind === 'tableFilter'
            ? new TableFilterNode(node.predicate, input, failures, next)
            : new TableMapValuesNode(node.mapper, input, failures, next);
        this.#getters.set(node.id, view);
        return [view];
      }
      case 'tableTableJoin': {
        const tables = { left: this.#getterOf(node.inputs[0]!), right: this.#getterOf(node.inputs[1]!) };
        const join = new TableTableJoinNode(node.joiner, node.join, tables, record, failures, this.#output(node));
        this.#getters.set(node.id, join);
        return [join.left, join.right];
      }
      case 'toStream':
        return [new ToStreamNode(node.keepsDeletions, this.#output(node))];
      case 'tableGroupBy':
        return [this.#tableGroupBy(node, failures)];
      case 'streamTableJoin': {
        const table = this.#getterOf(node.inputs[1]!);
        const isLeft = node.join === 'left';
        return [new StreamTableJoinNode(node.joiner, isLeft, table, failures, counts, this.#output(node))];
      }
      case 'streamGlobalTableJoin': {
        const table = globalStores.get(node.globalTable);
        assert(table !== undefined, 'global tables are there before tasks are made');
        return [new StreamGlobalTableJoinNode(node, table, failures, counts, this.#output(node))];
      }
      case 'streamStreamJoin': {
        const stores = { left: this.#storeOf(node, 0), right: this.#storeOf(node, 1) };
        const join = new StreamJoinNode(node, stores, record, failures, counts, this.#output(node));
        this.streamJoins.push({ plan: node, node: join });
        return [join.left, join.right];
      }
    }
  }

  #processor(node: NodeOf<'process'>, failures: Failures): ProcessNode {
    const now = (): number => this.record.timestampMs;
    const typed: Record<string, unknown> = {};
    node.storeNames.forEach((own, place) => {
      const store = this.#storeOf(node, place);
      typed[own] = store.plan.kind === 'window' ? windowStore(store, now) : keyValueStore(store, now);
    });
    const timerStore = node.onTimer === undefined ? undefined : this.stores.get(node.stores.at(-1)!)!;
    const timers = timerStore === undefined ? undefined : new TimerQueue(timerStore, this.record);
    const next = this.#output(node);
    const processor = new ProcessNode(node, typed, timers, this.#time, this.record, failures, this.counts, next);
    this.processors.push({
      node: processor,
      timers,
      store: timerStore,
      stores: node.stores.map((_, place) => this.#storeOf(node, place)),
    });
    return processor;
  }

  #tableGroupBy(node: NodeOf<'tableGroupBy'>, failures: Failures): TableGroupByNode {
    const { collector, applicationId } = this.#environment;
    const topic = topicNameOf(node.topic, applicationId);
    const plan = {
      ...node,
      kind: 'repartition',
      value: rowChangeSerde(node.value) as Serde<any>,
      partitioner: undefined,
      numPartitions: undefined,
    } as const;
    const writer = new RepartitionNode(plan, topic, collector, this.record, failures);
    const context = { topic, part: 'key', headers: this.record.headers } as const;
    const isSameKey = (a: unknown, b: unknown): boolean =>
      a === b || Buffer.compare(node.key.serialize(a, context), node.key.serialize(b, context)) === 0;
    return new TableGroupByNode(node.mapper, isSameKey, failures, writer);
  }
}

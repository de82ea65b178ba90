import type { Serde, TopicSink } from '@millrace/serde';
import type { OperatorFunction } from 'rxjs';
import type { Aggregation } from './aggregation.ts';
import type { ErrorPolicy } from '../errors.ts';
import type { Sink } from '../sink.ts';

/**
 * A plan: what a pipeline is, as immutable data. Nodes are in the order in which they were made, so inputs stand before what
 * they feed, and a node's id is its index. Functions of the user are in it as values; nothing is open, nothing runs.
 */
export interface Plan {
  readonly applicationId: string;
  readonly hash: string;
  readonly nodes: readonly PlanNode[];
  readonly stores: readonly PlanStore[];
  readonly subtopologies: readonly Subtopology[];
  readonly globalTables: readonly GlobalTablePlan[];
  readonly internalTopics: readonly InternalTopic[];
  /** Topics that must have the same number of partitions, since equal keys of theirs must meet. */
  readonly copartitions: readonly (readonly TopicRef[])[];
  /** `numPartitions` of source topics whose contracts say it. */
  readonly contractPartitions: ReadonlyMap<string, number>;
}

/** A connected part of the plan: one task of it runs on each partition number of its sources. */
export interface Subtopology {
  readonly index: number;
  readonly nodes: readonly number[];
  /** Ids of its source nodes. A source of a task is named by its place in this list. */
  readonly sources: readonly number[];
  readonly stores: readonly string[];
}

/** A topic of the plan. Internal ones get their full name from the application's id: see `topicNameOf`. */
export type TopicRef =
  | { readonly kind: 'external'; readonly name: string }
  | { readonly kind: 'repartition'; readonly name: string }
  | { readonly kind: 'changelog'; readonly name: string };

/** Kafka Streams' names of internal topics: `<app>-<name>-repartition`, `<app>-<store>-changelog`. */
export function topicNameOf(topic: TopicRef, applicationId: string): string {
  return topic.kind === 'external' ? topic.name : `${applicationId}-${topic.name}-${topic.kind}`;
}

/** A topic that the app makes for itself. */
export interface InternalTopic {
  readonly topic: TopicRef & { readonly kind: 'repartition' | 'changelog' };
  /**
   * Repartition topics: as asked for; undefined: the most that a topic co-partitioned with it has, else the most its
   * sub-topology's sources have. Changelogs: as many as their sub-topology has tasks, so undefined.
   */
  readonly numPartitions: number | undefined;
  /** Under Kafka's names. */
  readonly config: Readonly<Record<string, string>>;
  /** Sub-topology that writes it. */
  readonly subtopology: number;
}

/** Whole on every instance; read beside the tasks. */
export interface GlobalTablePlan {
  readonly store: string;
  readonly topic: string;
  readonly key: Serde<any>;
  readonly value: Serde<any>;
  readonly onInvalid: ErrorPolicy;
}

/** A store, and where its truth is. */
export interface PlanStore {
  readonly name: string;
  /**
   * `'keyValue'`: the last value of a key. `'window'`: a value per key and window. `'join'`: the records of a key that wait for
   * the other side of a stream-stream join, a list per key and segment. `'timers'`: a list per key.
   */
  readonly kind: 'keyValue' | 'window' | 'join' | 'timers';
  readonly key: Serde<any>;
  readonly value: Serde<any>;
  /** A table's source topic, or a topic of its own. */
  readonly changelog: TopicRef;
  readonly emit: 'commit' | 'update';
  readonly ttlMs: number | undefined;
  /** Size of windows or segments; 0 for key-value stores and timers. */
  readonly windowMs: number;
  /** A window that starts at s goes when stream time reaches s + windowMs + retentionMs. 0 for key-value stores. */
  readonly retentionMs: number;
  readonly subtopology: number;
}

/** A function that the user gave to an operator; its types were checked where it was given. */
export type UserFunction<R> = (value: any, key: any, context: any) => R;

interface NodeBase {
  readonly id: number;
  readonly name: string;
  readonly inputs: readonly number[];
  /** Names of the stores that it reads or writes; tables it only looks up are among its inputs instead. */
  readonly stores: readonly string[];
  readonly onError: ErrorPolicy;
}

export interface SourceNode extends NodeBase {
  readonly kind: 'source';
  readonly topic: TopicRef | { readonly kind: 'pattern'; readonly pattern: RegExp };
  readonly key: Serde<any>;
  readonly value: Serde<any>;
  readonly autoOffsetReset: 'earliest' | 'latest';
  readonly timestampMs: ((value: any, key: any, recordMs: number) => number) | undefined;
  readonly onInvalid: ErrorPolicy;
  /** Of internal topics: null values pass, whatever the serde says. (In any topic they pass to a `tableSource`.) */
  readonly acceptsNullValues: boolean;
}

/** One of the operators on a record at a time. */
export type StatelessNode =
  | (NodeBase & { readonly kind: 'filter'; readonly predicate: UserFunction<boolean> })
  | (NodeBase & { readonly kind: 'mapValues'; readonly mapper: UserFunction<unknown> })
  | (NodeBase & { readonly kind: 'flatMapValues'; readonly mapper: UserFunction<Iterable<unknown>> })
  | (NodeBase & { readonly kind: 'peek'; readonly action: UserFunction<void> })
  | (NodeBase & { readonly kind: 'withTimestamp'; readonly timestampMs: UserFunction<number> })
  | (NodeBase & { readonly kind: 'withHeaders'; readonly headers: UserFunction<any> })
  | (NodeBase & { readonly kind: 'selectKey'; readonly mapper: UserFunction<unknown> })
  | (NodeBase & { readonly kind: 'map'; readonly mapper: UserFunction<any> })
  | (NodeBase & { readonly kind: 'flatMap'; readonly mapper: UserFunction<Iterable<any>> })
  | (NodeBase & { readonly kind: 'pipe'; readonly operators: readonly OperatorFunction<any, any>[] })
  /** Passes on from all inputs. */
  | (NodeBase & { readonly kind: 'merge' })
  /** Each output is a `branchArm`, which takes what its `index` names; the last arm is the rest. */
  | (NodeBase & { readonly kind: 'branch'; readonly guards: readonly UserFunction<boolean>[] })
  | (NodeBase & { readonly kind: 'branchArm'; readonly index: number });

export interface MapAsyncNode extends NodeBase {
  readonly kind: 'mapAsync';
  readonly call: (value: any, key: any, context: any) => PromiseLike<unknown>;
  readonly key: Serde<any>;
  readonly concurrency: number;
  readonly timeoutMs: number;
  readonly order: 'key' | 'partition' | 'none';
}

/** Writes to a repartition topic, from which a `source` goes on. */
export interface RepartitionNode extends NodeBase {
  readonly kind: 'repartition';
  readonly topic: TopicRef;
  readonly key: Serde<any>;
  readonly value: Serde<any>;
  readonly partitioner: PartitionerFunction | undefined;
  /** undefined: as many as what it is co-partitioned with, or as its inputs have. */
  readonly numPartitions: number | undefined;
}

export interface ToNode extends NodeBase {
  readonly kind: 'to';
  readonly topic: TopicSink<any, any> | UserFunction<TopicSink<any, any>>;
  readonly partitioner: PartitionerFunction | undefined;
}
export type PartitionerFunction = (
  value: any,
  context: { readonly keyBytes: Uint8Array | null; readonly numPartitions: number },
) => number;

export interface SinkNode extends NodeBase {
  readonly kind: 'sink';
  readonly sink: Sink<any, any>;
}

export interface ProcessNode extends NodeBase {
  readonly kind: 'process';
  /** The user's names of the stores, in the order of `stores`; the store of timers, if there is one, is the last of `stores`. */
  readonly storeNames: readonly string[];
  readonly keys: UserFunction<any> | undefined;
  readonly onRecord: (value: any, key: any, context: any) => Iterable<unknown> | void;
  readonly onTimer: ((timer: any, key: any, context: any) => Iterable<unknown> | void) | undefined;
}

/** Nodes with one store that make a table. */
export type TableNode =
  /** A topic's last value of each key. */
  | (NodeBase & { readonly kind: 'tableSource' })
  | (NodeBase & { readonly kind: 'toTable' })
  | (NodeBase & { readonly kind: 'materialize' })
  | (NodeBase & { readonly kind: 'aggregate'; readonly aggregation: Aggregation })
  | (NodeBase & { readonly kind: 'tableAggregate'; readonly aggregation: Aggregation })
  | (NodeBase & {
      readonly kind: 'windowAggregate';
      readonly aggregation: Aggregation;
      readonly sizeMs: number;
      readonly advanceMs: number;
      readonly graceMs: number;
      readonly idleCloseMs: number | undefined;
    });

/** Tables without a store. */
export type TableViewNode =
  | (NodeBase & { readonly kind: 'tableFilter'; readonly predicate: (value: any, key: any) => boolean })
  | (NodeBase & { readonly kind: 'tableMapValues'; readonly mapper: (value: any, key: any) => unknown })
  | (NodeBase & {
      readonly kind: 'tableTableJoin';
      readonly joiner: (left: any, right: any, key: any) => unknown;
      readonly join: 'inner' | 'left' | 'outer';
    });

export type TableEdgeNode =
  /** `null`: deletions go on as null; else they are left out. */
  | (NodeBase & { readonly kind: 'toStream'; readonly keepsDeletions: boolean })
  /** Rows of the input's windows, each once, when the window has closed. */
  | (NodeBase & { readonly kind: 'final' })
  /** Records too late for every window of the `windowAggregate` that is the input. */
  | (NodeBase & { readonly kind: 'late' })
  /** A row's old and new place, written to a repartition topic as a removal and an addition. */
  | (NodeBase & {
      readonly kind: 'tableGroupBy';
      readonly mapper: (value: any, key: any) => { readonly key: unknown; readonly value: unknown } | null;
      readonly topic: TopicRef;
      readonly key: Serde<any>;
      readonly value: Serde<any>;
    });

export type JoinNode =
  | (NodeBase & {
      readonly kind: 'streamTableJoin';
      readonly joiner: (left: any, right: any, key: any) => unknown;
      readonly join: 'inner' | 'left';
    })
  | (NodeBase & {
      readonly kind: 'streamGlobalTableJoin';
      readonly joiner: (left: any, right: any, key: any) => unknown;
      readonly join: 'inner' | 'left';
      readonly on: (value: any, key: any) => unknown;
      readonly globalTable: string;
    })
  | (NodeBase & {
      readonly kind: 'streamStreamJoin';
      readonly joiner: (left: any, right: any, key: any) => unknown;
      readonly join: 'inner' | 'left' | 'outer';
      readonly beforeMs: number;
      readonly afterMs: number;
      readonly graceMs: number;
    });

export type PlanNode =
  | SourceNode
  | StatelessNode
  | MapAsyncNode
  | RepartitionNode
  | ToNode
  | SinkNode
  | ProcessNode
  | TableNode
  | TableViewNode
  | TableEdgeNode
  | JoinNode;

export type NodeKind = PlanNode['kind'];
export type NodeOf<Kind extends NodeKind> = Extract<PlanNode, { readonly kind: Kind }>;

import { json, type Serde } from '@millrace/serde';
import { checkMs } from './windows.ts';
import { DuplicateNameError, InvalidPlanError, type ErrorPolicy, type NodeOptions } from '../errors.ts';
import { rowChangeSerde } from '../state/row-change-serde.ts';
import type { GlobalTablePlan, NodeKind, NodeOf, PlanNode, PlanStore, SourceNode } from '../plan/plan.ts';

/** A plan while it is written: what the builder and its streams and tables add to. */
export class Draft {
  readonly applicationId: string;
  readonly onError: ErrorPolicy;
  readonly nodes: PlanNode[] = [];
  readonly stores: Map<string, DraftStore> = new Map();
  readonly globalTables: Map<string, GlobalTablePlan> = new Map();
  /** Nodes with a new key that something downstream needs together: a repartition topic follows each. */
  readonly repartitioned: Set<number> = new Set();
  /** What a re-key said about its topic, by node. */
  readonly rekeys: Map<number, Rekey> = new Map();
  /** `numPartitions` in the contracts of external topics. */
  readonly partitionCounts: Map<string, number> = new Map();
  /** Once it is built: by id of a node here, the id of the node in the plan that gives its results. */
  outputOf: ReadonlyMap<number, number> | undefined = undefined;
  readonly #nodeNames = new Set<string>();
  readonly #repartitionNames = new Set<string>();

  constructor(applicationId: string, onError: ErrorPolicy) {
    this.applicationId = applicationId;
    this.onError = onError;
  }

  /** Adds a node, with what its kind needs. */
  add<Kind extends NodeKind>(
    kind: Kind,
    inputs: readonly number[],
    options: NodeOptions | undefined,
    fields: Omit<NodeOf<Kind>, 'id' | 'kind' | 'name' | 'inputs' | 'stores' | 'onError'>,
    stores: readonly string[] = [],
  ): number {
    if (this.outputOf !== undefined) {
      throw new InvalidPlanError('The plan is built: what is added now would not be in it. Call build() last.');
    }
    const id = this.nodes.length;
    const name = options?.name ?? `${kind}-${id}`;
    if (options?.name !== undefined) this.#claim(this.#nodeNames, 'nodes', options.name);
    const onError = options?.onError ?? this.onError;
    checkPolicy(name, onError);
    this.nodes.push({ ...fields, kind, id, name, inputs, stores, onError } as unknown as PlanNode);
    return id;
  }

  addStore(store: DraftStore): string {
    checkName('store', store.name);
    if (this.stores.has(store.name)) throw new DuplicateNameError('stores', store.name);
    this.stores.set(store.name, store);
    return store.name;
  }

  claimRepartition(name: string): void {
    checkName('repartition topic', name);
    this.#claim(this.#repartitionNames, 'repartition topics', name);
  }

  /** The node's records must be where equal keys meet: its nearest new keys go through their topics. */
  needsCopartition(node: number): void {
    const seen = new Set<number>();
    const visit = (id: number): void => {
      if (seen.has(id)) return;
      seen.add(id);
      if (this.rekeys.has(id)) {
        this.repartitioned.add(id);
        return;
      }
      const { kind, inputs } = this.nodes[id]!;
      // A table is keyed as its input was when it was made, and that has been seen to.
      if (kind !== 'source' && kind !== 'repartition') inputs.forEach(visit);
    };
    visit(node);
  }

  /** The reading end of a `tableGroupBy`: values are a row's old and new value. */
  addRowChanges(node: number, key: Serde<any>, value: Serde<any>): number {
    const { topic } = this.nodes[node] as NodeOf<'tableGroupBy'>;
    return this.add('source', [node], undefined, {
      topic,
      key,
      value: rowChangeSerde(value),
      autoOffsetReset: 'earliest',
      timestampMs: undefined,
      onInvalid: 'fail',
      acceptsNullValues: false,
    });
  }

  findSource(topic: string): SourceNode | undefined {
    return this.nodes.find(
      (node): node is SourceNode =>
        node.kind === 'source' && node.topic.kind === 'external' && node.topic.name === topic,
    );
  }

  #claim(names: Set<string>, what: string, name: string): void {
    if (names.has(name)) throw new DuplicateNameError(what, name);
    names.add(name);
  }
}

export type DraftStore = Omit<PlanStore, 'subtopology'>;

export interface Rekey {
  readonly name: string;
  readonly key: Serde<any>;
  readonly value: Serde<any>;
}

/** JSON, unless the user says otherwise. Types see to it that they do where it would lose something. */
export function orJson(value: Serde<any> | undefined): Serde<any> {
  return value ?? json<any>();
}

/** @throws {InvalidPlanError} what cannot be part of a topic's name */
export function checkName(what: string, name: string, maxLength = 100): void {
  if (typeof name === 'string' && /^[a-zA-Z0-9._-]+$/.test(name) && name.length <= maxLength) return;
  throw new InvalidPlanError(
    `'${name}' cannot name a ${what}: use letters, digits, '.', '_' and '-', at most ${maxLength} of them.`,
    { what, name },
  );
}

/** @throws {InvalidPlanError} */
export function checkMsOrUndefined(option: string, value: number | undefined, least: number): void {
  if (value !== undefined) checkMs(option, value, least);
}

function checkPolicy(node: string, policy: ErrorPolicy): void {
  if (policy === 'fail' || policy === 'skip') return;
  if (typeof policy === 'object' && policy !== null) {
    if ('deadLetter' in policy) return checkName('dead-letter topic', policy.deadLetter, 249);
    const { retries, backoffMs = 100, maxBackoffMs = 10_000, then = 'fail' } = policy;
    const isValid =
      Number.isSafeInteger(retries) &&
      retries >= 0 &&
      backoffMs >= 0 &&
      maxBackoffMs >= backoffMs &&
      !('retries' in Object(then));
    if (isValid) return checkPolicy(node, then);
  }
  throw new InvalidPlanError(
    `The error policy of '${node}' is not one: give 'fail', 'skip', { deadLetter: 'topic' } or ` +
      '{ retries, backoffMs, maxBackoffMs, when, then }, with retries and times of at least 0.',
    { node },
  );
}

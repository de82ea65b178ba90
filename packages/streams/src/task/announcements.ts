import type { Timer } from '../dsl/processor.ts';
import type { NodeOf, Plan, PlanNode, Subtopology } from '../plan/plan.ts';
import type { CachedStore } from '../state/cached-store.ts';
import type { CompiledTask } from './compile.ts';
import type { InputRecord } from './ports.ts';

/** Values on their way to a processor that says which keys it reads: what `mapValues` and the like make of them. */
type Step = (values: readonly unknown[], key: unknown) => readonly unknown[];

/** What a record of one source reads, found out from the plan alone. */
interface Reads {
  /** Some of these stores have keys in another encoding than the source: the record's key has to be decoded. */
  readonly hasOtherKeys: boolean;
  /** Key-value stores: of the record's own key. */
  readonly stores: Set<string>;
  readonly windows: NodeOf<'windowAggregate'>[];
  readonly joins: { readonly id: number; readonly isLeft: boolean }[];
  readonly processors: { readonly node: NodeOf<'process'>; readonly steps: readonly Step[] }[];
}

/**
 * Says which keys of far stores a record will read, before it is processed. Within a task a record keeps its key, since a new
 * one goes through a repartition topic first: so mostly the key's bytes and the time tell it. Only for processors with `keys:`
 * the value is decoded, and runs through the (pure) functions on its way.
 */
export class Announcements {
  readonly #plan: Plan;
  readonly #compiled: CompiledTask;
  readonly #reads: readonly Reads[];
  #maxTimeMs = -1;

  constructor(plan: Plan, { sources }: Subtopology, compiled: CompiledTask) {
    this.#plan = plan;
    this.#compiled = compiled;
    this.#reads = sources.map((source) => this.#readsOf(source));
  }

  announce(source: number, topic: string, input: InputRecord): void {
    const { stores, windows, joins, processors, hasOtherKeys } = this.#reads[source]!;
    const reader = this.#compiled.sources[source]!;
    const needsDecoding =
      hasOtherKeys || reader.node.timestampMs !== undefined || processors.some(({ node }) => node.keys !== undefined);
    const seen = needsDecoding
      ? reader.peek(topic, input)
      : { key: undefined, value: undefined, timestampMs: input.timestampMs };
    if (seen === undefined) return;
    const { timestampMs } = seen;
    if (timestampMs > this.#maxTimeMs) this.#maxTimeMs = timestampMs;
    if (input.key === null) return; // it reads nothing, but its time counts
    const keyBytes = Uint8Array.prototype.slice.call(input.key);
    const keyOf = (store: CachedStore): Uint8Array | undefined =>
      store.plan.key.name === reader.node.key.name ? keyBytes : encodedFor(store, seen.key);
    for (const name of stores) {
      const store = this.#compiled.stores.get(name)!;
      const key = keyOf(store);
      if (key !== undefined) store.want(0, key);
    }
    for (const {
      stores: [store],
      sizeMs,
      advanceMs,
      id,
    } of windows) {
      const cached = this.#compiled.stores.get(store!)!;
      const key = keyOf(cached);
      if (key === undefined) continue;
      const first = Math.floor(Math.max(0, timestampMs - sizeMs + advanceMs) / advanceMs) * advanceMs;
      for (let startMs = first; startMs <= timestampMs; startMs += advanceMs) cached.want(startMs, key);
      const window = this.#compiled.windows.find(({ plan }) => plan.id === id)!.node;
      for (const startMs of window.startsClosedBy(timestampMs)) cached.wantWindow(startMs);
    }
    for (const { id, isLeft } of joins) {
      const { plan, node } = this.#compiled.streamJoins.find((join) => join.plan.id === id)!;
      const key = keyOf(this.#compiled.stores.get(plan.stores[0]!)!);
      if (key !== undefined) node.announce(isLeft, key, timestampMs);
    }
    for (const { node, steps } of processors) this.#announceKeys(node, steps, seen);
  }

  /** Keys whose timers fire by then: their processors read them. */
  announceTimers(clock: Timer['clock'], timeMs: number): void {
    for (const { timers, store, stores } of this.#compiled.processors) {
      for (const key of timers?.keysDue(clock, timeMs) ?? []) {
        store!.want(0, store!.encodeKey(key));
        for (const other of stores) {
          const bytes = other.plan.kind === 'keyValue' ? encodedFor(other, key) : undefined;
          if (bytes !== undefined) other.want(0, bytes);
        }
      }
    }
  }

  /** Windows that retention takes by then: what they hold is deleted in the changelog, which nothing else would do. */
  announceExpired(timeMs: number): void {
    for (const { plan } of this.#compiled.windows) {
      const store = this.#compiled.stores.get(plan.stores[0]!)!;
      for (const startMs of store.startsExpiredBy(timeMs)) store.wantWindow(startMs);
    }
  }

  /** Windows that close since their inputs have been silent for so long. */
  announceIdle(idleMs: number): void {
    for (const { plan, node } of this.#compiled.windows) {
      if (plan.idleCloseMs === undefined || plan.idleCloseMs > idleMs) continue;
      const store = this.#compiled.stores.get(plan.stores[0]!)!;
      for (const startMs of node.startsClosedBy(Infinity)) store.wantWindow(startMs);
    }
  }

  takeMaxTimeMs(): number {
    const timeMs = this.#maxTimeMs;
    this.#maxTimeMs = -1;
    return timeMs;
  }

  #announceKeys(
    { keys, storeNames, stores }: NodeOf<'process'>,
    steps: readonly Step[],
    seen: { readonly key: unknown; readonly value: unknown },
  ): void {
    if (keys === undefined) return;
    let values: readonly unknown[] = [seen.value];
    let wanted: Readonly<Record<string, Iterable<unknown> | undefined>>[];
    try {
      for (const step of steps) values = step(values, seen.key);
      wanted = values.map((value) => keys(value, seen.key, undefined) as Record<string, Iterable<unknown>>);
    } catch {
      return; // the same failure comes when the record is processed, and belongs to its node there
    }
    for (const byStore of wanted) {
      storeNames.forEach((own, place) => {
        const store = this.#compiled.stores.get(stores[place]!)!;
        for (const key of byStore[own] ?? []) store.want(0, store.encodeKey(key));
      });
    }
  }

  #readsOf(source: number): Reads {
    const reads = { stores: new Set<string>(), windows: [], joins: [], processors: [], hasOtherKeys: false };
    const visit = (id: number, steps: readonly Step[]): void => {
      for (const child of this.#plan.nodes) {
        child.inputs.forEach((input, place) => {
          if (input === id) this.#visit(child, place, steps, reads, visit);
        });
      }
    };
    visit(source, []);
    const { key } = this.#plan.nodes[source] as NodeOf<'source'>;
    reads.hasOtherKeys = [...this.#compiled.stores.values()].some(({ plan }) => plan.key.name !== key.name);
    return reads;
  }

  #visit(
    node: PlanNode,
    place: number,
    steps: readonly Step[],
    reads: Reads,
    visit: (id: number, steps: readonly Step[]) => void,
  ): void {
    const { record } = this.#compiled;
    switch (node.kind) {
      case 'source':
      case 'repartition':
      case 'tableGroupBy':
      case 'to':
      case 'sink':
      case 'final':
        return; // another key from here on, or the end
      case 'windowAggregate':
        reads.windows.push(node);
        for (const late of this.#plan.nodes)
          if (late.kind === 'late' && late.inputs[0] === node.id) visit(late.id, steps);
        return;
      case 'streamStreamJoin':
        reads.joins.push({ id: node.id, isLeft: place === 0 });
        break;
      case 'process':
        reads.processors.push({ node, steps });
        this.#addStores(node, reads);
        break;
      case 'streamTableJoin':
        if (place === 1) return; // it is only looked up
        this.#addTable(node.inputs[1]!, reads);
        break;
      case 'tableTableJoin':
        this.#addTable(node.inputs[1 - place]!, reads);
        break;
      case 'mapValues':
        return visit(node.id, [...steps, (values, key) => values.map((value) => node.mapper(value, key, record))]);
      case 'flatMapValues':
        return visit(node.id, [
          ...steps,
          (values, key) => values.flatMap((value) => [...node.mapper(value, key, record)]),
        ]);
      default:
        this.#addStores(node, reads);
    }
    visit(node.id, steps);
  }

  #addStores(node: PlanNode, reads: Reads): void {
    for (const store of node.stores) {
      const { kind } = this.#plan.stores.find(({ name }) => name === store)!;
      if (kind === 'keyValue' || kind === 'timers') reads.stores.add(store);
    }
  }

  /** The stores behind a table that is looked up. */
  #addTable(id: number, reads: Reads): void {
    const node = this.#plan.nodes[id]!;
    if (node.stores.length > 0) return this.#addStores(node, reads);
    for (const input of node.inputs) this.#addTable(input, reads);
  }
}

/** The record's key as a key of a store; undefined: it can be none, so nobody asks for it without saying so in `keys`. */
function encodedFor(store: CachedStore, key: unknown): Uint8Array | undefined {
  try {
    return store.encodeKey(key);
  } catch {
    return undefined;
  }
}

import { partitionOf } from '@millrace/client/bytes';
import type { Clock } from '@millrace/platform';
import { decode, recordHeaders, type Windowed } from '@millrace/serde';
import { map, type Observable } from 'rxjs';
import { topicNameOf, type Plan, type PlanStore } from '../plan/plan.ts';
import type { CachedStore } from '../state/cached-store.ts';
import { readOnlyKeyValueStore, readOnlyWindowStore, type Look } from '../state/facades.ts';
import type { StoreKey } from '../state/store-backend.ts';
import type { TimeSpan } from '../stores.ts';
import type { ObservedChange } from '../task/ports.ts';
import type { Answer, Change, KeyValueView, ReadOptions, Scan, WindowView } from '../views.ts';
import { AppClosedError, NoOwnerError, ViewTimeoutError } from './errors.ts';
import type { GlobalTable } from './global-table.ts';
import type { OpenStore } from './open-store.ts';
import type { Reflection } from './reflection.ts';
import type { TaskRunner } from './task-runner.ts';

/** What views read: the tasks of this instance. */
export interface ViewSurroundings {
  readonly plan: Plan;
  readonly applicationId: string;
  readonly clock: Clock;
  readonly partitionCount: (topic: string) => number | undefined;
  readonly runner: (subtopology: number, partition: number) => TaskRunner | undefined;
  /** Runs when the stores hold what is committed and nothing else: at once, or after the next commit. */
  readonly readCommitted: <T>(read: () => T | Promise<T>) => Promise<T>;
  readonly changes$: (storeName: string) => Observable<ObservedChange>;
  readonly reflection: Reflection;
}

interface Place {
  readonly runner: TaskRunner;
  readonly open: OpenStore;
}

type Row = readonly [any, any];

/** What a scan is for, once for a store in memory and once for a backend. */
interface Query {
  readonly inMemory: (store: CachedStore, look: Look) => Iterable<Row>;
  readonly matches: (startMs: number, key: Uint8Array) => boolean;
}

/** A store's keys are spread over the tasks of its sub-topology; this instance answers for those it has. */
class LocalStore {
  readonly plan: PlanStore;
  readonly #around: ViewSurroundings;
  readonly #topic: string;
  readonly #look: Look;
  readonly #placement: 'hashed' | 'anywhere';

  constructor(plan: PlanStore, around: ViewSurroundings) {
    this.plan = plan;
    this.#around = around;
    this.#topic = topicNameOf(plan.changelog, around.applicationId);
    this.#look = lookOf(around.plan, plan.name);
    this.#placement = hasOwnPartitioner(around.plan, plan.subtopology) ? 'anywhere' : 'hashed';
  }

  async get(key: unknown, startMs: number, options: ReadOptions): Promise<Answer<unknown>> {
    const { after, timeoutMs = 5000 } = options;
    const partitions = this.#partitionsOf(key);
    return withTimeout(this.#around.clock, this.plan.name, timeoutMs, async (signal) => {
      if (after !== undefined) {
        for (const partition of partitions) {
          await this.#around.reflection.reached(after, this.plan.subtopology, partition, this.plan.name, signal);
        }
      }
      for (const partition of partitions) {
        const answer = await this.#around.readCommitted(() => this.#read(partition, key, startMs));
        if (answer.value !== undefined || partition === partitions.at(-1)) return answer;
      }
      throw new NoOwnerError(this.plan.name, -1);
    });
  }

  /** Rows of this instance's share. */
  scan(query: Query): Scan<readonly [any, any]> {
    const rows = this.#around.readCommitted(async () => {
      const all: Row[] = [];
      let lagRecords = 0;
      for (const { runner, open } of this.#places()) {
        lagRecords += runner.lagRecords;
        if (open.backend === undefined) all.push(...query.inMemory(open.store as CachedStore, this.#look));
        else all.push(...(await this.#fromBackend(open, query)));
      }
      return { all, lagRecords };
    });
    rows.catch(() => undefined); // whoever iterates, or asks for the lag, hears of it
    return {
      get lagRecords() {
        return rows.then(({ lagRecords }) => lagRecords);
      },
      async *[Symbol.asyncIterator]() {
        yield* (await rows).all;
      },
    };
  }

  /** The backend has what is committed, whatever the cache holds. */
  async #fromBackend(open: OpenStore, query: Query): Promise<readonly Row[]> {
    const found: { readonly startMs: number; readonly key: Uint8Array; readonly value: Uint8Array }[] = [];
    await open.backend!.scan(({ startMs, key, value }) => {
      if (!query.matches(startMs, key)) return;
      found.push({
        startMs,
        key: Uint8Array.prototype.slice.call(key),
        value: Uint8Array.prototype.slice.call(value),
      });
    });
    found.sort((a, b) => a.startMs - b.startMs || Buffer.compare(a.key, b.key));
    const { plan } = this;
    const headers = recordHeaders();
    const keyContext = { topic: this.#topic, part: 'key', headers } as const;
    const valueContext = { topic: this.#topic, part: 'value', headers } as const;
    return found.map(({ startMs, key, value }) => {
      const decoded = decode(plan.key, key, keyContext);
      const row = this.#look(decode(plan.value, value, valueContext));
      const windowed = { key: decoded, window: { startMs, endMs: startMs + plan.windowMs } };
      return [plan.kind === 'window' ? windowed : decoded, row] as const;
    });
  }

  encodeKey(key: unknown): Uint8Array {
    return this.plan.key.serialize(key, { topic: this.#topic, part: 'key', headers: recordHeaders() });
  }

  async #read(partition: number, key: unknown, startMs: number): Promise<Answer<unknown>> {
    const place = this.#place(partition);
    if (place === undefined) throw new NoOwnerError(this.plan.name, partition);
    const { runner, open } = place;
    const store = open.store as CachedStore;
    const { lagRecords } = runner;
    let value: unknown;
    if (open.backend === undefined) {
      value =
        this.plan.kind === 'window'
          ? readOnlyWindowStore(store, this.#look).get(key, startMs)
          : readOnlyKeyValueStore(store, this.#look).get(key);
    } else {
      const place: StoreKey = { startMs, key: this.encodeKey(key) };
      const answer = await open.backend.prefetch([place], []);
      if (answer.verdict === 'stale') throw new NoOwnerError(this.plan.name, partition);
      const stored = answer.values[0] ?? null;
      const context = { topic: this.#topic, part: 'value', headers: recordHeaders() } as const;
      value = stored === null ? undefined : this.#look(decode(this.plan.value, stored.value, context));
    }
    return { value, lagRecords, from: undefined };
  }

  #partitionsOf(key: unknown): readonly number[] {
    const count = this.#around.partitionCount(this.#topic) ?? 0;
    if (count === 0) throw new NoOwnerError(this.plan.name, 0); // the app has not looked at its topics yet
    if (this.#placement === 'anywhere') {
      const local = Array.from({ length: count }, (_, partition) => partition).filter(
        (p) => this.#place(p) !== undefined,
      );
      return local.length > 0 ? local : [0];
    }
    const bytes = this.encodeKey(key);
    return [partitionOf(this.plan.key.partitionBytes?.(bytes) ?? bytes, count)];
  }

  #place(partition: number): Place | undefined {
    const runner = this.#around.runner(this.plan.subtopology, partition);
    const open = runner?.stores.find(({ store }) => store.plan.name === this.plan.name);
    return runner === undefined || open === undefined ? undefined : { runner, open };
  }

  #places(): readonly Place[] {
    const count = this.#around.partitionCount(this.#topic) ?? 0;
    const places = Array.from({ length: count }, (_, partition) => this.#place(partition));
    const local = places.filter((place) => place !== undefined);
    if (local.length === 0) throw new NoOwnerError(this.plan.name, 0);
    return local;
  }
}

/** @throws {NoOwnerError} while a key's partition is not on this instance */
export function keyValueView(plan: PlanStore, around: ViewSurroundings): KeyValueView<any, any> {
  const local = new LocalStore(plan, around);
  return {
    get: (key, options = {}) => local.get(key, 0, options),
    range: (from, to) => {
      const [least, greatest] = [local.encodeKey(from), local.encodeKey(to)];
      return local.scan({
        inMemory: (store, look) => readOnlyKeyValueStore(store, look).range(from, to),
        matches: (_, key) => Buffer.compare(key, least) >= 0 && Buffer.compare(key, greatest) <= 0,
      });
    },
    all: () => local.scan({ inMemory: (store, look) => readOnlyKeyValueStore(store, look).all(), matches: () => true }),
    changes$: changesOf<any>(plan, around),
  };
}

/** The same for windows. */
export function windowView(plan: PlanStore, around: ViewSurroundings): WindowView<any, any> {
  const local = new LocalStore(plan, around);
  const isIn = (startMs: number, { fromMs, toMs }: TimeSpan): boolean => startMs >= fromMs && startMs <= toMs;
  return {
    get: (key, startMs, options = {}) => local.get(key, startMs, options),
    fetch: (key: any, span: TimeSpan) => {
      const wanted = local.encodeKey(key);
      return local.scan({
        inMemory: (store, look) => readOnlyWindowStore(store, look).fetch(key, span),
        matches: (startMs, bytes) => isIn(startMs, span) && Buffer.compare(bytes, wanted) === 0,
      });
    },
    fetchAll: (span: TimeSpan) =>
      local.scan({
        inMemory: (store, look) => readOnlyWindowStore(store, look).fetchAll(span),
        matches: (startMs) => isIn(startMs, span),
      }),
    changes$: changesOf<Windowed<any>>(plan, around),
  };
}

/** A global table is whole here, and as old as its topic's last fetch. */
export function globalView(
  table: () => GlobalTable | undefined,
  store: string,
  lag: () => number,
): KeyValueView<any, any> {
  const open = (): GlobalTable => {
    const found = table();
    if (found === undefined) throw new NoOwnerError(store, 0);
    return found;
  };
  const scan = (keep: (key: Uint8Array) => boolean): Scan<readonly [any, any]> => ({
    lagRecords: Promise.resolve(lag()),
    async *[Symbol.asyncIterator]() {
      const { key: serde, topic } = open().plan;
      const context = { topic, part: 'key', headers: recordHeaders() } as const;
      for (const [key, value] of open().entries()) if (keep(serde.serialize(key, context))) yield [key, value] as const;
    },
  });
  return {
    get: async (key) => ({ value: open().get(key), lagRecords: lag(), from: undefined }),
    range: (from, to) => {
      const { key: serde, topic } = open().plan;
      const context = { topic, part: 'key', headers: recordHeaders() } as const;
      const [least, greatest] = [serde.serialize(from, context), serde.serialize(to, context)];
      return scan((key) => Buffer.compare(key, least) >= 0 && Buffer.compare(key, greatest) <= 0);
    },
    all: () => scan(() => true),
    get changes$(): never {
      throw new AppClosedError(store, 'changes of a global table are not observed; read its topic');
    },
  };
}

function changesOf<K>(plan: PlanStore, around: ViewSurroundings): Observable<Change<K, any>> {
  return around.changes$(plan.name).pipe(map((change) => change as Change<K, any>));
}

/** Ready-made aggregates keep more than readers see. */
function lookOf(plan: Plan, store: string): Look {
  for (const node of plan.nodes) {
    if ('aggregation' in node && node.stores.includes(store)) return node.aggregation.result ?? ((value) => value);
  }
  return (value) => value;
}

/** A partitioner of the user's puts keys where no hash finds them. */
function hasOwnPartitioner(plan: Plan, subtopology: number): boolean {
  const sources = plan.subtopologies[subtopology]!.sources.map((id) => plan.nodes[id]!);
  return sources.some(
    (source) =>
      source.kind === 'source' &&
      source.topic.kind === 'repartition' &&
      plan.nodes.some(
        (node) =>
          node.kind === 'repartition' &&
          node.partitioner !== undefined &&
          node.topic.name === (source.topic as { readonly name: string }).name,
      ),
  );
}

async function withTimeout<T>(
  clock: Clock,
  store: string,
  timeoutMs: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController();
  let cancel: (() => void) | undefined;
  const timeout = new Promise<never>((_, reject) => {
    cancel = clock.after(timeoutMs, () => {
      const error = new ViewTimeoutError(store, timeoutMs, {});
      late.abort(error);
      reject(error);
    });
  });
  try {
    return await Promise.race([work(late.signal), timeout]);
  } finally {
    cancel?.();
  }
}

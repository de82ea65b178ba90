import assert from 'node:assert/strict';
import { TaskClosedError } from '../errors.ts';
import type { Plan, Subtopology } from '../plan/plan.ts';
import type { CachedStore } from '../state/cached-store.ts';
import type { StateStore } from '../state/state-store.ts';
import { Announcements } from './announcements.ts';
import { CompiledTask } from './compile.ts';
import type { InputRecord, TaskEnvironment } from './ports.ts';
import type { StreamTask, TaskMetrics } from './task-port.ts';

/** Makes a task of a plan. Its stores are then filled and opened, and `start` is called. */
export function createTask(
  plan: Plan,
  id: { readonly subtopology: number; readonly partition: number },
  environment: TaskEnvironment,
): Task {
  return new Task(plan, id, environment);
}

/** See `StreamTask`. */
export class Task implements StreamTask {
  readonly subtopology: number;
  readonly partition: number;
  streamTimeMs = -1;
  isDirty = false;
  readonly idleCloseMs: number | undefined;

  readonly #plan: Plan;
  readonly #environment: TaskEnvironment;
  readonly #compiled: CompiledTask;
  readonly #stores: readonly CachedStore[];
  readonly #announcements: Announcements;
  readonly #seen = (timestampMs: number): void => {
    if (timestampMs > this.streamTimeMs) this.streamTimeMs = timestampMs;
  };
  readonly #hasTimers: boolean;
  /** Waits in `drain`: called when an answer has come. */
  #wake: (() => void) | null = null;
  #isClosed = false;

  constructor(
    plan: Plan,
    id: { readonly subtopology: number; readonly partition: number },
    environment: TaskEnvironment,
  ) {
    this.subtopology = id.subtopology;
    this.partition = id.partition;
    this.#plan = plan;
    const wake = (): void => {
      this.#wake?.();
      environment.onProgress();
    };
    this.#environment = { ...environment, onProgress: wake };
    this.#compiled = new CompiledTask(plan, id, this.#environment, this);
    this.#stores = [...this.#compiled.stores.values()];
    this.#announcements = new Announcements(plan, this.#subtopology, this.#compiled);
    this.#hasTimers = this.#compiled.processors.some(({ timers }) => timers !== undefined);
    const idle = this.#compiled.windows.flatMap(({ plan: { idleCloseMs } }) => idleCloseMs ?? []);
    this.idleCloseMs = idle.length === 0 ? undefined : Math.min(...idle);
  }

  get #subtopology(): Subtopology {
    return this.#plan.subtopologies[this.subtopology]!;
  }

  get stores(): readonly StateStore[] {
    return this.#stores;
  }

  get metrics(): TaskMetrics {
    return this.#compiled.counts;
  }

  start(streamTimeMs: number): void {
    this.streamTimeMs = streamTimeMs;
    for (const { node } of this.#compiled.windows) node.start();
    for (const { node } of this.#compiled.streamJoins) node.start();
    for (const { timers } of this.#compiled.processors) timers?.start();
  }

  // ── Records ──

  get canProcess(): boolean {
    const { asyncNodes, retrying } = this.#compiled;
    return asyncNodes.every((node) => node.hasRoom) && retrying.every((node) => !node.isWaiting);
  }

  process(source: number, topic: string, record: InputRecord): void {
    this.isDirty = true;
    this.#compiled.counts.processedRecords++;
    this.#compiled.sources[source]!.read(topic, record, this.#seen);
    if (this.#hasTimers) this.#fireStreamTimers();
  }

  resume(): void {
    this.isDirty = true;
    for (const node of this.#compiled.asyncNodes) node.resume();
    for (const node of this.#compiled.retrying) node.resume();
  }

  get needsPrefetch(): boolean {
    return this.#stores.some((store) => store.isFar);
  }

  announce(source: number, topic: string, record: InputRecord): void {
    this.#announcements.announce(source, topic, record);
  }

  async prefetch(): Promise<
    { readonly verdict: 'current' } | { readonly verdict: 'stale'; readonly store: StateStore }
  > {
    const timeMs = this.#announcements.takeMaxTimeMs();
    this.#announcements.announceTimers('stream', timeMs);
    this.#announcements.announceExpired(timeMs);
    const answers = await Promise.all(this.#stores.map((store) => store.prefetch()));
    const stale = answers.indexOf(false);
    return stale < 0 ? { verdict: 'current' } : { verdict: 'stale', store: this.#stores[stale]! };
  }

  // ── Time ──

  advanceStreamTime(timeMs: number): void {
    this.isDirty = true;
    this.#seen(timeMs);
    for (const { node } of this.#compiled.windows) node.advance(timeMs);
    for (const { node } of this.#compiled.streamJoins) node.advance(timeMs);
    if (this.#hasTimers) this.#fireStreamTimers();
  }

  advanceWallClock(nowMs: number): void {
    for (const { node, timers } of this.#compiled.processors) {
      const nextMs = timers?.nextMs('wall');
      if (nextMs === undefined || nextMs > nowMs) continue;
      this.isDirty = true;
      node.fire('wall', nowMs);
    }
  }

  announceWallClock(nowMs: number): void {
    this.#announcements.announceTimers('wall', nowMs);
  }

  announceIdle(idleMs: number): void {
    this.#announcements.announceIdle(idleMs);
  }

  get nextWallTimerMs(): number | undefined {
    const times = this.#compiled.processors.flatMap(({ timers }) => timers?.nextMs('wall') ?? []);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  closeIdle(idleMs: number): void {
    for (const { plan, node } of this.#compiled.windows) {
      if (plan.idleCloseMs === undefined || plan.idleCloseMs > idleMs) continue;
      this.isDirty = true;
      node.closeIdle();
    }
  }

  // ── Commit ──

  get isDrained(): boolean {
    const { asyncNodes, retrying } = this.#compiled;
    return asyncNodes.every((node) => node.pendingCount === 0) && retrying.every((node) => !node.isWaiting);
  }

  async drain(): Promise<void> {
    this.#checkPipes();
    while (!this.isDrained) {
      if (this.#isClosed) throw new TaskClosedError(`${this.subtopology}_${this.partition}`);
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.resume();
      if (!this.isDrained) await woken;
    }
    this.#wake = null;
  }

  passOn(): void {
    const { tables, retrying } = this.#compiled;
    // While a change waits for its next try, the others wait too: it is to meet the rows of its time.
    const goesOn = (): boolean => retrying.every((node) => !node.isWaiting);
    for (const { table } of tables) table.passOnPending(goesOn);
    // Only now are closed windows forgotten: what passed on has met them in joins.
    for (const { table } of tables) {
      if (!goesOn()) return;
      table.store.expire();
      table.passOnPending(goesOn);
    }
  }

  flush(): void {
    assert(this.isDrained, 'a commit drains first');
    this.passOn();
    assert(this.isDrained, 'what has gone on at the commit is drained too');
    this.#checkPipes();
    for (const store of this.#stores) store.flush();
    this.isDirty = false;
  }

  observe(nodeOrStoreName: string): void {
    const { onRecord, onChange } = this.#environment;
    for (const id of this.#subtopology.nodes) {
      const { name, stores } = this.#plan.nodes[id]!;
      if (name === nodeOrStoreName && onRecord !== undefined) {
        this.#compiled.outputs.get(id)?.observe((record) => onRecord(name, record));
      }
      const table = this.#compiled.tables.find(({ node }) => node === id)?.table;
      if (table !== undefined && onChange !== undefined && stores.includes(nodeOrStoreName)) {
        table.onChange = (change) => onChange(nodeOrStoreName, change);
      }
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const node of this.#compiled.asyncNodes) node.close();
    for (const node of this.#compiled.retrying) node.close();
    for (const node of this.#compiled.pipes) node.close();
    this.#wake?.();
  }

  /** Its parts, for the test driver. */
  get compiled(): CompiledTask {
    return this.#compiled;
  }

  #fireStreamTimers(): void {
    for (const { node, timers } of this.#compiled.processors) {
      const nextMs = timers?.nextMs('stream');
      if (nextMs !== undefined && nextMs <= this.streamTimeMs) node.fire('stream', this.streamTimeMs);
    }
  }

  #checkPipes(): void {
    for (const pipe of this.#compiled.pipes) pipe.checkLate();
  }
}

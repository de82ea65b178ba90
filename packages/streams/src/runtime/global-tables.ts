import type { Clock } from '@millrace/platform';
import type { GlobalTablePlan } from '../plan/plan.ts';
import type { RecordFailure } from '../task/ports.ts';
import { ChangelogReader } from './changelog-reader.ts';
import type { StreamsCluster } from './cluster.ts';
import { AppClosedError } from './errors.ts';
import { GlobalTable } from './global-table.ts';
import type { RestoreProgress } from './restore.ts';

/** What global tables tell their app. */
export interface GlobalTablesSurroundings {
  readonly plans: readonly GlobalTablePlan[];
  readonly applicationId: string;
  readonly clock: Clock;
  readonly onFailure: (failure: RecordFailure) => void;
  readonly onProgress: (progress: RestoreProgress) => void;
  /** They cannot be read on: what stands on them must end. */
  readonly onLost: (error: unknown) => void;
}

/** The global tables of an app: all behind one reader, and all read again when it fails. */
export class GlobalTables {
  readonly byStore: Map<string, GlobalTable> = new Map();
  readonly #around: GlobalTablesSurroundings;
  #reader: ChangelogReader | undefined;

  constructor(around: GlobalTablesSurroundings) {
    this.#around = around;
  }

  get areOpen(): boolean {
    return this.#reader !== undefined || this.#around.plans.length === 0;
  }

  get lagRecords(): number {
    return this.#reader?.lagRecords ?? 0;
  }

  has(store: string): boolean {
    return this.#around.plans.some((plan) => plan.store === store);
  }

  /** Resolves when they have been read to their ends. */
  async open(cluster: StreamsCluster): Promise<void> {
    const { plans, applicationId, clock, onFailure, onProgress, onLost } = this.#around;
    if (plans.length === 0) return;
    const consumer = cluster.consumer({ isolationLevel: 'read_committed', autoOffsetReset: 'none' });
    await this.#reader?.close(new AppClosedError(applicationId, 'its global tables are read again'));
    const reader = new ChangelogReader(consumer, (error) => {
      this.#reader = undefined; // the next session begins with reading them again
      onLost(error);
    });
    this.#reader = reader;
    await Promise.all(
      plans.map(async (plan) => {
        const table = new GlobalTable(plan, onFailure);
        this.byStore.set(plan.store, table);
        await table.open(cluster, reader, () => clock.monotonic(), onProgress);
      }),
    );
  }

  async close(reason: Error): Promise<void> {
    await this.#reader?.close(reason);
  }
}

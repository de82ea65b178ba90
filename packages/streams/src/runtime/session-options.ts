import type { Clock } from '@millrace/platform';
import type { Plan } from '../plan/plan.ts';
import type { StateStoreBackend } from '../state/store-backend.ts';
import type { GlobalStore, TaskEnvironment } from '../task/ports.ts';
import type { StreamTask } from '../task/task-port.ts';
import type { SubtopologySources, TaskId } from './assignor.ts';
import type { StreamsCluster } from './cluster.ts';
import type { RestoreProgress } from './restore.ts';

/** Makes a task; `environment` is its world. */
export type CreateTask = (plan: Plan, id: TaskId, environment: TaskEnvironment) => StreamTask;

/** What a session is told by its app. */
export interface SessionOptions {
  readonly plan: Plan;
  readonly applicationId: string;
  readonly sources: readonly SubtopologySources[];
  readonly cluster: StreamsCluster;
  readonly partitionCounts: ReadonlyMap<string, number>;
  readonly createTask: CreateTask;
  readonly globalStores: ReadonlyMap<string, GlobalStore>;
  readonly backendOf: (store: string) => StateStoreBackend | undefined;
  readonly guarantee: 'exactly_once_v2' | 'at_least_once';
  readonly transactionalId: string;
  readonly commitIntervalMs: number;
  readonly isEager: boolean;
  readonly bufferedRecordsPerPartition: number;
  readonly cacheMaxBytes: number;
  readonly maxTaskIdleMs: number;
  readonly groupInstanceId: string | undefined;
  /** Whether closing gives the tasks to others at once: unless the user has named the instance. */
  readonly leaveOnClose: boolean;
  readonly sessionTimeoutMs: number | undefined;
  /** Of the machine: intervals and slices. */
  readonly clock: Clock;
  /** Of timers and idle windows; virtual in tests. */
  readonly wallClock: Clock;
  readonly events: SessionEvents;
}

/** What a session tells its app. */
export interface SessionEvents {
  readonly environment: Pick<TaskEnvironment, 'onFailure' | 'onRecord' | 'onChange'>;
  stateChanged(state: SessionState): void;
  restoreProgressed(progress: RestoreProgress): void;
  processed(recordCount: number): void;
  /** `endToEndMs`: age of some records of the commit, sampled. */
  committed(commit: { readonly durationMs: number; readonly endToEndMs: readonly number[] }): void;
  /** Input was processed and committed, or there is none left: whatever failed before is over. */
  progressed(): void;
  /** Positions have moved without a commit. */
  moved(): void;
  taskOpened(task: StreamTask): void;
  taskClosed(task: StreamTask): void;
  warn(context: object, message: string): void;
}

/** `'joining'`: nothing is assigned yet. */
export type SessionState = 'joining' | 'restoring' | 'running' | 'paused';

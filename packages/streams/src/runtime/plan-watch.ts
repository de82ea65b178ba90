import type { Clock } from '@millrace/platform';
import type { Plan } from '../plan/plan.ts';
import type { StreamsCluster } from './cluster.ts';
import { decodeCommitMetadata } from './commit-metadata.ts';
import { checkPlanHash } from './opening-task.ts';

/** How often an instance without tasks looks whether its group has another plan. */
const intervalMs = 5_000;

/** Compares the plan with that whose positions its group has. An instance with another one gets no tasks: it should say so, not stand by. */
export class PlanWatch {
  readonly #plan: Plan;
  readonly #applicationId: string;
  readonly #clock: Clock;
  #cancel: (() => void) | undefined;

  constructor(plan: Plan, applicationId: string, clock: Clock) {
    this.#plan = plan;
    this.#applicationId = applicationId;
    this.#clock = clock;
  }

  /** @throws {IncompatiblePlanError} the group has positions of another plan */
  async check(cluster: StreamsCluster): Promise<void> {
    for (const { metadata } of await cluster.committedOffsets(this.#applicationId)) {
      const decoded = decodeCommitMetadata(metadata);
      if (decoded !== undefined) checkPlanHash(decoded, this.#plan, this.#applicationId);
    }
  }

  /** Checks now and then, as long as the instance has no tasks. Does nothing while it does so already. */
  start(cluster: StreamsCluster, hasTasks: () => boolean, fail: (error: unknown) => void): void {
    if (this.#cancel !== undefined) return;
    let isStopped = false;
    const cancel = this.#clock.after(intervalMs, () => {
      if (hasTasks()) return this.stop();
      this.check(cluster).then(
        () => {
          if (isStopped) return;
          this.stop();
          if (!hasTasks()) this.start(cluster, hasTasks, fail);
        },
        (error: unknown) => {
          if (!isStopped) fail(error);
        },
      );
    });
    this.#cancel = () => {
      isStopped = true;
      cancel();
    };
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}

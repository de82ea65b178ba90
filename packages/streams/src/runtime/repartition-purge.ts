import { topicNameOf } from '../plan/plan.ts';
import type { SessionOptions } from './session-options.ts';
import type { TaskRunner } from './task-runner.ts';

/** Kafka Streams' `repartition.purge.interval.ms`. */
const purgeIntervalMs = 30_000;

/** Deletes what tasks have read of repartition topics: it is nobody's any more. */
export class RepartitionPurge {
  readonly #options: SessionOptions;
  readonly #topics: ReadonlySet<string>;
  #lastPurgeMs: number;

  constructor(options: SessionOptions) {
    this.#options = options;
    const { plan, applicationId } = options;
    const own = plan.internalTopics.filter(({ topic }) => topic.kind === 'repartition');
    this.#topics = new Set(own.map(({ topic }) => topicNameOf(topic, applicationId)));
    this.#lastPurgeMs = options.clock.monotonic();
  }

  /** After a commit: only what it covers is deleted. The commit does not wait for it. */
  committed(runners: Iterable<TaskRunner>): void {
    const { clock, cluster, events } = this.#options;
    const nowMs = clock.monotonic();
    if (nowMs - this.#lastPurgeMs < purgeIntervalMs) return;
    this.#lastPurgeMs = nowMs;
    const positions = [...runners]
      .flatMap(({ inputs }) => inputs)
      .filter(({ topic }) => this.#topics.has(topic))
      .map(({ topic, partition, committedOffset }) => ({ topic, partition, offset: committedOffset }));
    if (positions.length === 0) return;
    cluster.deleteRecordsBefore(positions).catch((error: unknown) => {
      events.warn({ error }, 'Processed records of repartition topics could not be deleted. It is tried again later.');
    });
  }
}

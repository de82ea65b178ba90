import { topicNameOf, type Plan } from '../plan/plan.ts';
import { isSourceOf } from './opening-task.ts';
import type { StreamsCluster } from './cluster.ts';
import { NoOwnerError } from './errors.ts';
import type { TaskRunner } from './task-runner.ts';

interface Position {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/** Where tasks stand, for readers who wait for their own writes. */
export class Reflection {
  readonly #plan: Plan;
  readonly #applicationId: string;
  readonly #cluster: () => StreamsCluster;
  readonly #runner: (subtopology: number, partition: number) => TaskRunner | undefined;
  readonly #waiters = new Set<() => void>();

  constructor(options: {
    readonly plan: Plan;
    readonly applicationId: string;
    readonly cluster: () => StreamsCluster;
    readonly runner: (subtopology: number, partition: number) => TaskRunner | undefined;
  }) {
    this.#plan = options.plan;
    this.#applicationId = options.applicationId;
    this.#cluster = options.cluster;
    this.#runner = options.runner;
  }

  /** Positions have moved: a commit, or a fetch that only moved them. */
  moved(): void {
    for (const go of [...this.#waiters]) go();
  }

  /**
   * Resolves when a task has committed all that came of a record. If the record is further up the plan, it is followed down:
   * when its own task has committed it, what it caused is in the repartition topics before their ends; and so on.
   * @throws {NoOwnerError} a task on the way is not on this instance
   */
  async reached(
    position: Position,
    subtopology: number,
    partition: number,
    store: string,
    signal: AbortSignal,
  ): Promise<void> {
    const start = this.#plan.subtopologies.find(({ sources }) =>
      sources.some((id) => {
        const node = this.#plan.nodes[id]!;
        return node.kind === 'source' && isSourceOf(node, position.topic, this.#applicationId);
      }),
    );
    if (start === undefined) throw new NoOwnerError(store, partition); // not a topic that this plan reads
    await this.#passed(start.index, position.partition, position.topic, position.offset + 1, store, signal);

    const path = this.#path(start.index, subtopology);
    for (const [index, topic] of path.entries()) {
      const ends = await this.#cluster().endOffsets(topic.name);
      for (const [other, end] of ends) {
        // Only its own partition counts where the path ends; before, any may have been written.
        if (index === path.length - 1 && other !== partition) continue;
        await this.#passed(topic.readBy, other, topic.name, end, store, signal);
      }
    }
  }

  /** Repartition topics between two sub-topologies, in order. */
  #path(from: number, to: number): readonly { readonly name: string; readonly readBy: number }[] {
    const edges = this.#plan.internalTopics.flatMap(({ topic, subtopology }) => {
      const name = topicNameOf(topic, this.#applicationId);
      return topic.kind === 'repartition' ? [{ name, writtenBy: subtopology, readBy: this.#readerOf(name) }] : [];
    });
    const paths = [{ at: from, topics: [] as { readonly name: string; readonly readBy: number }[] }];
    for (const { at, topics } of paths) {
      if (at === to) return topics;
      for (const edge of edges) {
        const isNew = edge.writtenBy === at && !topics.some(({ name }) => name === edge.name);
        if (isNew) paths.push({ at: edge.readBy, topics: [...topics, edge] });
      }
    }
    return [];
  }

  #readerOf(topic: string): number {
    return this.#plan.subtopologies.findIndex(({ sources }) =>
      sources.some((id) => {
        const node = this.#plan.nodes[id]!;
        return node.kind === 'source' && isSourceOf(node, topic, this.#applicationId);
      }),
    );
  }

  async #passed(
    subtopology: number,
    partition: number,
    topic: string,
    offset: number,
    store: string,
    signal: AbortSignal,
  ): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      const runner = this.#runner(subtopology, partition);
      if (runner === undefined) throw new NoOwnerError(store, partition);
      const input = runner.inputs.find((candidate) => candidate.topic === topic);
      if (input === undefined) throw new NoOwnerError(store, partition);
      // With nothing uncommitted, markers that were read move the position too.
      const reached = runner.isDirty ? input.committedOffset : input.queue.position;
      if (reached >= offset) return;
      await new Promise<void>((resolve) => {
        const go = (): void => {
          this.#waiters.delete(go);
          signal.removeEventListener('abort', go);
          resolve();
        };
        this.#waiters.add(go);
        signal.addEventListener('abort', go, { once: true });
      });
    }
  }
}

import type { ClusterClient } from '../network/cluster-client.ts';

/** How soon a topic that does not exist yet is looked for again. */
const missingTopicCheckMs = 1_000;

/** The topics a group member wants, by name or pattern, and whether they have changed since they were assigned. */
export class Subscription {
  readonly #cluster: ClusterClient;
  readonly #wanted: readonly string[] | RegExp;
  #seenTopics: readonly string[] = [];
  #seenCounts: ReadonlyMap<string, number> = new Map();
  #isMissingTopics = false;

  constructor(cluster: ClusterClient, wanted: readonly string[] | RegExp) {
    this.#cluster = cluster;
    this.#wanted = wanted;
  }

  get isPattern(): boolean {
    return this.#wanted instanceof RegExp;
  }

  get checkIntervalMs(): number {
    const { metadataMaxAgeMs } = this.#cluster;
    return this.#isMissingTopics ? Math.min(missingTopicCheckMs, metadataMaxAgeMs) : metadataMaxAgeMs;
  }

  async topics(): Promise<readonly string[]> {
    this.#seenTopics = await this.#currentTopics();
    return this.#seenTopics;
  }

  /** Of the topics that exist; what all members of a group want may be more than this one does. */
  async partitionCounts(topics: Iterable<string>): Promise<ReadonlyMap<string, number>> {
    this.#seenCounts = await this.#currentCounts(topics);
    return this.#seenCounts;
  }

  /** Asks the cluster. @param isLeader whether partition counts matter too */
  async hasChanged(isLeader: boolean): Promise<boolean> {
    const topics = await this.#currentTopics();
    if (topics.join() !== this.#seenTopics.join()) return true;
    if (!isLeader) return false;
    const seen = this.#seenCounts;
    const counts = await this.#currentCounts(new Set([...topics, ...seen.keys()]));
    return counts.size !== seen.size || [...counts].some(([topic, count]) => seen.get(topic) !== count);
  }

  async #currentTopics(): Promise<readonly string[]> {
    if (!(this.#wanted instanceof RegExp)) return this.#wanted;
    const pattern = this.#wanted;
    const topics = await this.#cluster.retrying(() => this.#cluster.listTopics());
    const matches = topics.filter((topic) => {
      pattern.lastIndex = 0; // a `g` or `y` flag would make it remember
      return !topic.isInternal && pattern.test(topic.name);
    });
    return matches.map((topic) => topic.name).sort();
  }

  async #currentCounts(topics: Iterable<string>): Promise<ReadonlyMap<string, number>> {
    const names = [...topics];
    await this.#cluster.refresh(names);
    const counts = new Map<string, number>();
    for (const name of names.sort()) {
      const topic = this.#cluster.metadata.topics.get(name);
      if (topic !== undefined) counts.set(name, topic.partitions.length);
    }
    this.#isMissingTopics = counts.size < names.length;
    return counts;
  }
}

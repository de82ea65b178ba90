import { NotCopartitionedError } from '../errors.ts';
import { topicNameOf, type InternalTopic, type Plan, type Subtopology, type TopicRef } from '../plan/plan.ts';
import { topicsOf, type SubtopologySources } from './assignor.ts';
import type { StreamsCluster } from './cluster.ts';
import { IncompatiblePlanError, MissingTopicError } from './errors.ts';

/** The sources of each sub-topology, by full topic name: what the assignor deals out. */
export function sourcesOf(plan: Plan, applicationId: string): readonly SubtopologySources[] {
  return plan.subtopologies.map((subtopology) => {
    const sources = sourceTopicsOf(plan, subtopology);
    return {
      subtopology: subtopology.index,
      topics: sources.flatMap((topic) => (topic.kind === 'pattern' ? [] : [topicNameOf(topic, applicationId)])),
      patterns: sources.flatMap((topic) => (topic.kind === 'pattern' ? [topic.pattern] : [])),
    };
  });
}

/**
 * How many partitions each internal topic needs, given the topics that exist. Those of a repartition topic: as asked for, else
 * the most that a topic co-partitioned with it has, else the most the sources have whose sub-topology writes it. Repartition
 * topics may hang on one another, so this goes round until nothing is left.
 * @throws {MissingTopicError} a source does not exist
 * @throws {NotCopartitionedError} topics whose equal keys must meet differ
 */
export function sizeInternalTopics(
  plan: Plan,
  applicationId: string,
  existing: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> {
  const nameOf = (topic: TopicRef): string => topicNameOf(topic, applicationId);
  const repartitions = plan.internalTopics.filter(({ topic }) => topic.kind === 'repartition');
  const isInternal = new Set(plan.internalTopics.map(({ topic }) => nameOf(topic)));
  const sources = sourcesOf(plan, applicationId);

  const external = sources.flatMap(({ topics }) => topics.filter((topic) => !isInternal.has(topic)));
  const tables = plan.globalTables.map(({ topic }) => topic);
  const missing = [...new Set([...external, ...tables])].filter((topic) => !existing.has(topic));
  if (missing.length > 0) throw new MissingTopicError(missing.sort(), 'reads');

  const sizes = new Map<string, number>();
  const sizeOf = (topic: string): number | undefined =>
    isInternal.has(topic) ? sizes.get(topic) : existing.get(topic);
  for (const { topic, numPartitions } of repartitions) {
    if (numPartitions !== undefined) sizes.set(nameOf(topic), numPartitions);
  }
  let unsized = repartitions.filter(({ numPartitions }) => numPartitions === undefined);
  while (unsized.length > 0) {
    const left = unsized.filter((internal) => {
      const size = sizeFromOthers(internal);
      if (size !== undefined) sizes.set(nameOf(internal.topic), size);
      return size === undefined;
    });
    // Left over in a circle (a pipeline that feeds itself): what is known of its writers' sources decides.
    if (left.length === unsized.length) for (const { topic } of left) sizes.set(nameOf(topic), 1);
    unsized = left.filter(({ topic }) => !sizes.has(nameOf(topic)));
  }
  for (const group of plan.copartitions) checkCopartitioned(group.map(nameOf), sizeOf);

  for (const { topic, subtopology } of plan.internalTopics) {
    if (topic.kind === 'changelog') sizes.set(nameOf(topic), taskCount(subtopology));
  }
  return sizes;

  function sizeFromOthers({ topic, subtopology }: InternalTopic): number | undefined {
    const name = nameOf(topic);
    const partners = plan.copartitions.map((group) => group.map(nameOf)).filter((group) => group.includes(name));
    const known = partners.flat().filter((partner) => partner !== name && !isUnsized(partner));
    if (known.length > 0) return Math.max(...known.map((partner) => sizeOf(partner)!));
    const inputs = topicsOf(sources[subtopology]!, [...existing.keys(), ...isInternal]);
    const sized = inputs.filter((input) => sizeOf(input) !== undefined);
    return sized.length < inputs.length || sized.length === 0 ? undefined : Math.max(...sized.map((t) => sizeOf(t)!));
  }
  function isUnsized(topic: string): boolean {
    return sizeOf(topic) === undefined;
  }
  function taskCount(subtopology: number): number {
    const inputs = topicsOf(sources[subtopology]!, new Set([...existing.keys(), ...isInternal]));
    return Math.max(1, ...inputs.map((topic) => sizeOf(topic) ?? 0));
  }
}

/** At least once: what a crash leaves behind is undone by the value before it, which must not be compacted away so soon. */
const compactionLag = { 'min.compaction.lag.ms': '3600000' };

/**
 * Makes the internal topics that are missing, and checks those that are there.
 * @returns partition counts of all topics that exist then
 * @throws {IncompatiblePlanError} an internal topic has another number of partitions than the plan needs
 */
export async function prepareTopics(
  plan: Plan,
  applicationId: string,
  cluster: StreamsCluster,
  options: { readonly replicationFactor: number; readonly guarantee: 'exactly_once_v2' | 'at_least_once' },
): Promise<ReadonlyMap<string, number>> {
  const existing = new Map(await cluster.partitionCounts());
  const sizes = sizeInternalTopics(plan, applicationId, existing);
  for (const internal of plan.internalTopics) {
    const name = topicNameOf(internal.topic, applicationId);
    const numPartitions = sizes.get(name)!;
    const actual = existing.get(name);
    const mustLag = internal.topic.kind === 'changelog' && options.guarantee === 'at_least_once';
    if (actual === undefined) {
      const config = mustLag ? { ...compactionLag, ...internal.config } : internal.config;
      await cluster.createTopic({ name, numPartitions, replicationFactor: options.replicationFactor, config });
      existing.set(name, numPartitions);
    } else if (actual !== numPartitions) {
      throw new IncompatiblePlanError(
        `The internal topic ${name} has ${actual} partitions, but the plan needs ${numPartitions}: a source was given more, ` +
          'and its keys have moved to other partitions than their state.',
        { topic: name, partitions: actual, needed: numPartitions },
      );
    } else if (mustLag && (await cluster.topicDetails(name)).minCompactionLagMs === 0) {
      await cluster.setTopicConfig(name, compactionLag); // it was made exactly once
    }
  }
  return existing;
}

function sourceTopicsOf(
  plan: Plan,
  subtopology: Subtopology,
): readonly (TopicRef | { readonly kind: 'pattern'; readonly pattern: RegExp })[] {
  return subtopology.sources.flatMap((id) => {
    const node = plan.nodes[id]!;
    return node.kind === 'source' ? [node.topic] : [];
  });
}

function checkCopartitioned(topics: readonly string[], sizeOf: (topic: string) => number | undefined): void {
  const counts = Object.fromEntries(topics.map((topic) => [topic, sizeOf(topic) ?? 0]));
  if (new Set(Object.values(counts)).size > 1) throw new NotCopartitionedError(counts);
}

import { topicNameOf, type Plan } from '../plan/plan.ts';
import { sizeInternalTopics, sourcesOf } from '../runtime/internal-topics.ts';

/**
 * How many partitions the driver's topics have. Of a source: what its contract says, or the contract of a topic that it meets in
 * a join; else the default. Internal topics are sized as the runtime does. Of any other topic: the default.
 */
export function partitionCountsOf(plan: Plan, defaultCount: number): (topic: string) => number {
  const { applicationId, contractPartitions, copartitions, globalTables } = plan;
  const sources = sourcesOf(plan, applicationId);
  const isInternal = new Set(plan.internalTopics.map(({ topic }) => topicNameOf(topic, applicationId)));
  const counts = new Map(contractPartitions);
  for (const group of copartitions) {
    const names = group.map((topic) => topicNameOf(topic, applicationId)).filter((name) => !isInternal.has(name));
    const count = names.map((name) => contractPartitions.get(name)).find((contract) => contract !== undefined);
    if (count !== undefined) for (const name of names) counts.set(name, count);
  }
  for (const name of [...sources.flatMap(({ topics }) => topics), ...globalTables.map(({ topic }) => topic)]) {
    if (!isInternal.has(name) && !counts.has(name)) counts.set(name, defaultCount);
  }
  const internal = sizeInternalTopics(plan, applicationId, counts);
  // A pattern's topics come later, with the default.
  const least = sources.some(({ patterns }) => patterns.length > 0) ? defaultCount : 1;
  for (const { topic, numPartitions } of plan.internalTopics) {
    const name = topicNameOf(topic, applicationId);
    counts.set(name, numPartitions ?? Math.max(internal.get(name)!, least));
  }
  return (topic) => counts.get(topic) ?? defaultCount;
}

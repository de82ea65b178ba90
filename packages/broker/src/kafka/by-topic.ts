/** Lists of one item a partition, as the core has them, in the nesting of Kafka's messages; topics in the order of their first. */
export function byTopic<T extends { readonly topic: string }, P>(
  items: readonly T[],
  partitionOf: (item: T) => P,
): { name: string; partitions: P[] }[] {
  const topics = new Map<string, P[]>();
  for (const item of items) {
    const partitions = topics.get(item.topic);
    if (partitions === undefined) topics.set(item.topic, [partitionOf(item)]);
    else partitions.push(partitionOf(item));
  }
  return Array.from(topics, ([name, partitions]) => ({ name, partitions }));
}

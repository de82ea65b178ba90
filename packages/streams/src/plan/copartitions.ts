import { NotCopartitionedError } from '../errors.ts';
import type { PlanNode, TopicRef } from './plan.ts';

/**
 * Groups of topics whose equal keys must meet: what reaches one join, one store, or processors that share one.
 * @throws {NotCopartitionedError} where their contracts name different numbers of partitions
 */
export function copartitionsOf(nodes: readonly PlanNode[], contractCounts: ReadonlyMap<string, number>): TopicRef[][] {
  const topics = new Map<string, TopicRef>();
  const counts = new Map<string, number>();
  const idOf = (topic: TopicRef): string => `${topic.kind}:${topic.name}`;
  const topicsOf = nodes.map((): Set<string> => new Set());
  for (const node of nodes) {
    const reached = topicsOf[node.id]!;
    if (node.kind === 'source') {
      if (node.topic.kind === 'pattern') continue;
      const id = idOf(node.topic);
      topics.set(id, node.topic);
      reached.add(id);
      const contract = node.topic.kind === 'external' ? contractCounts.get(node.topic.name) : undefined;
      if (contract !== undefined) counts.set(id, contract);
      continue;
    }
    for (const input of node.inputs) for (const id of topicsOf[input]!) reached.add(id);
    if (node.kind === 'repartition' && node.numPartitions !== undefined)
      counts.set(idOf(node.topic), node.numPartitions);
  }

  const groups: Set<string>[] = [];
  const addGroup = (group: ReadonlySet<string>): void => {
    if (group.size < 2) return;
    const meeting = groups.filter((other) => [...group].some((id) => other.has(id)));
    for (const other of meeting) groups.splice(groups.indexOf(other), 1);
    groups.push(new Set([...group, ...meeting.flatMap((other) => [...other])]));
  };
  const byStore = new Map<string, Set<string>>();
  for (const node of nodes) {
    const needsEqualKeys = node.stores.length > 0 || node.kind === 'streamTableJoin' || node.kind === 'tableTableJoin';
    if (needsEqualKeys) addGroup(topicsOf[node.id]!);
    for (const store of node.stores) {
      const shared = byStore.get(store) ?? new Set();
      for (const id of topicsOf[node.id]!) shared.add(id);
      byStore.set(store, shared);
    }
  }
  for (const shared of byStore.values()) addGroup(shared);

  return groups.map((group) => {
    const known = [...group].filter((id) => counts.has(id));
    if (new Set(known.map((id) => counts.get(id))).size > 1) {
      throw new NotCopartitionedError(Object.fromEntries(known.map((id) => [topics.get(id)!.name, counts.get(id)!])));
    }
    return [...group].map((id) => topics.get(id)!);
  });
}

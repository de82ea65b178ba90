import { InvalidPlanError, NotCopartitionedError } from '../errors.ts';
import type { PlanNode, TopicRef } from './plan.ts';

/**
 * Groups of topics whose equal keys must meet: what reaches one join, one store, or processors that share one.
 * @throws {NotCopartitionedError} where their contracts name different numbers of partitions
 * @throws {InvalidPlanError} where their keys are encoded differently
 */
export function copartitionsOf(nodes: readonly PlanNode[], contractCounts: ReadonlyMap<string, number>): TopicRef[][] {
  const topics = new Map<string, TopicRef>();
  const counts = new Map<string, number>();
  const idOf = (topic: TopicRef): string => `${topic.kind}:${topic.name}`;
  const keyNames = new Map<string, string>();
  const topicsOf = nodes.map((): Set<string> => new Set());
  for (const node of nodes) {
    const reached = topicsOf[node.id]!;
    if (node.kind === 'source') {
      if (node.topic.kind === 'pattern') continue;
      const id = idOf(node.topic);
      topics.set(id, node.topic);
      keyNames.set(id, withoutNullable(node.key.name));
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
    if (needsEqualKeys) {
      addGroup(topicsOf[node.id]!);
      // Processors may well share a store by other keys than those of their records.
      if (node.kind !== 'process') checkKeys(node, topicsOf[node.id]!);
    }
    for (const store of node.stores) {
      const shared = byStore.get(store) ?? new Set();
      for (const id of topicsOf[node.id]!) shared.add(id);
      byStore.set(store, shared);
    }
  }
  for (const shared of byStore.values()) addGroup(shared);

  function checkKeys(node: PlanNode, reached: ReadonlySet<string>): void {
    const ids = [...reached];
    const pair = ids
      .flatMap((id, place) => ids.slice(0, place).map((other) => [other, id] as const))
      .find(([one, other]) => areApart(keyNames.get(one)!, keyNames.get(other)!));
    if (pair === undefined) return;
    const keys = Object.fromEntries(pair.map((id) => [topics.get(id)!.name, keyNames.get(id)]));
    const list = Object.entries(keys).map(([topic, key]) => `'${topic}' (${key})`);
    throw new InvalidPlanError(
      `The keys of ${list.join(' and ')} meet in '${node.name}', but are encoded differently, so equal keys would lie on ` +
        'different partitions. Give both topics one key serde, or one of the streams a new key: selectKey((_, key) => key, { name, key }).',
      { node: node.name, keys },
    );
  }

  return groups.map((group) => {
    const known = [...group].filter((id) => counts.has(id));
    if (new Set(known.map((id) => counts.get(id))).size > 1) {
      throw new NotCopartitionedError(Object.fromEntries(known.map((id) => [topics.get(id)!.name, counts.get(id)!])));
    }
    return [...group].map((id) => topics.get(id)!);
  });
}

/** Keys that are not null are the same bytes with and without `nullable`. */
function withoutNullable(serde: string): string {
  return serde.replace(/^nullable\((.*)\)$/, '$1');
}

/**
 * Whether equal keys are placed by other bytes. Windows lie where their key does, so they may meet the key's own topic, of whose
 * records they may be made; windows of two sizes are never equal.
 */
function areApart(one: string, other: string): boolean {
  const [inner, otherInner] = [innerOf(one), innerOf(other)];
  return inner !== one && otherInner !== other ? one !== other : inner !== otherInner;
}

function innerOf(serde: string): string {
  return withoutNullable(serde.replace(/^windowed\((.*),\d+\)$/, '$1').replace(/^sessionWindowed\((.*)\)$/, '$1'));
}

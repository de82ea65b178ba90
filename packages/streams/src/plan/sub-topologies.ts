import type { PlanNode } from './plan.ts';

/**
 * Node ids by sub-topology: nodes belong together if one feeds the other, or if they use one store. A repartition topic stands
 * between two. In the order of their first nodes, so adding to the end of a plan does not renumber what was there.
 */
export function groupNodes(nodes: readonly PlanNode[]): number[][] {
  const parent = nodes.map((_, id) => id);
  const rootOf = (id: number): number => {
    let root = id;
    while (parent[root] !== root) root = parent[root]!;
    while (parent[id] !== root) [id, parent[id]] = [parent[id]!, root];
    return root;
  };
  const unite = (a: number, b: number): void => {
    const [low, high] = [rootOf(a), rootOf(b)].toSorted((x, y) => x - y) as [number, number];
    parent[high] = low;
  };

  const ownerOf = new Map<string, number>();
  for (const { id, kind, inputs, stores } of nodes) {
    if (kind !== 'source') for (const input of inputs) unite(input, id); // a source reads its input's topic
    for (const store of stores) {
      const owner = ownerOf.get(store);
      if (owner === undefined) ownerOf.set(store, id);
      else unite(owner, id);
    }
  }
  const groups = new Map<number, number[]>();
  for (const { id } of nodes) {
    const root = rootOf(id);
    const group = groups.get(root);
    if (group === undefined) groups.set(root, [id]);
    else group.push(id);
  }
  return [...groups.values()];
}

import { InvalidPlanError } from '../errors.ts';
import type { PlanNode } from './plan.ts';

/**
 * A join of a table with one made of itself sees both sides change at once, but is told of them one after the other: the old rows
 * that it takes back are not the ones it has given. Nobody sees that on a topic; what works with old rows would go wrong. A store
 * behind the join knows what it has given.
 * @throws {InvalidPlanError}
 */
export function checkDiamonds(nodes: readonly PlanNode[]): void {
  for (const node of nodes) {
    if (!usesOldRows.has(node.kind)) continue;
    const join = node.inputs.map((input) => diamondBehind(nodes, nodes[input]!)).find((found) => found !== undefined);
    if (join === undefined) continue;
    throw new InvalidPlanError(
      `'${node.name}' works with the old rows of '${join.name}', which joins a table with one made of itself, and cannot tell ` +
        'them. Put .materialize({ name }) behind the join.',
      { node: node.name, join: join.name },
    );
  }
}

const usesOldRows: ReadonlySet<PlanNode['kind']> = new Set(['tableFilter', 'tableGroupBy', 'tableTableJoin']);
const views: ReadonlySet<PlanNode['kind']> = new Set(['tableFilter', 'tableMapValues', 'tableTableJoin']);

/** Up to the nearest stores: what has one knows its old rows. */
function diamondBehind(nodes: readonly PlanNode[], node: PlanNode): PlanNode | undefined {
  if (!views.has(node.kind)) return undefined;
  if (node.kind === 'tableTableJoin') {
    const [left, right] = node.inputs.map((input) => storesBehind(nodes, nodes[input]!));
    if ([...left!].some((id) => right!.has(id))) return node;
  }
  return node.inputs.map((input) => diamondBehind(nodes, nodes[input]!)).find((found) => found !== undefined);
}

function storesBehind(nodes: readonly PlanNode[], node: PlanNode): ReadonlySet<number> {
  if (!views.has(node.kind)) return new Set([node.id]);
  return new Set(node.inputs.flatMap((input) => [...storesBehind(nodes, nodes[input]!)]));
}

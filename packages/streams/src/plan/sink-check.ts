import { NondeterministicSinkError } from '../errors.ts';
import type { PlanNode } from './plan.ts';

/**
 * A replay must give a sink the same results again, so nothing between its source and it may hang on the order in which inputs
 * arrive, on the wall clock, or on answers from outside.
 * @throws {NondeterministicSinkError}
 */
export function checkSinks(nodes: readonly PlanNode[]): void {
  for (const sink of nodes) {
    if (sink.kind !== 'sink') continue;
    const because = reasonBehind(nodes, sink.id, new Set());
    if (because !== undefined) throw new NondeterministicSinkError(sink.name, because);
  }
}

function reasonBehind(nodes: readonly PlanNode[], id: number, seen: Set<number>): string | undefined {
  if (seen.has(id)) return undefined;
  seen.add(id);
  const node = nodes[id]!;
  const reason = reasonOf(node, nodes);
  if (reason !== undefined) return `${reason} ('${node.name}')`;
  if (node.kind === 'source') return undefined; // what is on a topic is fixed
  for (const input of node.inputs) {
    const behind = reasonBehind(nodes, input, seen);
    if (behind !== undefined) return behind;
  }
  return undefined;
}

function reasonOf(node: PlanNode, nodes: readonly PlanNode[]): string | undefined {
  switch (node.kind) {
    case 'merge':
      return 'a merge of two streams, in the order in which they come';
    case 'streamTableJoin':
    case 'streamGlobalTableJoin':
    case 'streamStreamJoin':
    case 'tableTableJoin':
      return 'a join, whose sides arrive in no fixed order';
    case 'mapAsync':
      return 'calls to the outside, which may answer otherwise next time';
    case 'windowAggregate':
      return node.idleCloseMs === undefined ? undefined : 'windows that close by the wall clock';
    case 'process':
      if (node.onTimer !== undefined) return 'a processor with timers, which may be on the wall clock';
      return nodes.some((other) => other.id !== node.id && other.stores.some((store) => node.stores.includes(store)))
        ? 'a processor that shares a store with another'
        : undefined;
    default:
      return undefined;
  }
}

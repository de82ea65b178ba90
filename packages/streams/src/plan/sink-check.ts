import { NondeterministicSinkError } from '../errors.ts';
import type { PlanNode, PlanStore, SinkNode } from './plan.ts';

/**
 * A replay must give a sink the same results again, so nothing between its source and it may hang on the order in which inputs
 * arrive, on the wall clock, or on answers from outside.
 * @throws {NondeterministicSinkError}
 */
export function checkSinks(
  nodes: readonly PlanNode[],
  stores: ReadonlyMap<string, Pick<PlanStore, 'emit' | 'ttlMs'>>,
): void {
  for (const sink of nodes) {
    if (sink.kind !== 'sink') continue;
    const because = reasonBehind({ nodes, stores }, sink, sink, new Set());
    if (because !== undefined) throw new NondeterministicSinkError(sink.name, because);
  }
}

interface Around {
  readonly nodes: readonly PlanNode[];
  readonly stores: ReadonlyMap<string, Pick<PlanStore, 'emit' | 'ttlMs'>>;
}

/** @param via the node on the way to the sink that `node` feeds */
function reasonBehind(
  around: Around,
  sink: SinkNode,
  node: PlanNode,
  seen: Set<number>,
  via?: PlanNode,
): string | undefined {
  if (seen.has(node.id)) return undefined;
  seen.add(node.id);
  const reason =
    reasonOf(node, around.nodes) ?? orderReason(around.nodes, node) ?? ordinalReason(around.stores, sink, node, via);
  if (reason !== undefined) return `${reason} ('${node.name}')`;
  if (node.kind === 'source') return undefined; // what is on a topic is fixed
  for (const input of node.inputs) {
    const behind = reasonBehind(around, sink, around.nodes[input]!, seen, node);
    if (behind !== undefined) return behind;
  }
  return undefined;
}

/** One state over the topics of a pattern: they are read side by side. */
function orderReason(nodes: readonly PlanNode[], node: PlanNode): string | undefined {
  if (node.stores.length === 0) return undefined;
  const isOverPattern = (id: number): boolean => {
    const above = nodes[id]!;
    return above.kind === 'source' ? above.topic.kind === 'pattern' : above.inputs.some(isOverPattern);
  };
  return node.inputs.some(isOverPattern)
    ? 'a state over topics of a pattern, whose records arrive in no fixed order'
    : undefined;
}

/** Which changes a commit passes on hangs on when it comes, and so does how many results a source record has. */
function ordinalReason(
  stores: Around['stores'],
  { sink }: SinkNode,
  node: PlanNode,
  via?: PlanNode,
): string | undefined {
  if (sink.tier !== 'idempotency-key' || via?.kind === 'final' || via?.kind === 'late') return undefined;
  const isTable = node.stores.length > 0 && node.kind !== 'process' && node.kind !== 'streamStreamJoin';
  if (!isTable) return undefined;
  if (node.stores.some((store) => stores.get(store)?.ttlMs !== undefined)) {
    return 'a table whose rows go by ttlMs, which a commit looks at';
  }
  const waits = node.stores.some((store) => stores.get(store)?.emit === 'commit');
  return waits ? "a table that passes on the last change of each commit (its store may say emit: 'update')" : undefined;
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

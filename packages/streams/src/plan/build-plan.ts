import { createHash } from 'node:crypto';
import type { Draft } from '../dsl/draft.ts';
import { DuplicateNameError, InvalidPlanError } from '../errors.ts';
import { copartitionsOf } from './copartitions.ts';
import { checkDiamonds } from './diamonds.ts';
import type { InternalTopic, Plan, PlanNode, PlanStore, SourceNode, Subtopology, TopicRef } from './plan.ts';
import { checkSinks } from './sink-check.ts';
import { groupNodes } from './sub-topologies.ts';

/** Makes a plan of a draft: puts repartition topics where new keys need them, cuts, checks, freezes. */
export function buildPlan(draft: Draft): Plan {
  const { nodes, outputOf } = withRepartitions(draft);
  if (!nodes.some(({ kind }) => kind === 'source')) {
    throw new InvalidPlanError('The plan reads no topic: begin with builder.stream(topic) or builder.table(topic, …).');
  }
  const groups = groupNodes(nodes);
  const usedStores = new Set(nodes.flatMap(({ stores }) => stores));
  const stores: PlanStore[] = [...draft.stores.values()]
    .filter(({ name }) => usedStores.has(name)) // a processor's store that no processor uses
    .map((store) => ({
      ...store,
      subtopology: groups.findIndex((group) => group.some((id) => nodes[id]!.stores.includes(store.name))),
    }));
  const subtopologies: Subtopology[] = groups.map((group, index) => ({
    index,
    nodes: group,
    sources: group.filter((id) => nodes[id]!.kind === 'source'),
    stores: stores.filter(({ subtopology }) => subtopology === index).map(({ name }) => name),
  }));
  for (const name of draft.globalTables.keys()) {
    if (draft.stores.has(name)) throw new DuplicateNameError('stores', name);
  }

  checkSinks(nodes, draft.stores);
  checkDiamonds(nodes);
  const copartitions = copartitionsOf(nodes, draft.partitionCounts);
  draft.outputOf = outputOf; // all checks have passed: nothing is added any more
  return deepFreeze({
    applicationId: draft.applicationId,
    hash: hashOf(nodes, stores, subtopologies),
    nodes,
    stores,
    subtopologies,
    globalTables: [...draft.globalTables.values()],
    internalTopics: internalTopics(nodes, stores, subtopologies),
    copartitions,
    contractPartitions: new Map(draft.partitionCounts),
  });
}

/** Nodes anew, with a repartition topic behind each new key that needs one; what followed the key then follows the topic. */
function withRepartitions(draft: Draft): { readonly nodes: PlanNode[]; readonly outputOf: Map<number, number> } {
  const nodes: PlanNode[] = [];
  const outputOf = new Map<number, number>();
  for (const node of draft.nodes) {
    const id = nodes.length;
    const inputs = node.inputs.map((input) => outputOf.get(input)!);
    const name = node.name === `${node.kind}-${node.id}` ? `${node.kind}-${id}` : node.name;
    nodes.push({ ...node, id, inputs, name });
    const rekey = draft.repartitioned.has(node.id) ? draft.rekeys.get(node.id) : undefined;
    outputOf.set(node.id, rekey === undefined ? id : id + 2);
    if (rekey === undefined) continue;
    const topic = { kind: 'repartition', name: rekey.name } as const;
    const shared = { topic, key: rekey.key, value: rekey.value, stores: [], onError: node.onError };
    nodes.push({
      ...shared,
      id: id + 1,
      kind: 'repartition',
      name: `${rekey.name}-repartition`,
      inputs: [id],
      partitioner: undefined,
      numPartitions: undefined,
    });
    nodes.push({
      ...shared,
      id: id + 2,
      kind: 'source',
      name: `${rekey.name}-source`,
      inputs: [id + 1],
      autoOffsetReset: 'earliest',
      timestampMs: undefined,
      onInvalid: 'fail',
      acceptsNullValues: true,
    });
  }
  const names = new Set<string>();
  for (const { name } of nodes) {
    if (names.has(name)) throw new DuplicateNameError('nodes', name); // one of them may have been named here
    names.add(name);
  }
  return { nodes, outputOf };
}

/** Said to a broker whose default may be LogAppendTime: what is read back would have the time of its writing. */
const keepsEventTime = { 'message.timestamp.type': 'CreateTime' };

function internalTopics(
  nodes: readonly PlanNode[],
  stores: readonly PlanStore[],
  subtopologies: readonly Subtopology[],
): InternalTopic[] {
  const topics: InternalTopic[] = [];
  for (const node of nodes) {
    if (node.kind !== 'repartition' && node.kind !== 'tableGroupBy') continue;
    topics.push({
      topic: node.topic as TopicRef & { readonly kind: 'repartition' },
      numPartitions: node.kind === 'repartition' ? node.numPartitions : undefined,
      // Records are deleted once they are processed, never by their age: event time may be long ago.
      config: { ...keepsEventTime, 'cleanup.policy': 'delete', 'retention.ms': '-1', 'segment.bytes': '52428800' },
      subtopology: subtopologies.findIndex(({ nodes: ids }) => ids.includes(node.id)),
    });
  }
  for (const { changelog, subtopology } of stores) {
    if (changelog.kind !== 'changelog') continue;
    topics.push({
      topic: changelog as TopicRef & { readonly kind: 'changelog' },
      numPartitions: undefined,
      // Windows too: their store deletes them when stream time has passed them. Retention would go by the broker's clock, and
      // take state of records of long ago while it is in use. (Kafka Streams: compact,delete.)
      config: { ...keepsEventTime, 'cleanup.policy': 'compact' },
      subtopology,
    });
  }
  return topics;
}

/**
 * Of what state hangs on: stores and internal topics with their encodings, what fills the stores, and how they are spread over
 * tasks. Functions, names of other nodes, stateless operators and the order in which a plan is written are not in it.
 */
function hashOf(
  nodes: readonly PlanNode[],
  stores: readonly PlanStore[],
  subtopologies: readonly Subtopology[],
): string {
  const topicOf = (node: SourceNode): string =>
    node.topic.kind === 'pattern'
      ? `/${node.topic.pattern.source}/${node.topic.pattern.flags}`
      : `${node.topic.kind}:${node.topic.name}`;
  const shapes = subtopologies.map(({ index, sources }) => ({
    sources: sources.map((id) => topicOf(nodes[id] as SourceNode)).toSorted(),
    stores: stores
      .filter(({ subtopology }) => subtopology === index)
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ name, kind, key, value, changelog, windowMs }) => [
        name,
        kind,
        key.name,
        value.name,
        changelog,
        windowMs,
        [...new Set(nodes.filter((node) => node.stores.includes(name)).map(fillingOf))], // processors may share it
      ]),
  }));
  const shape = shapes.map((one) => JSON.stringify(one)).toSorted();
  const internal = nodes
    .filter((node) => node.kind === 'repartition' || node.kind === 'tableGroupBy')
    .map(({ topic, key, value }) => [topic.kind === 'repartition' ? topic.name : '', key.name, value.name])
    .toSorted((a, b) => (a[0]! < b[0]! ? -1 : 1));
  return createHash('sha256')
    .update(JSON.stringify([1, shape, internal]))
    .digest('hex')
    .slice(0, 16);
}

/**
 * How a node fills its store, as far as the store's content is another if it differs: entries of other windows, or such as are
 * already passed on and would be passed on again.
 */
function fillingOf(node: PlanNode): string {
  switch (node.kind) {
    case 'aggregate':
    case 'tableAggregate':
      return `${node.kind} ${node.aggregation.kind}`;
    case 'windowAggregate':
      return `${node.kind} ${node.aggregation.kind} ${node.advanceMs} ${node.graceMs}`;
    case 'streamStreamJoin':
      return `${node.kind} ${node.join} ${node.beforeMs} ${node.afterMs} ${node.graceMs}`;
    default:
      return node.kind;
  }
}

/** The plan's own arrays and objects; serdes, sinks and functions are their owners'. */
function deepFreeze(plan: Plan): Plan {
  for (const part of [
    plan.nodes,
    plan.stores,
    plan.subtopologies,
    plan.globalTables,
    plan.internalTopics,
    plan.copartitions,
  ]) {
    Object.freeze(part);
    part.forEach((item) => Object.freeze(item));
  }
  return Object.freeze(plan);
}

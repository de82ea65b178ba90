import { topicNameOf, type Plan, type PlanNode } from './plan.ts';
import { topicOfNode } from './topology.ts';

export type DescribeFormat = 'text' | 'json' | 'mermaid';

/** A plan as people and programs read it. */
export function describePlan(plan: Plan, format: DescribeFormat): string {
  switch (format) {
    case 'text':
      return asText(plan);
    case 'json':
      return JSON.stringify(asData(plan), null, 2);
    case 'mermaid':
      return asMermaid(plan);
  }
}

function asText(plan: Plan): string {
  const lines = [`Topology ${plan.applicationId} (${plan.hash})`];
  for (const { index, nodes } of plan.subtopologies) {
    lines.push(`  Sub-topology ${index}`);
    for (const id of nodes) {
      const node = plan.nodes[id]!;
      const inputs = node.kind === 'source' ? [] : node.inputs.map((input) => plan.nodes[input]!.name);
      const topic = topicText(node, plan);
      lines.push(
        `    ${node.name} (${node.kind})` +
          `${inputs.length > 0 ? ` <- ${inputs.join(', ')}` : ''}` +
          `${topic === undefined ? '' : node.kind === 'source' ? ` <- topic ${topic}` : ` -> topic ${topic}`}` +
          `${node.stores.length > 0 ? ` [${node.stores.join(', ')}]` : ''}`,
      );
    }
  }
  for (const { store, topic } of plan.globalTables) lines.push(`  Global table ${store} <- topic ${topic}`);
  return `${lines.join('\n')}\n`;
}

function asData(plan: Plan): unknown {
  return {
    applicationId: plan.applicationId,
    hash: plan.hash,
    subtopologies: plan.subtopologies.map(({ index, nodes }) => ({
      index,
      nodes: nodes.map((id) => {
        const { name, kind, inputs, stores } = plan.nodes[id]!;
        const topic = topicText(plan.nodes[id]!, plan);
        return { name, kind, inputs: inputs.map((input) => plan.nodes[input]!.name), stores, topic };
      }),
    })),
    stores: plan.stores.map(({ name, kind, key, value, changelog, emit, ttlMs, windowMs, retentionMs }) => ({
      name,
      kind,
      key: key.name,
      value: value.name,
      changelog: topicNameOf(changelog, plan.applicationId),
      emit,
      ttlMs,
      windowMs,
      retentionMs,
    })),
    globalTables: plan.globalTables.map(({ store, topic }) => ({ store, topic })),
  };
}

/** Topics are drawn as stadiums, stores as cylinders, nodes as boxes. */
function asMermaid(plan: Plan): string {
  const lines = ['flowchart TD'];
  const topics = new Map<string, string>();
  const topicId = (topic: string): string => {
    const known = topics.get(topic);
    if (known !== undefined) return known;
    const id = `t${topics.size}`;
    topics.set(topic, id);
    lines.push(`  ${id}([${quoted(topic)}])`);
    return id;
  };
  for (const node of plan.nodes) {
    const topic = topicText(node, plan);
    if (topic !== undefined) topicId(topic);
  }
  plan.globalTables.forEach(({ store, topic }, place) => {
    lines.push(`  global${place}[(${quoted(store)})]`, `  ${topicId(topic)} --> global${place}`);
  });
  for (const { index, nodes } of plan.subtopologies) {
    lines.push(`  subgraph s${index} [Sub-topology ${index}]`);
    for (const id of nodes) lines.push(`    n${id}[${quoted(plan.nodes[id]!.name)}]`);
    plan.stores.forEach(({ name, subtopology }, place) => {
      if (subtopology === index) lines.push(`    store${place}[(${quoted(name)})]`);
    });
    lines.push('  end');
  }
  for (const node of plan.nodes) {
    const topic = topicText(node, plan);
    if (node.kind === 'source') {
      if (topic !== undefined) lines.push(`  ${topicId(topic)} --> n${node.id}`);
      continue;
    }
    for (const input of node.inputs) lines.push(`  n${input} --> n${node.id}`);
    if (topic !== undefined) lines.push(`  n${node.id} --> ${topicId(topic)}`);
    if (node.kind === 'streamGlobalTableJoin') {
      const { globalTable } = node;
      lines.push(`  global${plan.globalTables.findIndex(({ store }) => store === globalTable)} --> n${node.id}`);
    }
    for (const store of node.stores) {
      lines.push(`  n${node.id} -.- store${plan.stores.findIndex(({ name }) => name === store)}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function quoted(text: string): string {
  return `"${text.replaceAll('"', '#quot;')}"`;
}

function topicText(node: PlanNode, plan: Plan): string | undefined {
  return node.kind === 'source' && node.topic.kind === 'pattern'
    ? String(node.topic.pattern)
    : topicOfNode(node, plan.applicationId);
}

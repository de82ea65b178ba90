import assert from 'node:assert/strict';
import { describePlan, type DescribeFormat } from './describe.ts';
import { topicNameOf, type Plan, type PlanNode } from './plan.ts';

/** A plan: immutable data. It holds no connection, so one plan runs in a test, embedded, on a server, on a cluster. */
export interface Topology {
  readonly applicationId: string;
  /**
   * Of the stores, their encodings, and what fills them: existing state fits where it is the same. An app does not start over the
   * state of another hash.
   */
  readonly hash: string;
  readonly nodes: readonly TopologyNode[];
  /** The plan as a text, as JSON, or as a Mermaid flowchart. */
  describe(format: 'text' | 'json' | 'mermaid'): string;
}

/** An operator of a plan. */
export interface TopologyNode {
  readonly name: string;
  readonly kind: string;
  /** Nodes of one sub-topology run in one task. */
  readonly subtopology: number;
  readonly inputs: readonly string[];
  readonly stores: readonly string[];
  /** The topic that it reads or writes; undefined: none, several (a pattern), or chosen for each record. */
  readonly topic: string | undefined;
}

const plans = new WeakMap<Topology, Plan>();

/** The public face of a plan. */
export function topologyOf(plan: Plan): Topology {
  const topology: Topology = Object.freeze({
    applicationId: plan.applicationId,
    hash: plan.hash,
    nodes: plan.nodes.map((node): TopologyNode => {
      return Object.freeze({
        name: node.name,
        kind: node.kind,
        subtopology: plan.subtopologies.findIndex(({ nodes }) => nodes.includes(node.id)),
        inputs: node.inputs.map((input) => plan.nodes[input]!.name),
        stores: node.stores,
        topic: topicOfNode(node, plan.applicationId),
      });
    }),
    describe: (format: DescribeFormat) => describePlan(plan, format),
  });
  plans.set(topology, plan);
  return topology;
}

/** The plan behind a topology that `StreamsBuilder.build` has made. */
export function planOf(topology: Topology): Plan {
  const plan = plans.get(topology);
  assert(plan !== undefined, 'a topology is made by StreamsBuilder.build()');
  return plan;
}

/** The one topic that a node reads or writes. */
export function topicOfNode(node: PlanNode, applicationId: string): string | undefined {
  switch (node.kind) {
    case 'source':
      return node.topic.kind === 'pattern' ? undefined : topicNameOf(node.topic, applicationId);
    case 'repartition':
    case 'tableGroupBy':
      return topicNameOf(node.topic, applicationId);
    case 'to':
      return typeof node.topic === 'function' ? undefined : node.topic.name;
    default:
      return undefined;
  }
}

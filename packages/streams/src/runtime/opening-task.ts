import type { TopicPartitionId, TopicPartitionOffset } from '@millrace/client/bytes';
import { topicNameOf, type Plan, type SourceNode } from '../plan/plan.ts';
import type { StateStoreBackend } from '../state/store-backend.ts';
import type { StreamTask } from '../task/task-port.ts';
import { matches, type TaskId } from './assignor.ts';
import type { StreamsCluster } from './cluster.ts';
import { decodeCommitMetadata, type CommitMetadata } from './commit-metadata.ts';
import { IncompatiblePlanError } from './errors.ts';
import { OpenStore } from './open-store.ts';
import { PartitionQueue } from './partition-queue.ts';
import { bringUpToDate, restoreUpTo, type Correction, type RestoreSurroundings } from './restore.ts';
import type { TaskInput } from './task-runner.ts';

/** A partition as it was assigned, with what its group has committed there. */
export type AssignedPartition = TopicPartitionId & { readonly committed: TopicPartitionOffset | undefined };

/** A task that has been assigned and does not run yet: its stores are being filled. */
export interface OpeningTask {
  readonly id: TaskId;
  readonly task: StreamTask;
  readonly inputs: readonly TaskInput[];
  readonly stores: readonly OpenStore[];
  /** See `epochAfter`. */
  readonly epoch: number;
  /** As of the last commit. */
  readonly streamTimeMs: number;
  /** At least once: where each changelog stood at the last commit, by store. */
  readonly changelogEnds: Readonly<Record<string, number>> | undefined;
  /** Of an input nothing was committed yet: till it is, the next owner would look for the beginning anew, and that may have moved. */
  readonly hasNewInput: boolean;
}

/** What opening needs to know of the app. */
export interface OpeningSurroundings {
  readonly plan: Plan;
  readonly applicationId: string;
  readonly cluster: StreamsCluster;
  readonly partitionCounts: ReadonlyMap<string, number>;
  readonly createTask: (id: TaskId) => StreamTask;
  readonly backendOf: (store: string) => StateStoreBackend | undefined;
  readonly warn: (context: object, message: string) => void;
  readonly nowMs: () => number;
}

/**
 * Finds out where a task goes on, and opens its stores, unclaimed. The partitions are all those of one task.
 * @throws {IncompatiblePlanError} the positions were committed by another plan
 */
export async function openTask(
  id: TaskId,
  partitions: readonly AssignedPartition[],
  around: OpeningSurroundings,
): Promise<OpeningTask> {
  checkPartitionCounts(id, around);
  const inOrder = [...partitions].sort((a, b) => (a.topic < b.topic ? -1 : 1));
  const metadata = committedBy(inOrder, around);
  const inputs: TaskInput[] = [];
  for (const partition of inOrder) {
    inputs.push(await openInput(id, partition, around));
  }
  const task = around.createTask(id);
  const stores: OpenStore[] = [];
  try {
    for (const store of task.stores) {
      const { changelog, name, key, value, kind, windowMs } = store.plan;
      const changelogTopic = topicNameOf(changelog, around.applicationId);
      const isSourceChangelog = changelog.kind !== 'changelog';
      const backend = await around.backendOf(name)?.openStore({
        applicationId: around.applicationId,
        name,
        partition: id.partition,
        partitionCount: around.partitionCounts.get(changelogTopic) ?? 1,
        kind: kind === 'window' || kind === 'join' ? 'window' : 'keyValue',
        windowMs,
        changelogTopic,
        isSourceChangelog,
        keySerde: key.name,
        valueSerde: value.name,
      });
      stores.push(new OpenStore({ store, partition: id.partition, changelogTopic, isSourceChangelog, backend }));
    }
  } catch (error) {
    await Promise.allSettled(stores.map((store) => store.close()));
    task.close();
    throw error;
  }
  return {
    id,
    task,
    inputs,
    stores,
    epoch: epochAfter(metadata, around.nowMs()),
    streamTimeMs: metadata?.streamTimeMs ?? -1,
    changelogEnds: metadata?.changelogEnds,
    hasNewInput: partitions.some(({ committed }) => committed === undefined),
  };
}

/**
 * The epoch of a new owner, which sinks check. It follows the last one, whatever the clocks of both say: each owner commits its own
 * before it opens a sink. But offsets are reset by hand, and expire, while targets remember; so it is never less than the clock,
 * which puts it above all that was given out before, unless the last owner's clock ran ahead by more than the time since: then
 * sinks refuse, and the app begins again, until this clock has come there.
 *
 * The group's generation would begin again with the group; offsets of barriers are there only where stores are, and begin again
 * with their topic; producer ids are not in the order of the assignments.
 */
function epochAfter(last: CommitMetadata | undefined, nowMs: number): number {
  return Math.max((last?.epoch ?? 0) + 1, nowMs);
}

/** Fills the stores up to the barrier that has just been committed. */
export async function fillStores(
  opening: OpeningTask,
  around: RestoreSurroundings,
): Promise<readonly { readonly open: OpenStore; readonly corrections: readonly Correction[] }[]> {
  const filled = await Promise.all(
    opening.stores.map(async (open) => {
      const committedEnd = opening.changelogEnds?.[open.store.plan.name];
      let corrections: readonly Correction[] = [];
      if (open.isSourceChangelog) {
        const source = opening.inputs.find(({ topic }) => topic === open.changelogTopic)!;
        const ends = await around.cluster.endOffsets(open.changelogTopic);
        open.epoch = ends.get(open.partition) ?? 0;
        await bringUpToDate(open, source.queue.position, around);
      } else if (committedEnd !== undefined && committedEnd < open.epoch) {
        corrections = await restoreUpTo(open, committedEnd, open.epoch, around);
      } else await bringUpToDate(open, open.epoch, around);
      const positions = opening.inputs.map(({ topic, partition, queue }) => ({
        topic,
        partition,
        offset: queue.position,
      }));
      if (corrections.length === 0) await open.sendPositions(around.nowMs(), positions);
      await open.store.open();
      return { open, corrections };
    }),
  );
  return filled.filter(({ corrections }) => corrections.length > 0);
}

async function openInput(id: TaskId, assigned: AssignedPartition, around: OpeningSurroundings): Promise<TaskInput> {
  const { topic, partition, committed } = assigned;
  const { plan, applicationId, cluster } = around;
  const subtopology = plan.subtopologies[id.subtopology]!;
  const source = subtopology.sources.findIndex((node) =>
    isSourceOf(plan.nodes[node] as SourceNode, topic, applicationId),
  );
  const node = plan.nodes[subtopology.sources[source]!] as SourceNode;
  const startOffset = (await cluster.earliestOffsets(topic)).get(partition) ?? 0;
  const endOffset = (await cluster.endOffsets(topic)).get(partition) ?? 0;
  let offset = committed?.offset;
  if (offset !== undefined && (offset < startOffset || offset > endOffset)) {
    around.warn(
      { topic, partition, committed: offset, startOffset, endOffset },
      'The committed offset is outside of the log: records were deleted before they were processed, or the topic was made anew. ' +
        `Going on from the ${node.autoOffsetReset} one.`,
    );
    offset = undefined;
  }
  offset ??= node.autoOffsetReset === 'earliest' ? startOffset : endOffset;
  const queue = new PartitionQueue(topic, partition, offset);
  queue.highWatermark = endOffset;
  return { topic, partition, source, queue, isPaused: true, committedOffset: offset };
}

/** @throws {IncompatiblePlanError} a source was given more partitions than there are changelogs for */
function checkPartitionCounts({ subtopology, partition }: TaskId, around: OpeningSurroundings): void {
  const { plan, applicationId, partitionCounts } = around;
  for (const { name, changelog, subtopology: owner } of plan.stores) {
    const topic = topicNameOf(changelog, applicationId);
    const count = partitionCounts.get(topic) ?? 0;
    if (owner !== subtopology || changelog.kind !== 'changelog' || partition < count) continue;
    throw new IncompatiblePlanError(
      `A source was given more partitions, but the changelog of '${name}' has ${count}: the keys of partition ${partition} ` +
        'have moved to it from partitions where their state is.',
      { topic, partitions: count, needed: partition + 1 },
    );
  }
}

/**
 * The metadata of the last commit. Of the partitions: that of the last owner; of what it committed: that of its first input, which
 * is in each of its commits. Not by `committedAtMs`: owners' clocks differ, and may be set back.
 */
function committedBy(
  partitions: readonly AssignedPartition[],
  { plan, applicationId }: OpeningSurroundings,
): CommitMetadata | undefined {
  let last: CommitMetadata | undefined;
  for (const { committed } of partitions) {
    const metadata = decodeCommitMetadata(committed?.metadata);
    if (metadata === undefined) continue;
    checkPlanHash(metadata, plan, applicationId);
    if (last === undefined || metadata.epoch > last.epoch) last = metadata;
  }
  return last;
}

/** @throws {IncompatiblePlanError} */
export function checkPlanHash(metadata: CommitMetadata, plan: Plan, applicationId: string): void {
  if (metadata.planHash === plan.hash) return;
  throw new IncompatiblePlanError(
    `The group '${applicationId}' has state of another plan (hash ${metadata.planHash}; this plan's is ${plan.hash}).`,
    { applicationId, planHash: plan.hash, stateHash: metadata.planHash },
  );
}

/** Whether a source node reads this topic. */
export function isSourceOf(node: SourceNode, topic: string, applicationId: string): boolean {
  return node.topic.kind === 'pattern'
    ? matches(node.topic.pattern, topic)
    : topicNameOf(node.topic, applicationId) === topic;
}

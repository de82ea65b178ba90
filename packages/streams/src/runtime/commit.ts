import type {
  BytesConsumer,
  BytesProducer,
  BytesTransactionalProducer,
  GroupMetadata,
  TopicPartitionOffset,
} from '@millrace/client/bytes';
import { controlKey } from '../state/changelog-format.ts';
import { encodeCommitMetadata } from './commit-metadata.ts';
import { ChangelogConflictError } from './errors.ts';
import type { OpeningTask } from './opening-task.ts';
import type { RecordOutput } from './record-output.ts';
import { PartitionsLostError } from './session-end.ts';
import type { TaskRunner } from './task-runner.ts';

/** How a commit gets to the cluster: the one place where the two guarantees differ. */
export type CommitPath =
  | { readonly guarantee: 'exactly_once_v2'; readonly producer: BytesTransactionalProducer }
  | { readonly guarantee: 'at_least_once'; readonly producer: BytesProducer };

/** What is common to all commits of a session. */
export interface CommitSurroundings {
  readonly path: CommitPath;
  readonly consumer: BytesConsumer;
  readonly output: RecordOutput;
  readonly planHash: string;
  readonly nowMs: () => number;
  /** Throws what has ended the session since the commit began: also that the partitions are lost. */
  readonly throwIfFailed: () => void;
}

/**
 * Commits what tasks have processed since the last time (`runners`: those with something to commit), and the first positions and barriers of those that are being opened:
 * one transaction for all, since one producer serves all tasks of an instance (KIP-447).
 *
 * The order is what makes it exact. Calls to the outside are drained and caches let their last changes go on, until nothing is in
 * flight; sinks are flushed before the offsets that say so; outputs, changelogs and offsets become visible together, or
 * not at all; only then do stores' backends get the batch, so no backend is ever ahead of its changelog. Whatever throws on the
 * way leaves a transaction to be aborted, and tasks to be opened again from the last commit.
 *
 * At least once has no transaction, but the same order: an offset is committed when all that came of the input before it is
 * acknowledged, and with it goes where each changelog stood then.
 */
export async function commitTasks(
  runners: readonly TaskRunner[],
  opening: readonly OpeningTask[],
  around: CommitSurroundings,
): Promise<void> {
  const { path, consumer, output, planHash, nowMs } = around;
  for (const runner of runners) await drain(runner);
  for (const runner of runners) runner.task.flush();
  await output.settled();
  for (const runner of runners) await runner.sinks.flush();
  await output.settled(); // a sink that refused a record has sent a dead letter
  for (const task of opening) writeBarriers(task, output, planHash, nowMs());

  // Markers may move positions on while the commit is awaited: only these are committed.
  const positions = new Map(runners.map((runner) => [runner, positionsOf(runner)]));
  const collectOffsets = (): TopicPartitionOffset[] => [
    ...runners.flatMap((runner) => offsetsOf(runner, positions.get(runner)!, around)),
    ...opening.flatMap((task) => firstOffsetsOf(task, around)),
  ];
  if (path.guarantee === 'exactly_once_v2') {
    const offsets = collectOffsets();
    if (offsets.length > 0) await path.producer.sendOffsets(offsets, groupOf(around));
    await path.producer.commit();
    path.producer.begin();
  } else {
    await path.producer.flush();
    const offsets = collectOffsets(); // they say where the changelogs end, so after the flush
    if (offsets.length > 0) {
      groupOf(around);
      await consumer.commit(offsets);
    }
  }
  output.takeRecordCount();

  for (const [runner, committed] of positions) {
    runner.inputs.forEach((input, index) => (input.committedOffset = committed[index]!.offset));
    runner.hasProcessed = false;
    await sendToBackends(runner, committed, path.producer, nowMs());
  }
  for (const task of opening) {
    for (const store of task.stores) {
      if (!store.isSourceChangelog) {
        store.epoch = path.producer.ackedEndOffset(store.changelogTopic, store.partition)! - 1;
      }
    }
  }
}

/**
 * The generation in which the group has given the partitions. While a commit waited for calls and sinks, they may have become
 * another's. Then the consumer has no generation, or a later one: brokers take offsets of a transaction without a generation
 * from anybody, and those of the later one as a member's in good standing, though they were read in the earlier.
 * @throws {PartitionsLostError}
 */
function groupOf({ consumer, throwIfFailed }: CommitSurroundings): GroupMetadata {
  throwIfFailed(); // the later one: the loss is told before the group is joined again
  const group = consumer.groupMetadata;
  if (group.generationId < 0) throw new PartitionsLostError(group.groupId);
  return group;
}

/** No call to the outside in flight, no retry waiting, nothing staged, also of what goes on at the commit only. */
async function drain(runner: TaskRunner): Promise<void> {
  const { task } = runner;
  do {
    while (runner.hasStaged || !task.isDrained) {
      await task.drain();
      runner.processStaged();
    }
    task.passOn();
  } while (!task.isDrained);
}

function writeBarriers(task: OpeningTask, output: RecordOutput, planHash: string, nowMs: number): void {
  for (const { changelogTopic, partition, isSourceChangelog } of task.stores) {
    if (isSourceChangelog) continue;
    const value = Buffer.from(JSON.stringify({ plan: planHash, epoch: task.epoch }));
    output.send(changelogTopic, partition, nowMs, controlKey('barrier'), value, []);
  }
}

/** The first input is always there: its metadata speaks for the task. The others only if they have moved. */
function offsetsOf(
  runner: TaskRunner,
  positions: readonly TopicPartitionOffset[],
  around: CommitSurroundings,
): TopicPartitionOffset[] {
  const metadata = encodeCommitMetadata({
    planHash: around.planHash,
    streamTimeMs: runner.task.streamTimeMs,
    committedAtMs: around.nowMs(),
    epoch: runner.epoch,
    changelogEnds: changelogEndsOf(runner, around.path),
  });
  return positions
    .filter(({ offset }, index) => index === 0 || offset !== runner.inputs[index]!.committedOffset)
    .map((position) => ({ ...position, metadata }));
}

function positionsOf({ inputs }: TaskRunner): readonly TopicPartitionOffset[] {
  return inputs.map(({ topic, partition, queue }) => ({ topic, partition, offset: queue.position }));
}

function firstOffsetsOf(task: OpeningTask, around: CommitSurroundings): TopicPartitionOffset[] {
  const ends: Record<string, number> = {};
  for (const { store, changelogTopic, partition, isSourceChangelog } of task.stores) {
    if (isSourceChangelog) continue;
    // Until the dangling end of a changelog has been written over, it stays dangling.
    ends[store.plan.name] =
      task.changelogEnds?.[store.plan.name] ?? around.path.producer.ackedEndOffset(changelogTopic, partition)!;
  }
  const metadata = encodeCommitMetadata({
    planHash: around.planHash,
    streamTimeMs: task.streamTimeMs,
    committedAtMs: around.nowMs(),
    epoch: task.epoch,
    // Exactly once: only what at least once has left behind, until it is written over.
    changelogEnds: around.path.guarantee === 'at_least_once' ? ends : task.changelogEnds,
  });
  return task.inputs.map(({ topic, partition, queue }) => ({ topic, partition, offset: queue.position, metadata }));
}

/**
 * At least once nothing keeps a former owner, which does not know yet that it is one, from writing to a changelog. What it writes
 * behind the end that was committed last is undone by the next restore; so the end must never be moved over it.
 * @throws {ChangelogConflictError}
 */
function changelogEndsOf(runner: TaskRunner, path: CommitPath): Readonly<Record<string, number>> | undefined {
  if (path.guarantee === 'exactly_once_v2') return undefined;
  const ends: Record<string, number> = {};
  for (const { store, changelogTopic, partition, isSourceChangelog, ownChangelogEnd } of runner.stores) {
    if (isSourceChangelog) continue;
    const endOffset = path.producer.ackedEndOffset(changelogTopic, partition)!;
    if (endOffset !== ownChangelogEnd) {
      throw new ChangelogConflictError(changelogTopic, partition, endOffset - ownChangelogEnd);
    }
    ends[store.plan.name] = endOffset;
  }
  return ends;
}

async function sendToBackends(
  runner: TaskRunner,
  positions: readonly TopicPartitionOffset[],
  producer: BytesProducer,
  nowMs: number,
): Promise<void> {
  for (const open of runner.stores) {
    const nextOffset = open.isSourceChangelog
      ? positions.find(({ topic }) => topic === open.changelogTopic)!.offset
      : (producer.ackedEndOffset(open.changelogTopic, open.partition) ?? open.nextOffset);
    await open.sendCommit(nextOffset, positions, nowMs);
  }
}

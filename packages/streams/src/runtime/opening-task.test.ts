import { json, string, topic } from '@millrace/serde';
import { expect, it } from 'vitest';
import { StreamsBuilder } from '../index.ts';
import { planOf } from '../plan/topology.ts';
import type { StreamTask } from '../task/task-port.ts';
import type { StreamsCluster } from './cluster.ts';
import { encodeCommitMetadata } from './commit-metadata.ts';
import { openTask, type AssignedPartition } from './opening-task.ts';

/** Reads `left` and `right`. */
const plan = () => {
  const builder = new StreamsBuilder('app');
  const [left, right] = ['left', 'right'].map((name) =>
    builder.stream(topic(name, { key: string, value: json<number>() })),
  );
  left!.merge(right!).peek(() => {});
  return planOf(builder.build());
};

const cluster = {
  earliestOffsets: async () => new Map([[0, 0]]),
  endOffsets: async () => new Map([[0, 100]]),
} as unknown as StreamsCluster;

const open = (partitions: readonly AssignedPartition[], nowMs: number) =>
  openTask({ subtopology: 0, partition: 0 }, partitions, {
    plan: plan(),
    applicationId: 'app',
    cluster,
    partitionCounts: new Map(),
    createTask: () => ({ stores: [] as readonly unknown[] }) as StreamTask,
    backendOf: () => undefined,
    warn: () => {},
    nowMs: () => nowMs,
  });

function opening(left: { epoch: number; atMs: number }, right: { epoch: number; atMs: number }, nowMs = 0) {
  const { hash } = plan();
  const assigned = (name: string, { epoch, atMs }: { epoch: number; atMs: number }): AssignedPartition => {
    const changelogEnds = { store: name === 'left' ? 50 : 10 };
    const metadata = encodeCommitMetadata({
      planHash: hash,
      streamTimeMs: 1,
      committedAtMs: atMs,
      epoch,
      changelogEnds,
    });
    return { topic: name, partition: 0, committed: { topic: name, partition: 0, offset: 5, metadata } };
  };
  const partitions = [assigned('right', right), assigned('left', left)];
  return open(partitions, nowMs);
}

it.each([
  ["the last owner's, whatever the clock of the one before said", { epoch: 7, atMs: 100 }, { epoch: 6, atMs: 999 }, 50],
  ["the last owner's, also of a later input", { epoch: 6, atMs: 999 }, { epoch: 7, atMs: 100 }, 10],
  ["of one owner's the first input's, though its clock was set back", { epoch: 7, atMs: 1 }, { epoch: 7, atMs: 2 }, 50],
])('the metadata that speaks for a task is %s', async (_, left, right, end) => {
  expect(await opening(left, right)).toMatchObject({ epoch: 8, changelogEnds: { store: end } });
});

it.each([
  ['behind the last one', 5, 8],
  ['just behind it', 7, 8],
  ['at the next one', 8, 8],
  ['beyond it', 9, 9],
])('the epoch follows the last one and the clock: the clock is %s', async (_, nowMs, epoch) => {
  expect(await opening({ epoch: 7, atMs: 1 }, { epoch: 6, atMs: 1 }, nowMs)).toMatchObject({ epoch });
});

it('without offsets the epoch is the clock, as targets of sinks remember what the group has forgotten', async () => {
  const assigned = ['left', 'right'].map((name) => ({ topic: name, partition: 0, committed: undefined }));
  expect(await open(assigned, 1_700_000_000_000)).toMatchObject({ epoch: 1_700_000_000_000 });
  expect(await open(assigned, 0)).toMatchObject({ epoch: 1 });
});

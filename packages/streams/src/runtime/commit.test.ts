import { describe, expect, it } from 'vitest';
import type { BytesConsumer, BytesTransactionalProducer, GroupMetadata } from '@millrace/client/bytes';
import { commitTasks, type CommitSurroundings } from './commit.ts';
import type { OpeningTask } from './opening-task.ts';
import type { PartitionQueue } from './partition-queue.ts';
import type { RecordOutput } from './record-output.ts';
import type { TaskInput } from './task-runner.ts';

/** A task whose first position is to be committed, and a commit that notes what goes to the cluster. */
function commitIn(group: Partial<GroupMetadata>, throwIfFailed: () => void = () => {}) {
  const sent: unknown[] = [];
  const queue: Pick<PartitionQueue, 'position'> = { position: 7 };
  const opening = {
    stores: [],
    epoch: 1,
    streamTimeMs: 0,
    changelogEnds: undefined,
    inputs: [{ topic: 'numbers', partition: 0, queue } as TaskInput],
  } as unknown as OpeningTask;
  const groupMetadata = { groupId: 'app', groupInstanceId: undefined, generationId: 3, memberId: 'm', ...group };
  const producer = {
    sendOffsets: async (offsets: readonly { offset: number }[], as: GroupMetadata) =>
      void sent.push(as, ...offsets.map(({ offset }) => offset)),
    commit: async () => void sent.push('commit'),
    begin: () => void sent.push('begin'),
  } as unknown as BytesTransactionalProducer;
  const around: CommitSurroundings = {
    path: { guarantee: 'exactly_once_v2', producer },
    consumer: { groupMetadata } as BytesConsumer,
    output: { settled: async () => {}, takeRecordCount: () => 0 } as unknown as RecordOutput,
    planHash: 'plan',
    nowMs: () => 0,
    throwIfFailed,
  };
  return { committing: commitTasks([], [opening], around), sent, groupMetadata };
}

describe('a commit', () => {
  it("carries the group's generation", async () => {
    const { committing, sent, groupMetadata } = commitIn({});
    await committing;
    expect(sent).toEqual([groupMetadata, 7, 'commit', 'begin']);
  });

  it('is not tried without a generation, with which a broker would take it from anybody', async () => {
    const { committing, sent } = commitIn({ generationId: -1, memberId: '' });
    await expect(committing).rejects.toMatchObject({ code: 'PARTITIONS_LOST', retriable: true });
    expect(sent).toEqual([]);
  });

  it('is not tried in a later generation than that in which the partitions were lost', async () => {
    const lost = new Error('lost');
    const { committing, sent } = commitIn({ generationId: 4 }, () => {
      throw lost;
    });
    await expect(committing).rejects.toBe(lost);
    expect(sent).toEqual([]);
  });
});

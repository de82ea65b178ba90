import { describe, expect, it } from 'vitest';
import type { BytesConsumer, BytesTransactionalProducer, GroupMetadata } from '@millrace/client/bytes';
import { commitTasks, type CommitPath, type CommitSurroundings } from './commit.ts';
import type { OpeningTask } from './opening-task.ts';
import type { PartitionQueue } from './partition-queue.ts';
import type { RecordOutput } from './record-output.ts';
import type { TaskInput, TaskRunner } from './task-runner.ts';

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

  it.each(['exactly_once_v2', 'at_least_once'] as const)(
    'is of the positions as of its begin, though markers move them on while it is awaited (%s)',
    async (guarantee) => {
      const queue = { position: 7 };
      const input = { topic: 'numbers', partition: 0, queue, committedOffset: 3 };
      const told: unknown[] = [];
      const store = {
        changelogTopic: 'numbers',
        isSourceChangelog: true,
        store: { plan: { name: 'table' } },
        sendCommit: async (end: number, positions: readonly { offset: number }[]) =>
          void told.push(end, ...positions.map(({ offset }) => offset)),
      };
      const runner = {
        hasStaged: false,
        task: { isDrained: true, passOn: () => {}, flush: () => {}, streamTimeMs: 0 },
        sinks: { flush: async () => {} },
        inputs: [input],
        stores: [store],
        epoch: 1,
        hasProcessed: true,
      } as unknown as TaskRunner;
      const committed: number[] = [];
      const note = async (offsets: readonly { offset: number }[]): Promise<void> => {
        committed.push(...offsets.map(({ offset }) => offset));
        queue.position = 9; // the marker of the commit before has been fetched
      };
      const flush = async (): Promise<void> => void (queue.position = 8);
      const producer = { flush, sendOffsets: note, commit: flush, begin: () => {}, ackedEndOffset: () => undefined };
      await commitTasks([runner], [], {
        path: { guarantee, producer } as unknown as CommitPath,
        consumer: { groupMetadata: { generationId: 1 }, commit: note } as unknown as BytesConsumer,
        output: { settled: async () => {}, takeRecordCount: () => 0 } as unknown as RecordOutput,
        planHash: 'plan',
        nowMs: () => 0,
        throwIfFailed: () => {},
      });
      expect([committed, input.committedOffset, told, runner.hasProcessed]).toEqual([[7], 7, [7, 7], false]);
    },
  );

  it('awaits the calls that only what goes on at the commit makes, before anything of it is committed', async () => {
    const events: string[] = [];
    const rounds = [false, true]; // what goes on first makes a call, and its answer makes none
    const task = {
      isDrained: true,
      streamTimeMs: 0,
      drain: async (): Promise<void> => {
        events.push('drain');
        task.isDrained = true;
      },
      passOn: (): void => {
        events.push('passOn');
        task.isDrained = rounds.shift()!;
      },
      flush: () => void events.push('flush'),
    };
    const runner = {
      hasStaged: false,
      processStaged: () => 0,
      task,
      sinks: { flush: async () => void events.push('sinks') },
      inputs: [],
      stores: [],
    } as unknown as TaskRunner;
    const producer = { commit: async () => void events.push('commit'), begin: () => {} };
    await commitTasks([runner], [], {
      path: { guarantee: 'exactly_once_v2', producer } as unknown as CommitPath,
      consumer: { groupMetadata: { generationId: 1 } } as unknown as BytesConsumer,
      output: { settled: async () => {}, takeRecordCount: () => 0 } as unknown as RecordOutput,
      planHash: 'plan',
      nowMs: () => 0,
      throwIfFailed: () => {},
    });
    expect(events).toEqual(['passOn', 'drain', 'passOn', 'flush', 'sinks', 'commit']);
  });
});

import type { FetchedRecords } from '@millrace/client/bytes';
import { VirtualClock } from '@millrace/platform/simulated';
import { json, string, topic } from '@millrace/serde';
import { expect, it } from 'vitest';
import { StreamsBuilder } from '../index.ts';
import { planOf } from '../plan/topology.ts';
import { createTask } from '../task/task.ts';
import type { StreamsCluster } from './cluster.ts';
import type { RecordOutput } from './record-output.ts';
import type { RestoreSurroundings } from './restore.ts';
import type { SessionOptions } from './session-options.ts';
import { TaskSet, type TaskSetSurroundings } from './task-set.ts';

/** The tasks of a plan that reads `left` and `right`, and what they tell their consumer. */
function world(earliestOffsets: StreamsCluster['earliestOffsets'] = async () => new Map([[0, 0]])) {
  const builder = new StreamsBuilder('app');
  const [left, right] = ['left', 'right'].map((name) =>
    builder.stream(topic(name, { key: string, value: json<number>() })),
  );
  left!.merge(right!).peek(() => {});
  const clock = new VirtualClock();
  const failures: unknown[] = [];
  const told: string[] = [];
  const tell = (what: string) => (partitions: readonly { topic: string }[]) =>
    void told.push(`${what} ${partitions.map(({ topic: name }) => name).join(' ')}`);
  let filled: () => void = () => {};
  const isFilled = new Promise<void>((resolve) => (filled = resolve));
  const tasks = new TaskSet({
    options: {
      plan: planOf(builder.build()),
      applicationId: 'app',
      cluster: { earliestOffsets, endOffsets: async () => new Map([[0, 100]]) } as unknown as StreamsCluster,
      partitionCounts: new Map(),
      createTask,
      globalStores: new Map(),
      bufferedRecordsPerPartition: 4,
      maxTaskIdleMs: 0,
      clock,
      wallClock: clock,
      events: { environment: {}, warn: () => {}, taskOpened: () => {} },
    } as unknown as SessionOptions,
    consumer: {
      pause: tell('pause'),
      resume: tell('resume'),
      seek: ({ topic: name, offset }: { topic: string; offset: number }) => void told.push(`seek ${name} ${offset}`),
      endOffset: () => undefined,
    } as unknown as TaskSetSurroundings['consumer'],
    output: { isFull: false } as RecordOutput,
    restore: {} as RestoreSurroundings,
    wake: () => filled(),
    fail: (error) => void failures.push(error),
  });
  return { tasks, failures, told, isFilled };
}

const committedAt = (name: string, offset: number) => ({
  topic: name,
  partition: 0,
  committed: { topic: name, partition: 0, offset },
});

/** Records of `left`, each the text `1`. */
function fetched(firstOffset: number, count: number): FetchedRecords {
  const bytes = Buffer.from('1');
  const place = {
    timestampMs: 0,
    keyPosition: 0,
    keyLength: 1,
    valuePosition: 0,
    valueLength: 1,
    bytes,
    headerCount: 0,
  };
  return {
    topic: 'left',
    partition: 0,
    firstOffset,
    nextOffset: firstOffset + count,
    highWatermark: 100,
    byteLength: count,
    forEach: (visit: (reader: never) => void) => {
      for (let i = 0; i < count; i++) visit({ ...place, offset: firstOffset + i } as never);
    },
  };
}

it('a partition that comes while its task is being opened has all tasks opened anew: it would not be read', () => {
  const { tasks, failures } = world(() => new Promise(() => {}));
  tasks.assigned([committedAt('left', 0)]);
  void tasks.open(async () => {});
  expect(failures).toEqual([]);
  tasks.assigned([committedAt('right', 0)]);
  expect(failures).toEqual([expect.objectContaining({ code: 'TASK_CHANGED', retriable: true })]);
});

it('partitions are paused until their task runs; then each while its buffer is full, until half of it is processed', async () => {
  const { tasks, told, isFilled } = world();
  tasks.assigned([committedAt('left', 7), committedAt('right', 9)]);
  await tasks.open(async () => {});
  await isFilled;
  expect(told.splice(0)).toEqual(['pause left right', 'seek left 7', 'seek right 9']);
  tasks.startFilled();
  expect(told.splice(0)).toEqual(['seek left 7', 'seek right 9', 'resume left right']);

  const runner = tasks.runner(0, 0)!;
  const [left] = runner.inputs;
  tasks.take(fetched(7, 3));
  tasks.resumeInputs(runner);
  expect(told).toEqual([]);
  tasks.take(fetched(10, 1));
  expect(told.splice(0)).toEqual(['pause left']);
  left!.queue.shift();
  tasks.resumeInputs(runner);
  expect(told).toEqual([]); // three of four
  left!.queue.shift();
  tasks.resumeInputs(runner);
  expect(told).toEqual(['resume left']);
});

import { expect, it } from 'vitest';
import type { StreamTask } from '../task/task-port.ts';
import type { PartitionQueue } from './partition-queue.ts';
import { TaskRunner, type TaskInput } from './task-runner.ts';
import type { TaskSinks } from './task-sinks.ts';

/** A task of two inputs, `a` and `b`, whose logs end at 10; times of the records that wait in each. */
function runnerOf(options: {
  readonly a: number[];
  readonly b: number[];
  readonly bFetched?: number;
  readonly idleMs?: number;
}) {
  const processed: string[] = [];
  const state = { nowMs: 0, canProcess: true };
  const input = (topic: string, times: number[], nextFetchOffset: number): TaskInput => {
    const queue = {
      get size() {
        return times.length;
      },
      get timestampMs() {
        return times[0];
      },
      get position() {
        return nextFetchOffset - times.length;
      },
      nextFetchOffset,
      shift: () => void times.shift(),
    };
    return {
      topic,
      partition: 0,
      source: 0,
      queue: queue as unknown as PartitionQueue,
      isPaused: false,
      committedOffset: 0,
    };
  };
  const task = {
    get canProcess() {
      return state.canProcess;
    },
    process: (_: number, topic: string, { timestampMs }: { timestampMs: number }) =>
      void processed.push(`${topic}${timestampMs}`),
  } as unknown as StreamTask;
  const runner = new TaskRunner({
    id: { subtopology: 0, partition: 0 },
    task,
    inputs: [input('a', options.a, 10), input('b', options.b, options.bFetched ?? 10)],
    stores: [],
    sinks: {} as TaskSinks,
    epoch: 1,
    surroundings: {
      monotonic: () => state.nowMs,
      wallMs: () => state.nowMs,
      endOffset: () => 10,
      isOutputFull: false,
      maxTaskIdleMs: options.idleMs ?? 0,
    },
  });
  return { runner, state, processed };
}

it('takes the oldest record of its inputs, and of those that are read to their ends what there is', () => {
  const { runner, processed } = runnerOf({ a: [2, 5], b: [1, 3] });
  expect(runner.run(1)).toBe(4);
  expect(processed).toEqual(['b1', 'a2', 'b3', 'a5']);
});

it('waits for an input of which the log holds more, however long that takes', () => {
  const { runner, state, processed } = runnerOf({ a: [1], b: [], bFetched: 9, idleMs: 100 });
  expect([runner.run(1), runner.idleDeadlineMs]).toEqual([0, undefined]);
  state.nowMs = 1_000_000;
  expect([runner.run(1), processed]).toEqual([0, []]);
});

it('waits maxTaskIdleMs for one that is read to its end, and tells until when', () => {
  const { runner, state, processed } = runnerOf({ a: [1, 2], b: [], idleMs: 100 });
  expect([runner.run(1), runner.idleDeadlineMs]).toEqual([0, 100]);
  state.nowMs = 99;
  expect([runner.run(100), runner.idleDeadlineMs]).toEqual([0, 100]);
  state.nowMs = 100;
  expect([runner.run(101), runner.idleDeadlineMs, processed]).toEqual([2, undefined, ['a1', 'a2']]);
});

it('tells no time that has come while it cannot process: whoever waits would do so without end, and without rest', () => {
  const { runner, state } = runnerOf({ a: [1], b: [], idleMs: 100 });
  runner.run(1);
  state.nowMs = 100;
  state.canProcess = false; // calls to the outside are at their bound
  expect([runner.run(101), runner.idleDeadlineMs]).toEqual([0, undefined]);
});

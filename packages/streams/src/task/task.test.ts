import { json, string, topic } from '@millrace/serde';
import { VirtualClock } from '@millrace/platform/simulated';
import { expect, it } from 'vitest';
import { StreamsBuilder, type KStream } from '../index.ts';
import { planOf } from '../plan/topology.ts';
import { chooseInput } from './choose-input.ts';
import type { ObservedChange, ObservedRecord } from './ports.ts';
import { createTask, type Task } from './task.ts';

const input = topic('input', { key: string, value: json<number>() });

function taskOf(pipeline: (stream: KStream<string, number>) => unknown) {
  const builder = new StreamsBuilder('task');
  pipeline(builder.stream(input, { name: 'in' }));
  const clock = new VirtualClock();
  const sent: unknown[] = [];
  const records: ObservedRecord[] = [];
  const changes: ObservedChange[] = [];
  const task = createTask(
    planOf(builder.build()),
    { subtopology: 0, partition: 3 },
    {
      applicationId: 'task',
      collector: {
        partitionCount: () => 4,
        send: (name, partition, timestampMs) => void sent.push([name, partition, timestampMs]),
      },
      sink: () => {},
      globalStores: new Map(),
      clock,
      onProgress: () => {},
      onRecord: (_name, record) => void records.push(record),
      onChange: (_name, change) => void changes.push(change),
    },
  );
  task.start(-1);
  return { task, clock, sent, records, changes };
}
const process = (task: Task, value: number, timestampMs = 0): void =>
  task.process(0, 'input', {
    offset: value,
    timestampMs,
    key: Buffer.from('k'),
    value: Buffer.from(String(value)),
    headers: [],
  });

it('a changelog record goes to the task’s own partition, once for each key and commit', () => {
  const { task, sent } = taskOf((s) => s.groupByKey().count({ name: 'n' }));
  for (const value of [1, 2, 3]) process(task, value, value);
  expect(sent).toEqual([]);
  task.flush();
  expect(sent).toEqual([['task-n-changelog', 3, 3]]);
  task.flush();
  expect(sent).toHaveLength(1);
});

it('is dirty from the first record to the flush', () => {
  const { task } = taskOf((s) => s.groupByKey().count({ name: 'n' }));
  expect(task.isDirty).toBe(false);
  process(task, 1);
  expect(task.isDirty).toBe(true);
  task.flush();
  expect(task.isDirty).toBe(false);
});

it('drains calls and retries in whatever order they end, and then may commit', async () => {
  const answers: (() => void)[] = [];
  const call = (n: number) => new Promise<number>((resolve) => answers.push(() => resolve(n)));
  const { task } = taskOf((s) =>
    s.mapAsync(call, { concurrency: 2, timeoutMs: 100 }).groupByKey().count({ name: 'n' }),
  );
  process(task, 1);
  process(task, 2);
  expect([task.canProcess, task.isDrained]).toEqual([false, false]);
  const drained = task.drain();
  for (const answer of answers.reverse()) answer();
  await drained;
  expect([task.canProcess, task.isDrained]).toEqual([true, true]);
  task.flush();
});

it('a drain ends with the failure that ends the task', async () => {
  const { task } = taskOf((s) => s.mapAsync(() => Promise.reject(new Error('no')), { concurrency: 1, timeoutMs: 100 }));
  process(task, 1);
  await expect(task.drain()).rejects.toMatchObject({ code: 'RECORD_FAILED' });
});

it('closing ends a drain: nobody waits for answers that are not wanted', async () => {
  const { task } = taskOf((s) => s.mapAsync(() => new Promise<number>(() => {}), { concurrency: 1, timeoutMs: 100 }));
  process(task, 1);
  const drained = task.drain();
  task.close();
  await expect(drained).rejects.toMatchObject({ code: 'TASK_CLOSED', retriable: true });
  await expect(task.drain()).rejects.toMatchObject({ code: 'TASK_CLOSED' });
});

it('so it does for a retry that waits', async () => {
  const fail = (): never => {
    throw new Error('no');
  };
  const { task } = taskOf((s) => s.mapValues(fail, { onError: { retries: 5 } }));
  process(task, 1);
  const drained = task.drain();
  task.close();
  await expect(drained).rejects.toMatchObject({ code: 'TASK_CLOSED' });
});

it('reports what passes a node, and changes of a store as they go on, once it is asked to', () => {
  const { task, records, changes } = taskOf((s) =>
    s
      .mapValues((n) => n * 10, { name: 'tens' })
      .groupByKey()
      .count({ name: 'n' }),
  );
  process(task, 1);
  task.flush();
  task.observe('tens');
  task.observe('n');
  process(task, 2, 7);
  expect(records).toEqual([
    expect.objectContaining({ topic: 'input', partition: 3, offset: 2, timestampMs: 7, key: 'k', value: 20 }),
  ]);
  expect(changes).toEqual([]);
  task.flush();
  expect(changes).toEqual([{ key: 'k', oldValue: 1, newValue: 2, timestampMs: 7 }]);
});

it('counts what it does', () => {
  const { task } = taskOf((s) =>
    s
      .filter(
        (n) => {
          if (n === 2) throw new Error('two');
          return true;
        },
        { onError: 'skip' },
      )
      .groupByKey()
      .count({ name: 'n' }),
  );
  for (const value of [1, 2, 3]) process(task, value);
  task.process(0, 'input', { offset: 9, timestampMs: 0, key: Buffer.from('k'), value: Buffer.from('4'), headers: [] });
  expect(task.metrics).toMatchObject({
    processedRecords: 4,
    skippedRecords: 1,
    droppedRecords: 0,
    lateRecords: 0,
    retries: 0,
  });
});

it.each([
  ['nothing', [], -1],
  ['only empty inputs', [{ size: 0, timestampMs: 1 }], -1],
  [
    'the smallest time',
    [
      { size: 1, timestampMs: 5 },
      { size: 1, timestampMs: 3 },
      { size: 0, timestampMs: 1 },
    ],
    1,
  ],
  [
    'the first of equal ones',
    [
      { size: 0, timestampMs: 0 },
      { size: 1, timestampMs: 3 },
      { size: 1, timestampMs: 3 },
    ],
    1,
  ],
])('of %s the chosen input is %#', (_name, inputs, chosen) => {
  expect(chooseInput(inputs)).toBe(chosen);
});

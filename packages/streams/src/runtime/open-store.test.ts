import { VirtualClock } from '@millrace/platform/simulated';
import { json, string, topic } from '@millrace/serde';
import { expect, it } from 'vitest';
import { StreamsBuilder, tumbling } from '../index.ts';
import { planOf } from '../plan/topology.ts';
import type { BackendStore, CommitAnswer, StoreCommit } from '../state/index.ts';
import { createTask } from '../task/task.ts';
import { OpenStore } from './open-store.ts';

/** A store that has nothing and notes what it is told. */
class NotingBackend implements BackendStore {
  readonly isSynchronous = true;
  readonly commits: StoreCommit[] = [];
  verdict: 'applied' | 'lost' = 'applied';
  claim(): Promise<never> {
    return Promise.reject(new Error('the runtime claims'));
  }
  reset(): Promise<void> {
    return Promise.resolve();
  }
  get(): null {
    return null;
  }
  prefetch(): Promise<never> {
    return Promise.reject(new Error('it is near'));
  }
  scan(): Promise<void> {
    return Promise.resolve();
  }
  commit(batch: StoreCommit): Promise<CommitAnswer> {
    this.commits.push(batch);
    return Promise.resolve(
      this.verdict === 'lost' ? { verdict: 'lost', reason: 'a flush' } : { verdict: this.verdict },
    );
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** A task that counts in windows of a second, and its store. */
async function opened() {
  const builder = new StreamsBuilder('times');
  builder
    .stream(topic('input', { key: string, value: json<number>() }))
    .groupByKey()
    .windowedBy(tumbling({ sizeMs: 1000, graceMs: 0 }))
    .count({ name: 'counts', value: json<number>() });
  const task = createTask(
    planOf(builder.build()),
    { subtopology: 0, partition: 0 },
    {
      applicationId: 'times',
      collector: { partitionCount: () => 1, send: () => {} },
      sink: () => {},
      globalStores: new Map(),
      clock: new VirtualClock(),
      onProgress: () => {},
    },
  );
  const backend = new NotingBackend();
  const [store] = task.stores;
  store!.attach(backend, -1);
  await store!.open();
  const open = new OpenStore({
    store: store!,
    partition: 0,
    changelogTopic: 'times-counts-changelog',
    isSourceChangelog: false,
    backend,
  });
  open.filled();
  task.start(-1);
  const process = (offset: number, timestampMs: number): void =>
    task.process(0, 'input', { offset, timestampMs, key: Buffer.from('k'), value: Buffer.from('1'), headers: [] });
  return { task, backend, open, process };
}
const positions = [{ topic: 'input', partition: 0, offset: 0 }];

it('tells a backend the stream time that is committed, not that of records in hand', async () => {
  const { task, backend, open, process } = await opened();

  process(0, 700);
  await open.sendPositions(0, positions);
  task.flush();
  await open.sendCommit(1, positions, 0);
  process(1, 5000);
  await open.sendPositions(0, positions);
  expect(open.committedStreamTimeMs).toBe(700);
  task.flush();
  await open.sendCommit(2, positions, 0);
  await open.settled();
  expect(backend.commits.map(({ streamTimeMs }) => streamTimeMs)).toEqual([-1, 700, 700, 5000]);
});

it('keeps in memory what a backend has refused until it is brought back, and no longer', async () => {
  const { task, backend, open, process } = await opened();
  backend.verdict = 'lost';
  process(0, 0);
  task.flush();
  await open.sendCommit(1, positions, 0);
  await open.settled();
  expect(open.isStale).toBe(true);
  const kept = (): number => {
    open.store.evict(0);
    return open.store.entryCount;
  };
  expect(kept()).toBe(1);
  process(1, 500);
  task.flush();
  await open.sendCommit(2, positions, 0); // not sent at all
  expect([kept(), backend.commits.length]).toEqual([1, 1]);
  open.filled();
  expect(kept()).toBe(0);
});

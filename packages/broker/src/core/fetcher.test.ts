import { defaultLogConfig, GroupCommit, PartitionLog, TailCache, type ReadResult } from '@millrace/log';
import { memoryFileSystem } from '@millrace/platform';
import { VirtualClock } from '@millrace/platform/simulated';
import { expect, it } from 'vitest';
import { batchOf, valuesOf } from '../testing/batches.ts';
import { onVirtualTime } from '../testing/virtual-time.ts';
import { Fetcher, type FetchRequest, type FetchResult } from './fetcher.ts';

/** Logs of a broker in memory on virtual time, one for each partition. */
class Logs {
  readonly clock: VirtualClock = new VirtualClock();
  readonly run: <T>(task: Promise<T>) => Promise<T> = onVirtualTime(this.clock);
  readonly logs: PartitionLog[] = [];
  readonly fetcher: Fetcher;

  private constructor(responseBudget?: () => number) {
    this.fetcher = new Fetcher({ clock: this.clock, responseBudget });
  }

  static async open(count: number, responseBudget?: () => number): Promise<Logs> {
    const world = new Logs(responseBudget);
    const files = memoryFileSystem();
    files.makeDirectory('/data');
    const commits = new GroupCommit({ flush: 'os', clock: world.clock, onFailure: () => {} });
    for (let partition = 0; partition < count; partition++) {
      const log = PartitionLog.open({
        topic: 'orders',
        partition,
        directory: `/data/orders-${partition}`,
        topicId: '01234567-89ab-4def-8123-456789abcdef',
        files,
        clock: world.clock,
        commits,
        config: defaultLogConfig,
        tailCache: new TailCache({ maxBytes: 1 << 24 }),
        wasClosedCleanly: false,
      });
      world.logs.push(await world.run(log));
    }
    return world;
  }

  request(options: Partial<FetchRequest> = {}): FetchRequest {
    return {
      positions: this.logs.map((log) => ({ log, offset: log.logEndOffset, maxBytes: 1 << 20 })),
      isolation: 'read_uncommitted',
      maxBytes: 1 << 24,
      minBytes: 1,
      maxWaitMs: 60_000,
      ...options,
    };
  }
}

const valuesIn = (results: readonly FetchResult[]): unknown[] =>
  results.map((result) => valuesOf((result as ReadResult).parts).map(([, value]) => value));

it('wakes once for a commit over many logs, and gives the news of all of them', async () => {
  const world = await Logs.open(3);
  const waiting = world.fetcher.fetch(world.request());
  expect(world.fetcher.parkedCount).toBe(1);
  for (const [index, log] of world.logs.entries()) log.append(batchOf([`v${index}`]), 'client');
  await world.clock.advance(0);
  expect(world.fetcher.parkedCount).toBe(0);
  expect(valuesIn(await waiting)).toEqual([['v0'], ['v1'], ['v2']]);
});

it('leaves one timer for a parked fetch, whatever its partitions, and none once it is answered', async () => {
  const world = await Logs.open(20);
  const before = world.clock.pendingCount;
  const waiting = world.fetcher.fetch(world.request());
  expect(world.clock.pendingCount).toBe(before + 1);
  world.logs[7]!.append(batchOf(['x']), 'client');
  await world.clock.advance(0);
  await waiting;
  expect(world.clock.pendingCount).toBe(before);
});

it('does not wake who waits for other logs', async () => {
  const world = await Logs.open(2);
  const [first, second] = world.logs;
  let isAnswered = false;
  const positions = [{ log: second!, offset: 0, maxBytes: 100 }];
  void Promise.resolve(world.fetcher.fetch(world.request({ positions }))).then(() => (isAnswered = true));
  first!.append(batchOf(['x']), 'client');
  await world.clock.advance(100);
  expect(isAnswered).toBe(false);
  second!.append(batchOf(['y']), 'client');
  await world.clock.advance(0);
  expect(isAnswered).toBe(true);
});

it('does not show what is appended and not committed', async () => {
  const world = await Logs.open(1);
  const [log] = world.logs;
  log!.append(batchOf(['x']), 'client');
  const positions = [{ log: log!, offset: 0, maxBytes: 100 }];
  const now = world.fetcher.fetch(world.request({ positions, maxWaitMs: 0 }));
  expect(valuesIn(await now)).toEqual([[]]);
});

it('wakes readers of committed records when a transaction ends, and not when one goes on', async () => {
  const world = await Logs.open(1);
  const [log] = world.logs;
  const producer = { producerId: 5, producerEpoch: 0 };
  let results: readonly FetchResult[] | undefined;
  const positions = [{ log: log!, offset: 0, maxBytes: 1 << 20 }];
  const request = world.request({ positions, isolation: 'read_committed' });
  void Promise.resolve(world.fetcher.fetch(request)).then((settled) => (results = settled));
  log!.append(batchOf(['x'], { ...producer, baseSequence: 0, isTransactional: true }), 'client');
  await world.clock.advance(10);
  expect(results).toBeUndefined();
  log!.appendTransactionMarker({ ...producer, coordinatorEpoch: 0, isCommit: false });
  await world.clock.advance(0);
  expect(results).toMatchObject([{ abortedTransactions: [{ producerId: 5, firstOffset: 0 }], lastStableOffset: 2 }]);
});

it('tells an offset out of range at once, beside what the others have', async () => {
  const world = await Logs.open(2);
  world.logs[0]!.append(batchOf(['x']), 'client');
  await world.clock.advance(0);
  const positions = world.logs.map((log, index) => ({ log, offset: index === 0 ? 0 : 9, maxBytes: 1000 }));
  const results = await world.fetcher.fetch(world.request({ positions }));
  expect(valuesIn(results.slice(0, 1))).toEqual([['x']]);
  expect(results[1]).toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' });
});

it.each([1, 4])('does not wait at offset %i of a log from 2 to 3', async (offset) => {
  const world = await Logs.open(1);
  const [log] = world.logs;
  for (const value of ['a', 'b', 'c']) log!.append(batchOf([value]), 'client');
  await world.clock.advance(0);
  await world.run(log!.deleteRecordsBefore(2));
  const positions = [{ log: log!, offset, maxBytes: 1000 }];
  const results = await world.fetcher.fetch(world.request({ positions, minBytes: 1 << 20 }));
  expect(results).toMatchObject([{ code: 'OFFSET_OUT_OF_RANGE' }]);
  expect(world.fetcher.parkedCount).toBe(0);
});

it('answers who waits when their log is deleted', async () => {
  const world = await Logs.open(1);
  const waiting = world.fetcher.fetch(world.request());
  await world.run(world.logs[0]!.delete());
  expect(await waiting).toMatchObject([{ code: 'KAFKA_STORAGE_ERROR' }]);
});

it('listens to a log once, however often its beginning is deleted and others come to wait', async () => {
  const world = await Logs.open(1);
  const [log] = world.logs as [PartitionLog];
  let listening = 0;
  const onEvent = log.onEvent.bind(log);
  log.onEvent = (listener) => {
    listening++;
    const remove = onEvent(listener);
    return () => {
      listening--;
      remove();
    };
  };
  for (let round = 0; round < 5; round++) {
    log.append(batchOf(['x']), 'client');
    await world.clock.advance(0);
    const waiting = world.fetcher.fetch(world.request());
    const another = world.fetcher.fetch(world.request());
    expect(listening).toBe(1);
    await world.run(log.deleteRecordsBefore(-1));
    expect(valuesIn(await waiting)).toEqual([[]]);
    await another;
  }
  expect(listening).toBe(0);
});

it('gives one batch when responses hold too much memory', async () => {
  let budget = 1 << 20;
  const world = await Logs.open(1, () => budget);
  const [log] = world.logs;
  for (const value of ['a', 'b', 'c']) log!.append(batchOf([value]), 'client');
  await world.clock.advance(0);
  const positions = [{ log: log!, offset: 0, maxBytes: 1 << 20 }];
  expect(valuesIn(await world.fetcher.fetch(world.request({ positions })))).toEqual([['a', 'b', 'c']]);
  budget = 0;
  expect(valuesIn(await world.fetcher.fetch(world.request({ positions })))).toEqual([['a']]);
});

it('does not wait for anything once it is closed', async () => {
  const world = await Logs.open(1);
  const waiting = world.fetcher.fetch(world.request());
  world.fetcher.close();
  expect(valuesIn(await waiting)).toEqual([[]]);
  expect(valuesIn(await world.fetcher.fetch(world.request()))).toEqual([[]]);
});

it('shares the budget for answers among the reads that wait for the disk at the same time', async () => {
  const asked: number[] = [];
  let answer = (): void => {};
  const disk = new Promise<void>((resolve) => (answer = resolve));
  const log = {
    logStartOffset: 0,
    logEndOffset: 10,
    async read(_offset: number, { maxBytes }: { readonly maxBytes: number }) {
      asked.push(maxBytes);
      await disk;
      return { parts: [], byteLength: maxBytes };
    },
  } as unknown as PartitionLog;
  const fetcher = new Fetcher({ clock: new VirtualClock(), responseBudget: () => 100 });
  const request: FetchRequest = {
    positions: [{ log, offset: 0, maxBytes: 60 }],
    isolation: 'read_uncommitted',
    maxBytes: 1000,
    minBytes: 1,
    maxWaitMs: 0,
  };
  const reads = [fetcher.fetch(request), fetcher.fetch(request), fetcher.fetch(request)];
  expect(asked).toEqual([60, 40, 0]);
  answer();
  for (const read of reads) await read;
  await fetcher.fetch(request);
  expect(asked).toEqual([60, 40, 0, 60]);
});

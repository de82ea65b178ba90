import { describe, expect, it } from 'vitest';
import { MemoryCoordinatorLog } from '../testing/memory-coordinator-log.ts';
import { TransactionBench } from '../testing/transaction-bench.ts';
import type { OpenTransaction } from './transaction-coordinator.ts';
import type { ProducerIdentity } from './transaction.ts';

const producer = { producerId: 7, producerEpoch: 0 };
const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;

describe('InitProducerId', () => {
  it('gives producers without transactions a fresh id each, and remembers nothing', async () => {
    const bench = await TransactionBench.open();
    expect(await bench.init({ transactionalId: null })).toBe('7/0');
    expect(await bench.init({ transactionalId: null })).toBe('8/0');
    expect(bench.log.records).toEqual([]);
  });

  it('refuses an empty transactional id', async () => {
    const bench = await TransactionBench.open();
    expect(await bench.init({ transactionalId: '' })).toBe('INVALID_REQUEST');
  });

  it.each([
    [-1, 'INVALID_TRANSACTION_TIMEOUT'],
    [0, 'INVALID_TRANSACTION_TIMEOUT'],
    [1, '7/0'],
    [900_000, '7/0'],
    [900_001, 'INVALID_TRANSACTION_TIMEOUT'],
  ])('judges a transaction timeout of %i ms by transaction.max.timeout.ms: %s', async (timeoutMs, answer) => {
    const bench = await TransactionBench.open();
    expect(await bench.init({ timeoutMs })).toBe(answer);
  });

  it('makes the log when the first transactional producer comes', async () => {
    const bench = await TransactionBench.open({}, new MemoryCoordinatorLog({ isOpen: false }));
    expect(await bench.init()).toBe('7/0');
    expect(bench.log.isOpen).toBe(true);
  });

  it('raises the epoch for each producer that begins under the id, and fences the one before', async () => {
    const bench = await TransactionBench.open();
    expect(await bench.init()).toBe('7/0');
    expect(await bench.init()).toBe('7/1');
    expect(await bench.add(producer, [0])).toEqual(['PRODUCER_FENCED']);
    expect(await bench.retry(7, 0)).toBe('PRODUCER_FENCED');
  });

  it('is answered when it is durable', async () => {
    const bench = await TransactionBench.open();
    bench.log.isHeld = true;
    let answer: string | undefined;
    const init = bench.init().then((value) => (answer = value));
    await bench.clock.advance(5);
    expect(answer).toBeUndefined();
    bench.log.sync();
    await init;
    expect(answer).toBe('7/0');
  });

  it('raises the epoch of a producer that goes on after an error (KIP-360)', async () => {
    const bench = await TransactionBench.open();
    await bench.init();
    expect(await bench.retry(7, 0)).toBe('7/1');
    expect(await bench.retry(7, 1)).toBe('7/2');
  });

  it('gives a retry the answer it lost, without raising the epoch again', async () => {
    const bench = await TransactionBench.open();
    await bench.init();
    expect(await bench.retry(7, 0)).toBe('7/1');
    expect(await bench.retry(7, 0)).toBe('7/1');
    expect(await bench.retry(7, 1)).toBe('7/2');
    expect(await bench.retry(7, 0)).toBe('PRODUCER_FENCED');
  });

  it('clears the retry when a producer begins that knows no epoch', async () => {
    const bench = await TransactionBench.open();
    await bench.init();
    await bench.retry(7, 0);
    expect(await bench.init()).toBe('7/2');
    expect(await bench.retry(7, 1)).toBe('PRODUCER_FENCED');
  });

  it('refuses an id that is not the present one', async () => {
    const bench = await TransactionBench.open();
    await bench.init();
    expect(await bench.retry(6, 0)).toBe('PRODUCER_FENCED');
  });

  it('takes the word of a producer whose transactional id was forgotten', async () => {
    const bench = await TransactionBench.open();
    expect(await bench.retry(3, 5)).toBe('7/0');
  });

  it('gives a fresh id when the epochs run out at 32766, and knows retries of that', async () => {
    const bench = await TransactionBench.open();
    await bench.init();
    for (let epoch = 0; epoch < 32_766; epoch++) await bench.retry(7, epoch);
    expect(await bench.retry(7, 32_765)).toBe('7/32766');
    expect(await bench.retry(7, 32_766)).toBe('8/0');
    expect(await bench.retry(7, 32_766)).toBe('8/0');
    expect(await bench.retry(7, 32_765)).toBe('PRODUCER_FENCED');
    expect(await bench.retry(8, 0)).toBe('8/1');
    expect(await bench.retry(7, 32_766)).toBe('PRODUCER_FENCED');
  });

  it('gives a fresh id to one that knows none when the epochs have run out', async () => {
    const bench = await TransactionBench.open();
    await bench.init();
    for (let epoch = 0; epoch < 32_766; epoch++) await bench.retry(7, epoch);
    expect(await bench.init()).toBe('8/0');
    expect(await bench.retry(7, 32_766)).toBe('PRODUCER_FENCED');
  });

  it('aborts the open transaction of the producer before, and gives the epoch above the one that fences it', async () => {
    const bench = await TransactionBench.open();
    await bench.init();
    await bench.add(producer, [0, 1]);
    expect(await bench.init()).toBe('CONCURRENT_TRANSACTIONS');
    await bench.clock.advance(0);
    expect(bench.partitions.written).toEqual(['orders-0 abort 7/1', 'orders-1 abort 7/1']);
    expect(await bench.end(producer, 'commit')).toBe('PRODUCER_FENCED');
    expect(await bench.init()).toBe('7/2');
  });

  it('knows no retry of an epoch from before the fence', async () => {
    const bench = await TransactionBench.open();
    await bench.init();
    expect(await bench.retry(7, 0)).toBe('7/1');
    await bench.add({ producerId: 7, producerEpoch: 1 }, [0]);
    expect(await bench.init()).toBe('CONCURRENT_TRANSACTIONS');
    await bench.clock.advance(0);
    expect(await bench.retry(7, 0)).toBe('PRODUCER_FENCED');
    expect(await bench.retry(7, 1)).toBe('PRODUCER_FENCED');
    expect(await bench.init()).toBe('7/3');
  });

  it('refuses a zombie that goes on, and leaves the transaction of its successor open', async () => {
    const bench = await TransactionBench.open();
    await bench.init();
    expect(await bench.retry(7, 0)).toBe('7/1');
    const successor = { producerId: 7, producerEpoch: 1 };
    await bench.add(successor, [0]);
    expect(await bench.retry(7, 0)).toBe('PRODUCER_FENCED');
    expect(bench.isOpen(successor, 0)).toBe(true);
    expect(await bench.end(successor, 'commit')).toBeNull();
  });

  it('aborts the open transaction of a producer that goes on itself', async () => {
    const bench = await TransactionBench.open();
    await bench.init();
    await bench.add(producer, [0]);
    expect(await bench.retry(7, 0)).toBe('CONCURRENT_TRANSACTIONS');
    await bench.clock.advance(0);
    expect(bench.partitions.written).toEqual(['orders-0 abort 7/1']);
  });

  it('can fence even the last usable epoch', async () => {
    const bench = await TransactionBench.open();
    await bench.init();
    for (let epoch = 0; epoch < 32_766; epoch++) await bench.retry(7, epoch);
    await bench.add({ producerId: 7, producerEpoch: 32_766 }, [0]);
    expect(await bench.init()).toBe('CONCURRENT_TRANSACTIONS');
    await bench.clock.advance(0);
    expect(bench.partitions.written).toEqual(['orders-0 abort 7/32767']);
    expect(await bench.init()).toBe('8/0');
  });

  it('answers CONCURRENT_TRANSACTIONS while a transaction is being ended', async () => {
    const bench = await TransactionBench.open();
    await bench.init();
    await bench.add(producer, [0]);
    bench.partitions.isHeld = true;
    const end = bench.end(producer, 'commit');
    await bench.clock.advance(0);
    expect(await bench.init()).toBe('CONCURRENT_TRANSACTIONS');
    expect(await bench.retry(7, 0)).toBe('CONCURRENT_TRANSACTIONS');
    bench.partitions.sync();
    expect(await end).toBeNull();
    expect(await bench.init()).toBe('7/1');
  });

  it('gives two that begin at the same time an epoch each', async () => {
    const bench = await TransactionBench.open();
    expect(await Promise.all([bench.init(), bench.init()])).toEqual(['7/0', '7/1']);
  });
});

describe('AddPartitionsToTxn', () => {
  it('checks the request, the producer id and the epoch in this order', async () => {
    const bench = await TransactionBench.open();
    expect(await bench.add(producer, [0], '')).toEqual(['INVALID_REQUEST']);
    expect(await bench.add(producer, [0])).toEqual(['INVALID_PRODUCER_ID_MAPPING']);
    await bench.init();
    expect(await bench.add({ producerId: 6, producerEpoch: 9 }, [0])).toEqual(['INVALID_PRODUCER_ID_MAPPING']);
    expect(await bench.add({ producerId: 7, producerEpoch: 1 }, [0])).toEqual(['PRODUCER_FENCED']);
    expect(await bench.add(producer, [0])).toEqual([null]);
  });

  it('adds all or nothing', async () => {
    const bench = await TransactionBench.open();
    await bench.init();
    expect(await bench.add(producer, [0, 4, 1])).toEqual([
      'OPERATION_NOT_ATTEMPTED',
      'UNKNOWN_TOPIC_OR_PARTITION',
      'OPERATION_NOT_ATTEMPTED',
    ]);
    expect([0, 1].map((partition) => bench.isOpen(producer, partition))).toEqual([false, false]);
    expect(bench.states).toEqual(['Empty']);
  });

  it('writes nothing for partitions that are in the transaction already, but answers when they are durable', async () => {
    const bench = await TransactionBench.open();
    await bench.init();
    bench.log.isHeld = true;
    const answered: string[] = [];
    const first = bench.add(producer, [0, 1]).then(() => answered.push('first'));
    const second = bench.add(producer, [1]).then(() => answered.push('second'));
    await bench.clock.advance(5);
    expect(answered).toEqual([]);
    expect(bench.states).toEqual(['Empty', 'Ongoing']);
    bench.log.sync();
    await Promise.all([first, second]);
    expect(answered.toSorted()).toEqual(['first', 'second']);
  });

  it('answers CONCURRENT_TRANSACTIONS while the last transaction is being ended, and begins anew after it', async () => {
    const bench = await TransactionBench.open();
    await bench.init();
    await bench.add(producer, [0]);
    bench.partitions.isHeld = true;
    const end = bench.end(producer, 'commit');
    await bench.clock.advance(0);
    expect(await bench.add(producer, [1])).toEqual(['CONCURRENT_TRANSACTIONS']);
    bench.partitions.sync();
    await end;
    expect(await bench.add(producer, [1])).toEqual([null]);
    expect([0, 1].map((partition) => bench.isOpen(producer, partition))).toEqual([false, true]);
  });

  it('changes nothing where the partitions do not fit one record', async () => {
    const bench = await TransactionBench.open();
    await bench.init();
    bench.log.nextFailure = Object.assign(new Error('too large'), { code: 'RECORD_LIST_TOO_LARGE' });
    await expect(bench.add(producer, [0])).rejects.toMatchObject({ code: 'UNKNOWN_SERVER_ERROR' });
    expect(bench.isOpen(producer, 0)).toBe(false);
  });

  it("takes the place of a group's offsets like a partition", async () => {
    const bench = await TransactionBench.open();
    await bench.init();
    const request = { transactionalId: 't', groupId: 'g' };
    expect(await bench.coordinator.addOffsets({ ...request, producerId: 7, producerEpoch: 3 })).toBe('PRODUCER_FENCED');
    expect(await bench.coordinator.verifyGroup({ ...request, ...producer })).toBe('TRANSACTION_ABORTABLE');
    expect(await bench.coordinator.addOffsets({ ...request, ...producer })).toBeNull();
    expect(await bench.coordinator.verifyGroup({ ...request, ...producer })).toBeNull();
    expect(await bench.end(producer, 'commit')).toBeNull();
    expect(bench.partitions.written).toEqual(['__consumer_offsets-3 commit 7/0']);
  });
});

describe('EndTxn', () => {
  it('checks the request, the producer id and the epoch in this order', async () => {
    const bench = await TransactionBench.open();
    expect(await bench.end(producer, 'commit', '')).toBe('INVALID_REQUEST');
    expect(await bench.end(producer, 'commit')).toBe('INVALID_PRODUCER_ID_MAPPING');
    await bench.init();
    expect(await bench.end({ producerId: 6, producerEpoch: 9 }, 'commit')).toBe('INVALID_PRODUCER_ID_MAPPING');
    expect(await bench.end({ producerId: 7, producerEpoch: 1 }, 'commit')).toBe('PRODUCER_FENCED');
  });

  it('without a transaction is INVALID_TXN_STATE', async () => {
    const bench = await TransactionBench.open();
    await bench.init();
    expect(await bench.end(producer, 'commit')).toBe('INVALID_TXN_STATE');
    expect(await bench.end(producer, 'abort')).toBe('INVALID_TXN_STATE');
  });

  it.each(['commit', 'abort'] as const)('%ss every partition once, and is repeated without effect', async (outcome) => {
    const bench = await TransactionBench.open();
    await bench.init();
    await bench.add(producer, [0, 1]);
    await bench.add(producer, [3]);
    expect(await bench.end(producer, outcome)).toBeNull();
    const written = [0, 1, 3].map((partition) => `orders-${partition} ${outcome} 7/0`);
    expect(bench.partitions.written).toEqual(written);
    const [prepared, completed] =
      outcome === 'commit' ? ['PrepareCommit', 'CompleteCommit'] : ['PrepareAbort', 'CompleteAbort'];
    expect(bench.states).toEqual(['Empty', 'Ongoing', 'Ongoing', prepared, completed]);

    const opposite = outcome === 'commit' ? 'abort' : 'commit';
    expect(await bench.end(producer, outcome)).toBeNull();
    expect(await bench.end(producer, opposite)).toBe('INVALID_TXN_STATE');
    expect(bench.partitions.written).toEqual(written);
  });

  it('repeated while it is under way is CONCURRENT_TRANSACTIONS, and the opposite INVALID_TXN_STATE', async () => {
    for (const [outcome, opposite] of [
      ['commit', 'abort'],
      ['abort', 'commit'],
    ] as const) {
      const bench = await TransactionBench.open();
      await bench.init();
      await bench.add(producer, [0]);
      bench.partitions.isHeld = true;
      const end = bench.end(producer, outcome);
      await bench.clock.advance(0);
      expect(await bench.end(producer, outcome)).toBe('CONCURRENT_TRANSACTIONS');
      expect(await bench.end(producer, opposite)).toBe('INVALID_TXN_STATE');
      bench.partitions.sync();
      expect(await end).toBeNull();
    }
  });

  it('writes no marker before Prepare is durable, and Complete and its answer only after all markers are', async () => {
    const bench = await TransactionBench.open();
    await bench.init();
    await bench.add(producer, [0, 1]);
    bench.log.isHeld = true;
    bench.partitions.isHeld = true;
    let answer: string | null | undefined;
    const end = bench.end(producer, 'commit').then((value) => (answer = value));
    await bench.clock.advance(5);
    expect([bench.states.at(-1), bench.partitions.written]).toEqual(['PrepareCommit', []]);
    bench.log.sync();
    await bench.clock.advance(5);
    expect([bench.states.at(-1), bench.partitions.written.length]).toEqual(['PrepareCommit', 2]);
    expect(answer).toBeUndefined();
    bench.partitions.sync();
    await end;
    expect([bench.states.at(-1), answer]).toEqual(['CompleteCommit', null]);
  });

  it.each(['commit', 'abort'] as const)(
    '%ss the other partitions, and lets the broker start, where one has seen a newer epoch of the producer',
    async (outcome) => {
      const bench = await TransactionBench.open();
      await bench.init();
      await bench.add(producer, [0, 1]);
      bench.partitions.fenced.add('orders-0');
      expect(await bench.end(producer, outcome)).toBeNull();
      expect(bench.partitions.written).toEqual([`orders-1 ${outcome} 7/0`]);
      expect(await bench.init()).toBe('7/1');
    },
  );

  it('passes over partitions that were deleted meanwhile', async () => {
    const bench = await TransactionBench.open();
    await bench.init();
    await bench.add(producer, [0, 1]);
    bench.partitions.missing.add('orders-0');
    expect(await bench.end(producer, 'commit')).toBeNull();
    expect(bench.partitions.written).toEqual(['orders-1 commit 7/0']);
  });

  it('marks with the epoch of the coordinator log, so that markers of an older one are refused', async () => {
    const bench = await TransactionBench.open();
    bench.log.epoch = 4;
    await bench.init();
    await bench.add(producer, [0]);
    await bench.end(producer, 'commit');
    expect(bench.partitions.epochs).toEqual([4]);
  });
});

describe('a crash in EndTxn', () => {
  const outcomes = [
    { outcome: 'commit', other: 'abort', completed: 'CompleteCommit' },
    { outcome: 'abort', other: 'commit', completed: 'CompleteAbort' },
  ] as const;

  /** A transaction over two partitions whose end is under way, with log and partitions held. */
  async function ending(outcome: 'commit' | 'abort'): Promise<{ bench: TransactionBench; isAnswered: () => boolean }> {
    const bench = await TransactionBench.open();
    await bench.init();
    await bench.add(producer, [0, 1]);
    bench.log.isHeld = true;
    bench.log.sync();
    bench.partitions.isHeld = true;
    let isAnswered = false;
    void bench.end(producer, outcome).then(() => (isAnswered = true));
    await bench.clock.advance(0);
    return { bench, isAnswered: () => isAnswered };
  }

  it.each(outcomes)('before Prepare is durable: a $outcome was never begun', async ({ outcome, completed }) => {
    const { bench, isAnswered } = await ending(outcome);
    const restarted = await bench.restart();
    expect(isAnswered()).toBe(false);
    expect(restarted.partitions.written).toEqual([]);
    expect(restarted.isOpen(producer, 0)).toBe(true);
    // The client does not know: it asks again.
    expect(await restarted.end(producer, outcome)).toBeNull();
    expect(restarted.states.at(-1)).toBe(completed);
  });

  /** What was durable, and how many markers there are once the restart is done. */
  const steps = [
    { at: 'after Prepare', markers: 0, isCompleted: false, markersInAll: 2 },
    { at: 'with one of two markers durable', markers: 1, isCompleted: false, markersInAll: 3 },
    { at: 'with all markers durable', markers: 2, isCompleted: false, markersInAll: 4 },
    { at: 'after Complete', markers: 2, isCompleted: true, markersInAll: 2 },
  ];
  it.each(steps.flatMap((step) => outcomes.map((each) => ({ ...step, ...each }))))(
    '$at: a $outcome is whole when the broker is open again',
    async ({ markers, isCompleted, markersInAll, outcome, other, completed }) => {
      const { bench } = await ending(outcome);
      bench.log.sync();
      await bench.clock.advance(0);
      bench.partitions.sync(markers);
      await bench.clock.advance(0);
      if (isCompleted) bench.log.sync();

      const restarted = await bench.restart();

      const { written } = restarted.partitions;
      expect(new Set(written)).toEqual(new Set([0, 1].map((partition) => `orders-${partition} ${outcome} 7/0`)));
      expect(written).toHaveLength(markersInAll);
      expect(restarted.states.at(-1)).toBe(completed);
      expect(await restarted.end(producer, outcome)).toBeNull();
      expect(await restarted.end(producer, other)).toBe('INVALID_TXN_STATE');
      expect(await restarted.add(producer, [2])).toEqual([null]);
    },
  );

  it('twice, while the markers are written again, ends the same', async () => {
    const bench = await TransactionBench.open();
    await bench.init();
    await bench.add(producer, [0]);
    bench.partitions.isHeld = true;
    void bench.end(producer, 'commit');
    await bench.clock.advance(0);
    const once = await bench.restart();
    const twice = await once.restart();
    expect(twice.partitions.written).toEqual(['orders-0 commit 7/0']);
    expect(twice.states.at(-1)).toBe('CompleteCommit');
  });
});

describe('a restart', () => {
  it('keeps open transactions, epochs and timeouts', async () => {
    const bench = await TransactionBench.open();
    await bench.init({ timeoutMs: 30_000 });
    await bench.add(producer, [0, 2]);
    const restarted = await bench.restart();
    expect([0, 1, 2].map((partition) => restarted.isOpen(producer, partition))).toEqual([true, false, true]);
    await restarted.clock.advance(40_000);
    expect(restarted.partitions.written).toEqual(['orders-0 abort 7/1', 'orders-2 abort 7/1']);
  });

  it('aborts what is open in a log and in no transaction: another partition, epoch or producer, or none any longer', async () => {
    const bench = await TransactionBench.open();
    await bench.init();
    await bench.init();
    const current = { producerId: 7, producerEpoch: 1 };
    await bench.add(current, [0, 2]);
    await bench.init({ transactionalId: 'ended' });
    const at = (partition: number): Omit<OpenTransaction, keyof ProducerIdentity> => ({
      topic: 'orders',
      partition,
      coordinatorEpoch: -1,
    });
    bench.partitions.open = [
      { ...at(0), ...current },
      { ...at(1), ...current },
      { ...at(2), ...producer },
      { ...at(3), producerId: 8, producerEpoch: 0, coordinatorEpoch: 4 },
      { ...at(3), producerId: 99, producerEpoch: 5 },
    ];
    const restarted = await bench.restart();
    expect(restarted.partitions.written).toEqual([
      'orders-1 abort 7/1',
      'orders-2 abort 7/0',
      'orders-3 abort 8/0',
      'orders-3 abort 99/5',
    ]);
    expect(restarted.partitions.epochs).toEqual([0, 0, 4, 0]);
    expect(restarted.isOpen(current, 0)).toBe(true);
  });

  it('keeps the epoch of a producer that has no transaction', async () => {
    const bench = await TransactionBench.open();
    await bench.init();
    await bench.init();
    expect(await (await bench.restart()).init()).toBe('7/2');
  });

  it('refuses a log with a state that it does not know', async () => {
    const bench = await TransactionBench.open();
    await bench.init();
    const record = bench.log.records[0]!;
    const value = new Uint8Array(record.kind === 'record' ? record.value! : []);
    value[2 + 8 + 2 + 4] = 9; // after version, producer id, epoch and timeout: the state
    const log = new MemoryCoordinatorLog();
    log.append(0, [{ key: record.kind === 'record' ? record.key : new Uint8Array(), value }]);
    await expect(TransactionBench.open({}, log)).rejects.toMatchObject({ code: 'UNKNOWN_TRANSACTION_STATE' });
  });
});

describe('verification', () => {
  it('tells why a producer may not write to a partition', async () => {
    const bench = await TransactionBench.open();
    const verify = (identity: object, partition: number): string | null =>
      bench.coordinator.verifyPartition({ transactionalId: 't', ...producer, ...identity, topic: 'orders', partition });
    expect(verify({}, 0)).toBe('INVALID_PRODUCER_ID_MAPPING');
    await bench.init();
    expect(verify({}, 0)).toBe('TRANSACTION_ABORTABLE');
    await bench.add(producer, [0]);
    expect(verify({}, 0)).toBeNull();
    expect(verify({}, 1)).toBe('TRANSACTION_ABORTABLE');
    expect(verify({ producerEpoch: 1 }, 0)).toBe('PRODUCER_FENCED');
    expect(verify({ producerId: 6 }, 0)).toBe('INVALID_PRODUCER_ID_MAPPING');
    expect(verify({ transactionalId: 'u' }, 0)).toBe('INVALID_PRODUCER_ID_MAPPING');
    bench.partitions.isHeld = true;
    const end = bench.end(producer, 'commit');
    await bench.clock.advance(0);
    expect(verify({}, 0)).toBe('CONCURRENT_TRANSACTIONS');
    bench.partitions.sync();
    await end;
    expect(verify({}, 0)).toBe('TRANSACTION_ABORTABLE');
  });
});

describe('time', () => {
  it('aborts transactions past their timeout at the next look, every second, and fences their producer', async () => {
    const bench = await TransactionBench.open();
    await bench.init({ timeoutMs: 10_000 });
    await bench.clock.advance(1);
    await bench.add(producer, [0]);
    await bench.clock.advance(9_999); // 10,000: not past it
    expect(bench.partitions.written).toEqual([]);
    await bench.clock.advance(999);
    expect(bench.partitions.written).toEqual([]);
    await bench.clock.advance(1); // 11,000
    expect(bench.partitions.written).toEqual(['orders-0 abort 7/1']);
    expect(bench.states).toEqual(['Empty', 'Ongoing', 'PrepareAbort', 'CompleteAbort']);
    expect(await bench.end(producer, 'commit')).toBe('PRODUCER_FENCED');
    expect(await bench.add(producer, [0])).toEqual(['PRODUCER_FENCED']);
    expect(await bench.init()).toBe('7/2');
  });

  it.each([
    ['timed out', (bench: TransactionBench) => bench.clock.advance(62_000)],
    ['is fenced', (bench: TransactionBench) => (void bench.init(), bench.clock.advance(0))],
  ])('writes no abort marker of a transaction that %s before Prepare is durable', async (_, abort) => {
    const bench = await TransactionBench.open();
    await bench.init();
    await bench.add(producer, [0]);
    bench.log.isHeld = true;
    await abort(bench);
    expect([bench.states.at(-1), bench.partitions.written]).toEqual(['PrepareAbort', []]);
    bench.log.sync();
    await bench.clock.advance(0);
    expect(bench.partitions.written).toEqual(['orders-0 abort 7/1']);
  });

  it('counts the timeout from the first partition of each transaction', async () => {
    const bench = await TransactionBench.open();
    await bench.init({ timeoutMs: 15_000 });
    for (let round = 0; round < 4; round++) {
      await bench.add(producer, [0]);
      await bench.clock.advance(9_000);
      await bench.add(producer, [1]);
      expect(await bench.end(producer, 'commit')).toBeNull();
    }
    expect(bench.partitions.written.filter((marker) => marker.includes('abort'))).toEqual([]);
    await bench.add(producer, [0]); // at 36,000; times out after 51,000
    await bench.clock.advance(14_000);
    await bench.add(producer, [1]);
    await bench.clock.advance(10_000);
    expect(bench.partitions.written.slice(-2)).toEqual(['orders-0 abort 7/1', 'orders-1 abort 7/1']);
  });

  it('forgets transactional ids that were not used for transactional.id.expiration.ms', async () => {
    const bench = await TransactionBench.open({ 'transaction.max.timeout.ms': 2_147_483_647 });
    await bench.init();
    await bench.init({ transactionalId: 'open', timeoutMs: 2_147_483_647 });
    await bench.add({ producerId: 8, producerEpoch: 0 }, [0], 'open');
    await bench.clock.advance(7 * dayMs - 1);
    expect(bench.states).not.toContain('gone');
    await bench.clock.advance(1);
    expect(bench.states.filter((state) => state === 'gone')).toHaveLength(1);
    for (const each of [bench, await bench.restart()]) {
      expect(await each.add(producer, [0])).toEqual(['INVALID_PRODUCER_ID_MAPPING']);
      expect(await each.add({ producerId: 8, producerEpoch: 0 }, [0], 'open')).toEqual([null]);
    }
  });

  it('goes on looking after a tombstone could not be written', async () => {
    const bench = await TransactionBench.open();
    await bench.init();
    await bench.init({ transactionalId: 'other' });
    await bench.clock.advance(7 * dayMs - 1);
    bench.log.nextFailure = new Error('the disk failed');
    await bench.clock.advance(1);
    expect(bench.states.filter((state) => state === 'gone')).toHaveLength(1);
    await bench.clock.advance(60 * minuteMs);
    expect(bench.states.filter((state) => state === 'gone')).toHaveLength(2);
  });

  it('leaves no timer when it is closed', async () => {
    const bench = await TransactionBench.open();
    bench.coordinator.close();
    expect(bench.clock.pendingCount).toBe(0);
  });
});

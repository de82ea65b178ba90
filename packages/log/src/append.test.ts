import { SimulatedFileSystem, VirtualClock } from '@millrace/platform/simulated';
import { readBatchHeader, setLogAppendTime } from '@millrace/protocol';
import { expect, it } from 'vitest';
import type { LogConfig } from './log-config.ts';
import type { PartitionLog } from './partition-log.ts';
import { batch, LogHarness, readAll } from './testing/harness.ts';

async function openLog(config: Partial<LogConfig> = {}): Promise<{ harness: LogHarness; log: PartitionLog }> {
  const harness = new LogHarness({ config });
  return { harness, log: await harness.open() };
}

/** What an append throws, or its base offset. */
function outcome(log: PartitionLog, bytes: Uint8Array): unknown {
  try {
    return log.append(bytes, 'client').baseOffset;
  } catch (error) {
    return (error as { code?: string }).code ?? error;
  }
}

it('takes a batch of exactly max.message.bytes, and not a byte more', async () => {
  const bytes = batch(['x'.repeat(100)]);
  for (const [over, expected] of [
    [-1, 'MESSAGE_TOO_LARGE'],
    [0, 0],
    [1, 0],
  ] as const) {
    const { log } = await openLog({ maxMessageBytes: bytes.length + over });
    expect(outcome(log, new Uint8Array(bytes))).toBe(expected);
  }
});

it('looks at the size before the CRC, and refuses what no segment can hold', async () => {
  const bytes = batch(['x'.repeat(100)]);
  const damaged = new Uint8Array(bytes);
  damaged[damaged.length - 1]! ^= 1;
  expect(outcome((await openLog({ maxMessageBytes: bytes.length - 1 })).log, damaged)).toBe('MESSAGE_TOO_LARGE');
  expect(outcome((await openLog()).log, damaged)).toBe('CORRUPT_MESSAGE');
  expect(outcome((await openLog({ segmentBytes: bytes.length - 1 })).log, bytes)).toBe('RECORD_LIST_TOO_LARGE');
  expect(outcome((await openLog({ segmentBytes: bytes.length })).log, bytes)).toBe(0);
});

it('refuses damaged bytes wherever they are damaged, and stays as it was', async () => {
  const { log } = await openLog();
  const bytes = batch(['abc']);
  for (let at = 0; at < bytes.length; at++) {
    if (at >= 12 && at < 16) continue; // the leader epoch is the broker's to set
    const damaged = new Uint8Array(bytes);
    damaged[at]! ^= 0x40;
    expect(outcome(log, damaged), `byte ${at}`).toMatch(/CORRUPT_MESSAGE|INVALID_RECORD|UNSUPPORTED/);
  }
  for (let length = 0; length < bytes.length; length++) {
    expect(outcome(log, bytes.slice(0, length)), `${length} bytes`).toMatch(/CORRUPT_MESSAGE|INVALID_RECORD/);
  }
  expect(outcome(log, Uint8Array.from([...bytes, ...bytes]))).toBe('INVALID_RECORD');
  expect(log.logEndOffset).toBe(0);
});

it('refuses what a client may not write', async () => {
  const { log } = await openLog();
  const logAppendTime = batch(['a']);
  setLogAppendTime(logAppendTime, 0, 5);
  expect(outcome(log, logAppendTime)).toBe('INVALID_TIMESTAMP');
  expect(outcome(log, batch(['a'], { baseOffset: 1 }))).toBe('INVALID_RECORD');
  expect(outcome(log, batch(['a'], { isControl: true, isTransactional: true, producerId: 1, producerEpoch: 0 }))).toBe(
    'INVALID_RECORD',
  );
  expect(outcome(log, batch(['a'], { producerId: 1, producerEpoch: 0, baseSequence: -1 }))).toBe('INVALID_RECORD');
  expect(outcome(log, batch(['a'], { isTransactional: true }))).toBe('INVALID_RECORD');
  expect(outcome(log, batch([]))).toBe('INVALID_RECORD');
});

it('names the records of a compacted topic that have no key', async () => {
  const { log } = await openLog({ cleanupPolicy: 'compact' });
  expect(() =>
    log.append(batch([{ key: 'k', value: '1' }, 'no key', { key: '', value: '3' }, 'none']), 'client'),
  ).toThrow(
    expect.objectContaining({
      code: 'INVALID_RECORD',
      recordErrors: [
        { index: 1, message: expect.stringContaining('key') },
        { index: 3, message: expect.stringContaining('key') },
      ],
    }),
  );
  expect(outcome(log, batch([{ key: 'k', value: null }]))).toBe(0);
});

it('keeps timestamps within the bounds of the topic, to the millisecond', async () => {
  const nowMs = 1_000_000;
  const { log } = await openLog({ messageTimestampAfterMaxMs: 100, messageTimestampBeforeMaxMs: 200 });
  const at = (timestampMs: number): Uint8Array => batch([{ value: 'v', timestampMs }]);
  expect(outcome(log, at(nowMs + 100))).toBe(0);
  expect(outcome(log, at(nowMs + 101))).toBe('INVALID_TIMESTAMP');
  expect(outcome(log, at(nowMs - 200))).toBe(1);
  expect(outcome(log, at(nowMs - 201))).toBe('INVALID_TIMESTAMP');
  expect(outcome(log, at(-1))).toBe(2); // no timestamp
  const mixed = batch([nowMs, nowMs + 101, nowMs - 201].map((timestampMs) => ({ value: 'v', timestampMs })));
  expect(() => log.append(mixed, 'client')).toThrow(
    expect.objectContaining({
      recordErrors: [expect.objectContaining({ index: 1 }), expect.objectContaining({ index: 2 })],
    }),
  );
});

it('stamps batches of a LogAppendTime topic with its own time', async () => {
  const { harness, log } = await openLog({ messageTimestampType: 'LogAppendTime' });
  await harness.clock.advance(5);
  const { commit, logAppendTimeMs } = log.append(batch([{ value: 'a', timestampMs: 1 }]), 'client');
  await Promise.all([commit.done, harness.settle()]);
  expect(logAppendTimeMs).toBe(1_000_005);
  expect((await readAll(log)).map((record) => record.timestampMs)).toEqual([1_000_005]);
});

it.each(['gzip', 'snappy', 'lz4'] as const)(
  'compresses with %s where the topic says so, and keeps the producer',
  async (type) => {
    const { harness, log } = await openLog({ compressionType: type });
    const records = Array.from({ length: 50 }, (_, i) => ({
      key: `k${i}`,
      value: 'same '.repeat(20),
      timestampMs: 1000 + i,
    }));
    const sent = batch(records, { producerId: 5, producerEpoch: 1, baseSequence: 0 });
    await harness.append(log, new Uint8Array(sent));
    expect(log.sizeBytes).toBeLessThan(sent.length / 4);
    expect(await readAll(log)).toEqual(
      records.map((record, offset) => ({ ...record, offset, isControl: false, producerId: 5 })),
    );
    expect(log.activeProducers).toMatchObject([{ producerId: 5, producerEpoch: 1, lastSequence: 49 }]);
  },
);

/** Batches of one producer, each `[epoch, firstSequence, count]`, and what becomes of them. */
const idempotence: readonly [string, readonly (readonly [number, number, number, unknown])[]][] = [
  [
    'in order',
    [
      [0, 0, 2, 0],
      [0, 2, 1, 2],
      [0, 3, 3, 3],
    ],
  ],
  [
    'a repeated batch gets its first offsets',
    [
      [0, 0, 2, 0],
      [0, 2, 1, 2],
      [0, 0, 2, 0],
      [0, 2, 1, 2],
      [0, 3, 1, 3],
    ],
  ],
  [
    'a repeat is exact',
    [
      [0, 0, 2, 0],
      [0, 0, 1, 'OUT_OF_ORDER_SEQUENCE_NUMBER'],
      [0, 1, 1, 'OUT_OF_ORDER_SEQUENCE_NUMBER'],
    ],
  ],
  [
    'a gap',
    [
      [0, 0, 1, 0],
      [0, 2, 1, 'OUT_OF_ORDER_SEQUENCE_NUMBER'],
      [0, 1, 1, 1],
    ],
  ],
  [
    'five batches are remembered, the sixth is not',
    [
      [0, 0, 1, 0],
      [0, 1, 1, 1],
      [0, 2, 1, 2],
      [0, 3, 1, 3],
      [0, 4, 1, 4],
      [0, 0, 1, 0],
      [0, 5, 1, 5],
      [0, 0, 1, 'OUT_OF_ORDER_SEQUENCE_NUMBER'],
      [0, 1, 1, 1],
    ],
  ],
  [
    'an unknown producer begins anywhere (KIP-360)',
    [
      [3, 17, 1, 0],
      [3, 18, 1, 1],
    ],
  ],
  [
    'a new epoch begins at 0',
    [
      [0, 0, 1, 0],
      [1, 1, 1, 'OUT_OF_ORDER_SEQUENCE_NUMBER'],
      [1, 0, 1, 1],
      [1, 1, 1, 2],
    ],
  ],
  [
    'an old epoch is fenced',
    [
      [1, 0, 1, 0],
      [0, 1, 1, 'INVALID_PRODUCER_EPOCH'],
      [0, 0, 1, 'INVALID_PRODUCER_EPOCH'],
    ],
  ],
  [
    'sequences wrap',
    [
      [0, 0x7fff_fffe, 2, 0],
      [0, 0, 1, 2],
      [0, 1, 1, 3],
    ],
  ],
  [
    'a batch may hold the wrap',
    [
      [0, 0x7fff_ffff, 3, 0],
      [0, 2, 1, 3],
      [0, 0x7fff_ffff, 3, 0],
    ],
  ],
];

it.each(idempotence)('appends each batch of a producer once, in order: %s', async (_, batches) => {
  const { log } = await openLog();
  for (const [i, [producerEpoch, baseSequence, count, expected]] of batches.entries()) {
    const values = Array.from({ length: count }, (__, k) => `v${k}`);
    expect(outcome(log, batch(values, { producerId: 7, producerEpoch, baseSequence })), `batch ${i}`).toBe(expected);
  }
});

it('answers a repeated batch when the first is durable, and appends nothing', async () => {
  const { harness, log } = await openLog();
  const send = (): Uint8Array => batch(['a', 'b'], { producerId: 7, producerEpoch: 0, baseSequence: 0 });
  const first = log.append(send(), 'client');
  const repeat = log.append(send(), 'client');
  expect(first.isDuplicate).toBe(false);
  expect(repeat).toMatchObject({ baseOffset: 0, lastOffset: 1, isDuplicate: true });
  let isDone = false;
  void repeat.commit.done.then(() => (isDone = log.highWatermark === 2));
  await harness.settle();
  expect(isDone).toBe(true);
  expect(log.logEndOffset).toBe(2);
});

it('remembers producers over a clean restart and a crash', async () => {
  for (const wasClosedCleanly of [true, false]) {
    const { harness, log } = await openLog({ segmentBytes: 300 });
    for (let i = 0; i < 9; i++) {
      await harness.append(log, batch(['v'], { producerId: i % 2, producerEpoch: 3, baseSequence: i >> 1 }));
    }
    if (wasClosedCleanly) await harness.close(log);
    const reopened = await harness.open({ wasClosedCleanly });
    const seen = reopened.activeProducers.map(({ producerId, producerEpoch, lastSequence }) => [
      producerId,
      producerEpoch,
      lastSequence,
    ]);
    expect(seen.toSorted(([a], [b]) => a! - b!)).toEqual([
      [0, 3, 4],
      [1, 3, 3],
    ]);
    const repeat = batch(['v'], { producerId: 0, producerEpoch: 3, baseSequence: 4 });
    expect(reopened.append(repeat, 'client')).toMatchObject({ isDuplicate: true, baseOffset: 8 });
  }
});

it('forgets a producer that was silent for producer.id.expiration.ms, unless its transaction is open', async () => {
  const { harness, log } = await openLog({ producerIdExpirationMs: 1000 });
  const at = { timestampMs: 1_000_000, value: 'v' };
  await harness.append(log, batch([at], { producerId: 1, producerEpoch: 0, baseSequence: 0 }));
  await harness.append(log, batch([at], { producerId: 2, producerEpoch: 0, baseSequence: 0, isTransactional: true }));
  await harness.clock.advance(999);
  log.enforceRetention();
  expect(log.activeProducers.map((producer) => producer.producerId)).toEqual([1, 2]);
  await harness.clock.advance(1);
  log.enforceRetention();
  expect(log.activeProducers.map((producer) => producer.producerId)).toEqual([2]);
});

it('holds the last stable offset at the oldest open transaction, and moves it when the end is durable', async () => {
  const { harness, log } = await openLog();
  const begin = (producerId: number): Promise<number> =>
    harness.append(log, batch(['t'], { producerId, producerEpoch: 0, baseSequence: 0, isTransactional: true }));
  const end = (producerId: number, isCommit: boolean): Promise<void> =>
    log.appendTransactionMarker({ producerId, producerEpoch: 0, coordinatorEpoch: 1, isCommit }).commit.done;
  await harness.append(log, batch(['plain']));
  await begin(1); // 1
  await begin(2); // 2
  expect([log.highWatermark, log.lastStableOffset]).toEqual([3, 1]);
  const ended = end(1, false); // 3
  expect(log.lastStableOffset).toBe(1);
  await Promise.all([ended, harness.settle()]);
  expect(log.lastStableOffset).toBe(2);
  await Promise.all([end(2, true), harness.settle()]); // 4
  expect(log.lastStableOffset).toBe(5);

  const options = { maxBytes: 10_000, minOneBatch: true, isolation: 'read_committed' } as const;
  expect((await log.read(0, options)).abortedTransactions).toEqual([{ producerId: 1, firstOffset: 1 }]);
  expect((await log.read(4, options)).abortedTransactions).toEqual([]);
  expect((await log.read(0, { ...options, isolation: 'read_uncommitted' })).abortedTransactions).toBeNull();
});

it('never has the last stable offset below the log start: whoever begins at it would be out of range for ever', async () => {
  const harness = new LogHarness({ files: new SimulatedFileSystem() });
  let log = await harness.open();
  const sent = ['a', 'b', 'c'];
  await harness.append(log, batch(sent, { producerId: 1, producerEpoch: 0, baseSequence: 0, isTransactional: true }));
  for (const start of [1, 2, 3]) {
    await Promise.all([log.deleteRecordsBefore(start), harness.settle()]);
    for (let round = 0; round < 2; round++) {
      expect([log.logStartOffset, log.lastStableOffset]).toEqual([start, start]);
      const read = await log.read(log.lastStableOffset, {
        maxBytes: 1000,
        minOneBatch: true,
        isolation: 'read_committed',
      });
      expect([read.byteLength, read.lastStableOffset]).toEqual([0, start]);
      (harness.files as SimulatedFileSystem).losePower();
      log = await harness.open();
    }
  }
});

it('holds the last stable offset at the oldest transaction whose end is not durable, whichever ended first', async () => {
  const clock = new VirtualClock(1_000_000);
  const harness = new LogHarness({ files: new SimulatedFileSystem({ clock, syncLatencyMs: 5 }), clock });
  const [log] = await Promise.all([harness.open(), clock.advance(100)]);
  for (const producerId of [1, 2]) {
    log.append(batch(['a'], { producerId, producerEpoch: 0, baseSequence: 0, isTransactional: true }), 'client');
  }
  await clock.advance(10);
  expect([log.highWatermark, log.lastStableOffset]).toEqual([2, 0]);
  for (const producerId of [2, 1]) {
    log.appendTransactionMarker({ producerId, producerEpoch: 0, coordinatorEpoch: 0, isCommit: true });
  }
  expect(log.lastStableOffset).toBe(0);
  await clock.advance(10);
  expect([log.highWatermark, log.lastStableOffset]).toEqual([4, 4]);
});

it('refuses a batch outside of the transaction that its producer has open, and markers of old epochs', async () => {
  const { log } = await openLog();
  const options = { producerId: 1, producerEpoch: 2 };
  log.append(batch(['t'], { ...options, baseSequence: 0, isTransactional: true }), 'client');
  expect(outcome(log, batch(['t'], { ...options, baseSequence: 1 }))).toBe('INVALID_TXN_STATE');
  const marker = { ...options, coordinatorEpoch: 5, isCommit: true };
  expect(() => log.appendTransactionMarker({ ...marker, producerEpoch: 1 })).toThrow(
    expect.objectContaining({ code: 'INVALID_PRODUCER_EPOCH' }),
  );
  log.appendTransactionMarker(marker);
  expect(() => log.appendTransactionMarker({ ...marker, coordinatorEpoch: 4 })).toThrow(
    expect.objectContaining({ code: 'TRANSACTION_COORDINATOR_FENCED' }),
  );
  expect(outcome(log, batch(['t'], { ...options, baseSequence: 1 }))).toBe(2);
});

it('finds aborted transactions in the files of every segment, after a restart too', async () => {
  const harness = new LogHarness({ config: { segmentBytes: 250 }, tailCacheBytes: 0 });
  let log = await harness.open();
  const expected: { producerId: number; firstOffset: number }[] = [];
  for (let i = 0; i < 12; i++) {
    const firstOffset = await harness.append(
      log,
      batch(['t'], { producerId: i, producerEpoch: 0, baseSequence: 0, isTransactional: true }),
    );
    log.appendTransactionMarker({ producerId: i, producerEpoch: 0, coordinatorEpoch: 0, isCommit: i % 3 === 0 });
    if (i % 3 !== 0) expected.push({ producerId: i, firstOffset });
    await harness.settle();
  }
  const seen = async (): Promise<object[]> => {
    const aborted: object[] = [];
    for (let offset = 0; offset < log.lastStableOffset;) {
      const { parts, abortedTransactions } = await log.read(offset, {
        maxBytes: 1,
        minOneBatch: true,
        isolation: 'read_committed',
      });
      for (const transaction of abortedTransactions!) if (transaction.firstOffset === offset) aborted.push(transaction);
      offset += readBatchHeader(parts[0]!, 0).lastOffsetDelta + 1;
    }
    return aborted;
  };
  expect(await seen()).toEqual(expected);
  await harness.close(log);
  log = await harness.open({ wasClosedCleanly: true });
  expect(await seen()).toEqual(expected);
  log = await harness.open();
  expect(await seen()).toEqual(expected);
});

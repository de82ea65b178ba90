import { expect, it } from 'vitest';
import { decodeTransactionRecord, transactionRecord, transactionTombstone } from './transaction-records.ts';
import type { Transaction } from './transaction.ts';

// Written by Apache Kafka 4.4.0's own classes: TransactionLogKey, TransactionLogValue.
const golden = {
  key: '00000003706179',
  value0:
    '00000000000000000fa000090000ea60020000000100066f72646572730000000200000000000000020000018bcfe569f40000018bcfe56800',
  empty0: '00000000000000000fa000090000ea6000ffffffff0000018bcfe569f4ffffffffffffffff',
  value1:
    '00010000000000000fa000090000ea600202076f7264657273030000000000000002000000018bcfe569f40000018bcfe568000200080000000000' +
    '000f9f01080000000000000fa1',
};

const prepared: Transaction = {
  transactionalId: 'pay',
  producerId: 4000,
  previousProducerId: -1,
  producerEpoch: 9,
  lastProducerEpoch: -1,
  timeoutMs: 60_000,
  state: 'PrepareCommit',
  partitions: new Map([['orders', new Set([0, 2])]]),
  startTimestampMs: 1_700_000_000_000,
  lastUpdateTimestampMs: 1_700_000_000_500,
};
const empty: Transaction = { ...prepared, state: 'Empty', partitions: new Map(), startTimestampMs: -1 };

const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));
const decode = (value: string | null): unknown =>
  decodeTransactionRecord({ key: bytesOf(golden.key), value: value === null ? null : bytesOf(value) });

it("writes Kafka's bytes, and no list of partitions where none has begun", () => {
  for (const [transaction, value] of [
    [prepared, golden.value0],
    [empty, golden.empty0],
  ] as const) {
    const record = transactionRecord(transaction);
    expect([record.key, record.value]).toEqual(
      [bytesOf(golden.key), bytesOf(value)].map((bytes) => Buffer.from(bytes)),
    );
  }
  expect(transactionTombstone('pay')).toEqual({ key: Buffer.from(bytesOf(golden.key)), value: null });
});

it('reads what Kafka has written, in both versions, and tombstones', () => {
  expect(decode(golden.value0)).toEqual({ transactionalId: 'pay', transaction: prepared });
  expect(decode(golden.empty0)).toEqual({ transactionalId: 'pay', transaction: empty });
  expect(decode(golden.value1)).toEqual({
    transactionalId: 'pay',
    transaction: { ...prepared, previousProducerId: 3999 },
  });
  expect(decode(null)).toEqual({ transactionalId: 'pay', transaction: null });
});

it('leaves aside what has a key of another kind', () => {
  expect(decodeTransactionRecord({ key: bytesOf('00010003706179'), value: bytesOf(golden.value0) })).toBeUndefined();
});

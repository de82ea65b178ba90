import { decodeMessage, encodeMessage, messageVersion, recordSchemas } from '@millrace/protocol';
import { MillraceError } from '@millrace/platform';
import type { CoordinatorRecord } from '../coordinator-log.ts';
import type { Transaction, TransactionState } from './transaction.ts';

/** `__transaction_state` has a state that is not known here. */
export class UnknownTransactionStateError extends MillraceError {
  readonly code = 'UNKNOWN_TRANSACTION_STATE';
  constructor(transactionalId: string, status: number) {
    super(
      `__transaction_state holds status ${status} for transactional id '${transactionalId}', which this version does not know. ` +
        'Open the data directory with the version that wrote it.',
      { context: { transactionalId, status } },
    );
  }
}

/** Kafka's numbers, by position. 6 (Dead) and 7 (PrepareEpochFence) are never written. */
const states: readonly TransactionState[] = [
  'Empty',
  'Ongoing',
  'PrepareCommit',
  'PrepareAbort',
  'CompleteCommit',
  'CompleteAbort',
];

const keyVersion = 0;
// Version 1 is for transactions whose epoch rises with each end (KIP-890 part 2), which this broker does not offer.
const valueVersion = 0;

export function transactionRecord(transaction: Transaction): CoordinatorRecord {
  const partitions = [...transaction.partitions].map(([topic, numbers]) => ({ topic, partitionIds: [...numbers] }));
  return {
    key: encodeKey(transaction.transactionalId),
    value: encodeMessage(recordSchemas.transactionLogValue, valueVersion, {
      producerId: transaction.producerId,
      producerEpoch: transaction.producerEpoch,
      transactionTimeoutMs: transaction.timeoutMs,
      transactionStatus: states.indexOf(transaction.state),
      transactionPartitions: transaction.state === 'Empty' ? null : partitions,
      transactionLastUpdateTimestampMs: transaction.lastUpdateTimestampMs,
      transactionStartTimestampMs: transaction.startTimestampMs,
    }),
  };
}

export function transactionTombstone(transactionalId: string): CoordinatorRecord {
  return { key: encodeKey(transactionalId), value: null };
}

/** undefined: a record of a kind that is not known here. `transaction` null: the id was forgotten. */
export function decodeTransactionRecord(
  record: CoordinatorRecord,
): { readonly transactionalId: string; readonly transaction: Transaction | null } | undefined {
  if (messageVersion(record.key) !== keyVersion) return undefined;
  const { transactionalId } = decodeMessage(recordSchemas.transactionLogKey, keyVersion, record.key);
  if (record.value === null) return { transactionalId, transaction: null };
  const value = decodeMessage(recordSchemas.transactionLogValue, messageVersion(record.value), record.value);
  const state = states[value.transactionStatus];
  if (state === undefined) throw new UnknownTransactionStateError(transactionalId, value.transactionStatus);
  const partitions = new Map<string, Set<number>>();
  for (const { topic, partitionIds } of value.transactionPartitions ?? []) partitions.set(topic, new Set(partitionIds));
  return {
    transactionalId,
    transaction: {
      transactionalId,
      producerId: value.producerId,
      previousProducerId: value.previousProducerId,
      producerEpoch: value.producerEpoch,
      lastProducerEpoch: -1,
      timeoutMs: value.transactionTimeoutMs,
      state,
      partitions,
      startTimestampMs: value.transactionStartTimestampMs,
      lastUpdateTimestampMs: value.transactionLastUpdateTimestampMs,
    },
  };
}

function encodeKey(transactionalId: string): Uint8Array {
  return encodeMessage(recordSchemas.transactionLogKey, keyVersion, { transactionalId });
}

import { expect, it } from 'vitest';
import * as log from './index.ts';

it('exports these names, and keeps them', () => {
  expect(Object.keys(log).toSorted((a, b) => (a < b ? -1 : 1))).toEqual([
    'BatchTooLargeError',
    'CorruptLogError',
    'GroupCommit',
    'InconsistentTopicIdError',
    'InvalidProducerEpochError',
    'InvalidRecordError',
    'InvalidTimestampError',
    'InvalidTxnStateError',
    'KafkaStorageError',
    'OffsetOutOfRangeError',
    'OutOfOrderSequenceError',
    'PartitionLog',
    'PolicyViolationError',
    'RecordListTooLargeError',
    'TailCache',
    'TransactionCoordinatorFencedError',
    'defaultLogConfig',
    'inlineCompactor',
    'workerCompactor',
  ]);
});

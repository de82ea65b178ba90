import { decodeMessage, encodeMessage } from '../frames.ts';
import { controlRecordType, endTxnMarker } from '../record-schemas/index.ts';

/** How a transaction ended, as the type in a control record's key. */
export type TransactionMarker = 'abort' | 'commit';

/** The key and value of the one record of a control batch that ends a transaction. */
export interface EndTransactionRecord {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

const types: readonly TransactionMarker[] = ['abort', 'commit'];

/** Append it to a `RecordBatchWriter`, and close that with `isControl` and `isTransactional`. */
export function endTransactionRecord(marker: TransactionMarker, coordinatorEpoch: number): EndTransactionRecord {
  return {
    key: encodeMessage(controlRecordType, 0, { type: types.indexOf(marker) }),
    value: encodeMessage(endTxnMarker, 0, { coordinatorEpoch }),
  };
}

/**
 * What a control record's key says. Undefined for the other types there are (of KRaft) or will be: readers skip them, as Kafka's do.
 * @throws `ProtocolError` for a key that is cut off
 */
export function transactionMarkerOf(key: Uint8Array): TransactionMarker | undefined {
  return types[decodeMessage(controlRecordType, 0, key).type];
}

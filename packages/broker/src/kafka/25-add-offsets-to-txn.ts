import type { Logger } from '@millrace/platform';
import { apis } from '@millrace/protocol';
import type { TransactionCoordinator } from '../core/transactions/transaction-coordinator.ts';
import { codeOf, errorCodeOf } from './error-codes.ts';
import { handlerOf, type Handler } from './handler.ts';
import { fencedAsEpoch } from './producer-fenced.ts';

const firstVersionWithFenced = 2;

/** AddOffsetsToTxn: the place where the group's offsets go becomes part of the transaction. */
export function addOffsetsToTxn(transactions: TransactionCoordinator, logger: Logger): Handler {
  return handlerOf(apis.addOffsetsToTxn, [0, 4], async (request, { apiVersion }) => {
    let errorCode: number;
    try {
      errorCode = codeOf(await transactions.addOffsets(request));
    } catch (error) {
      errorCode = errorCodeOf(error, logger);
    }
    return { errorCode: apiVersion < firstVersionWithFenced ? fencedAsEpoch(errorCode) : errorCode };
  });
}

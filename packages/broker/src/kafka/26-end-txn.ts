import type { Logger } from '@millrace/platform';
import { apis } from '@millrace/protocol';
import type { TransactionCoordinator } from '../core/transactions/transaction-coordinator.ts';
import { codeOf, errorCodeOf } from './error-codes.ts';
import { handlerOf, type Handler } from './handler.ts';
import { fencedAsEpoch } from './producer-fenced.ts';

const firstVersionWithFenced = 2;

/** EndTxn. Version 5 raises the epoch with each end (KIP-890 part 2), which needs `transaction.version` 2. */
export function endTxn(transactions: TransactionCoordinator, logger: Logger): Handler {
  return handlerOf(apis.endTxn, [0, 4], async (request, { apiVersion }) => {
    const { transactionalId, producerId, producerEpoch, committed } = request;
    let errorCode: number;
    try {
      errorCode = codeOf(await transactions.end({ transactionalId, producerId, producerEpoch, isCommit: committed }));
    } catch (error) {
      errorCode = errorCodeOf(error, logger);
    }
    return { errorCode: apiVersion < firstVersionWithFenced ? fencedAsEpoch(errorCode) : errorCode };
  });
}

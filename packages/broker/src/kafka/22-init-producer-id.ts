import type { Logger } from '@millrace/platform';
import { apis } from '@millrace/protocol';
import { RequestRefusedError } from '../core/errors.ts';
import type { TransactionCoordinator } from '../core/transactions/transaction-coordinator.ts';
import type { ProducerIdentity } from '../core/transactions/transaction.ts';
import { errorCodeOf } from './error-codes.ts';
import { handlerOf, type Handler } from './handler.ts';
import { fencedAsEpoch } from './producer-fenced.ts';

const firstVersionWithFenced = 4;
const none = -1;

/** InitProducerId. */
export function initProducerId(transactions: TransactionCoordinator, logger: Logger): Handler {
  return handlerOf(apis.initProducerId, [0, 5], async (request, { apiVersion }) => {
    const { transactionalId, transactionTimeoutMs } = request;
    try {
      const expected = expectedOf(request);
      const identity = await transactions.initProducerId({
        transactionalId,
        timeoutMs: transactionTimeoutMs,
        expected,
      });
      return { errorCode: 0, ...identity };
    } catch (error) {
      const errorCode = errorCodeOf(error, logger);
      return {
        errorCode: apiVersion < firstVersionWithFenced ? fencedAsEpoch(errorCode) : errorCode,
        producerId: none,
        producerEpoch: none,
      };
    }
  });
}

/** What the producer has: both its id and its epoch, or neither. */
function expectedOf({ producerId, producerEpoch }: ProducerIdentity): ProducerIdentity | null {
  if (producerId === none && producerEpoch === none) return null;
  if (producerId !== none && producerEpoch !== none) return { producerId, producerEpoch };
  throw new RequestRefusedError(
    'INVALID_REQUEST',
    `Producer id ${producerId} with epoch ${producerEpoch}: give both, or -1 for both.`,
    { context: { producerId, producerEpoch } },
  );
}

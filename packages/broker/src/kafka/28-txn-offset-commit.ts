import type { Logger } from '@millrace/platform';
import { apis } from '@millrace/protocol';
import { RequestRefusedError, type ErrorName } from '../core/errors.ts';
import type { GroupCoordinator } from '../core/groups/group-coordinator.ts';
import type { TransactionCoordinator } from '../core/transactions/transaction-coordinator.ts';
import { byTopic } from './by-topic.ts';
import { codeOf, errorCodeOf } from './error-codes.ts';
import { handlerOf, type Handler } from './handler.ts';

/** Before 4 clients take what they may abort for the end of their producer (KIP-890). */
const firstVersionWithAbortable = 4;

/**
 * TxnOffsetCommit: offsets that count once the transaction commits. Version 5 would add them to the transaction by itself
 * (KIP-890 part 2), which needs `transaction.version` 2.
 */
export function txnOffsetCommit(parts: {
  readonly groups: GroupCoordinator;
  readonly transactions: TransactionCoordinator;
  readonly verifies: boolean;
  readonly logger: Logger;
}): Handler {
  const { groups, transactions, verifies, logger } = parts;
  return handlerOf(apis.txnOffsetCommit, [0, 4], async (request, { apiVersion }) => {
    const { producerId, producerEpoch, groupId } = request;
    const offsets = request.topics.flatMap(({ name, partitions }) =>
      partitions.map((partition) => ({
        topic: name,
        partition: partition.partitionIndex,
        offset: partition.committedOffset,
        leaderEpoch: partition.committedLeaderEpoch,
        metadata: partition.committedMetadata,
      })),
    );
    try {
      if (verifies) refuse(await transactions.verifyGroup(request), apiVersion);
      const results = await groups.commitTransactionalOffsets({
        groupId,
        generationId: request.generationId,
        memberId: request.memberId,
        groupInstanceId: request.groupInstanceId,
        producer: { producerId, producerEpoch },
        offsets,
      });
      return {
        topics: byTopic(results, ({ partition, error }) => ({ partitionIndex: partition, errorCode: codeOf(error) })),
      };
    } catch (error) {
      const errorCode = errorCodeOf(error, logger);
      return { topics: byTopic(offsets, ({ partition }) => ({ partitionIndex: partition, errorCode })) };
    }
  });
}

/** What the verification found, in the words that clients of the version know: abort, or stop as fenced. */
function refuse(error: ErrorName | null, apiVersion: number): void {
  if (error === null) return;
  const outside = apiVersion < firstVersionWithAbortable ? 'INVALID_TXN_STATE' : 'TRANSACTION_ABORTABLE';
  throw new RequestRefusedError(
    error === 'PRODUCER_FENCED' ? 'INVALID_PRODUCER_EPOCH' : outside,
    `The offsets of the group are not part of the producer's transaction (${error}): send AddOffsetsToTxn before them.`,
  );
}

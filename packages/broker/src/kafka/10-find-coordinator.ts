import type { Logger } from '@millrace/platform';
import { apis } from '@millrace/protocol';
import { RequestRefusedError } from '../core/errors.ts';
import type { GroupCoordinator } from '../core/groups/group-coordinator.ts';
import type { TransactionCoordinator } from '../core/transactions/transaction-coordinator.ts';
import { errorCodeOf, errorCodes, errorMessageOf } from './error-codes.ts';
import { handlerOf, type Handler } from './handler.ts';

const keyTypes = { group: 0, transaction: 1 } as const;
const firstVersionWithSeveralKeys = 4;
const noNode = { nodeId: -1, host: '', port: -1 };

/**
 * FindCoordinator: this broker. The internal topic behind it is made before the answer, so that nobody has to come again, as with
 * Kafka. Version 6 asks for the coordinators of share groups, which are not served.
 */
export function findCoordinator(
  groups: GroupCoordinator,
  transactions: TransactionCoordinator,
  nodeId: number,
  logger: Logger,
): Handler {
  const prepare = (keyType: number): Promise<void> => {
    if (keyType === keyTypes.group) return groups.prepare();
    if (keyType === keyTypes.transaction) return transactions.prepare();
    throw new RequestRefusedError(
      'INVALID_REQUEST',
      `Coordinators of key type ${keyType} do not exist: 0 is for groups, 1 for transactions.`,
    );
  };
  return handlerOf(apis.findCoordinator, [0, 5], async (request, { apiVersion, connection }) => {
    let found: { nodeId: number; host: string; port: number; errorCode: number; errorMessage: string | null };
    try {
      await prepare(request.keyType);
      found = { nodeId, ...connection.advertised, errorCode: errorCodes.NONE, errorMessage: null };
    } catch (error) {
      found = { ...noNode, errorCode: errorCodeOf(error, logger), errorMessage: errorMessageOf(error) };
    }
    if (apiVersion < firstVersionWithSeveralKeys) return found;
    return { coordinators: request.coordinatorKeys.map((key) => ({ key, ...found })) };
  });
}

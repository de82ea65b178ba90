import type { Coordinator, CoreServices } from '../core/core-services.ts';
import { groupCoordinatorOf } from '../core/groups/group-coordinator.ts';
import { transactionCoordinatorOf, type TransactionCoordinator } from '../core/transactions/transaction-coordinator.ts';
import { offsetCommit } from './08-offset-commit.ts';
import { offsetFetch } from './09-offset-fetch.ts';
import { findCoordinator } from './10-find-coordinator.ts';
import { joinGroup } from './11-join-group.ts';
import { heartbeat } from './12-heartbeat.ts';
import { leaveGroup } from './13-leave-group.ts';
import { syncGroup } from './14-sync-group.ts';
import { describeGroups } from './15-describe-groups.ts';
import { listGroups } from './16-list-groups.ts';
import { initProducerId } from './22-init-producer-id.ts';
import { addPartitionsToTxn } from './24-add-partitions-to-txn.ts';
import { addOffsetsToTxn } from './25-add-offsets-to-txn.ts';
import { endTxn } from './26-end-txn.ts';
import { txnOffsetCommit } from './28-txn-offset-commit.ts';
import { deleteGroups } from './42-delete-groups.ts';
import { offsetDelete } from './47-offset-delete.ts';
import type { Handler } from './handler.ts';

/** Groups and transactions: their coordinators, in the order in which they load, and their handlers. */
export function createCoordinatorHandlers(core: CoreServices): {
  readonly handlers: readonly Handler[];
  readonly coordinators: readonly Coordinator[];
  readonly transactions: TransactionCoordinator;
} {
  const { config, logger, nodeId } = core;
  const groups = groupCoordinatorOf(core);
  const transactions = transactionCoordinatorOf(core, groups);
  const verifies = config['transaction.partition.verification.enable'];
  const handlers = [
    offsetCommit(groups, logger),
    offsetFetch(groups),
    findCoordinator(groups, transactions, nodeId, logger),
    joinGroup(groups),
    heartbeat(groups),
    leaveGroup(groups, logger),
    syncGroup(groups),
    describeGroups(groups),
    listGroups(groups),
    initProducerId(transactions, logger),
    addPartitionsToTxn(transactions, logger),
    addOffsetsToTxn(transactions, logger),
    endTxn(transactions, logger),
    txnOffsetCommit({ groups, transactions, verifies, logger }),
    deleteGroups(groups, logger),
    offsetDelete(groups, logger),
  ];
  // Groups first: a transaction that is ended at start settles their offsets.
  return { handlers, coordinators: [groups, transactions], transactions };
}

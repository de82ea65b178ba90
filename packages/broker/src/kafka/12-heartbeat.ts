import { apis } from '@millrace/protocol';
import type { GroupCoordinator } from '../core/groups/group-coordinator.ts';
import { codeOf } from './error-codes.ts';
import { handlerOf, type Handler } from './handler.ts';

/** Heartbeat. During a rebalance its answer, REBALANCE_IN_PROGRESS, is what calls the members back. */
export function heartbeat(groups: GroupCoordinator): Handler {
  return handlerOf(apis.heartbeat, [0, 4], (request) => ({ errorCode: codeOf(groups.heartbeat(request)) }));
}

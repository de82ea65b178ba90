import { apis } from '@millrace/protocol';
import type { GroupCoordinator } from '../core/groups/group-coordinator.ts';
import { errorCodes } from './error-codes.ts';
import { handlerOf, type Handler } from './handler.ts';

/** ListGroups. A filter that is empty lets all pass. */
export function listGroups(groups: GroupCoordinator): Handler {
  return handlerOf(apis.listGroups, [0, 5], (request) => ({
    errorCode: errorCodes.NONE,
    groups: groups
      .list({ states: request.statesFilter, types: request.typesFilter })
      .map(({ groupId, protocolType, state, type }) => ({ groupId, protocolType, groupState: state, groupType: type })),
  }));
}

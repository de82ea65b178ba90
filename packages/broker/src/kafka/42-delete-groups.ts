import type { Logger } from '@millrace/platform';
import { apis } from '@millrace/protocol';
import type { GroupCoordinator } from '../core/groups/group-coordinator.ts';
import { errorCodeOf, errorCodes } from './error-codes.ts';
import { handlerOf, type Handler } from './handler.ts';

/** DeleteGroups: each on its own. */
export function deleteGroups(groups: GroupCoordinator, logger: Logger): Handler {
  return handlerOf(apis.deleteGroups, [0, 2], async (request) => ({
    results: await Promise.all(
      request.groupsNames.map(async (groupId) => {
        try {
          await groups.deleteGroup(groupId);
          return { groupId, errorCode: errorCodes.NONE };
        } catch (error) {
          return { groupId, errorCode: errorCodeOf(error, logger) };
        }
      }),
    ),
  }));
}

import type { Logger } from '@millrace/platform';
import { apis } from '@millrace/protocol';
import type { GroupCoordinator } from '../core/groups/group-coordinator.ts';
import { codeOf, errorCodeOf, errorCodes } from './error-codes.ts';
import { handlerOf, type Handler } from './handler.ts';

/** From 3 on several members may leave, each with an error of its own. */
const firstVersionWithMembers = 3;

/** LeaveGroup. */
export function leaveGroup(groups: GroupCoordinator, logger: Logger): Handler {
  return handlerOf(apis.leaveGroup, [0, 5], (request, { apiVersion }) => {
    const { groupId } = request;
    const hasMembers = apiVersion >= firstVersionWithMembers;
    const leaving = hasMembers
      ? request.members
      : [{ memberId: request.memberId, groupInstanceId: null, reason: null }];
    try {
      const results = groups.leave(groupId, leaving);
      if (!hasMembers) return { errorCode: codeOf(results[0]!.error) };
      return {
        errorCode: errorCodes.NONE,
        members: results.map(({ memberId, groupInstanceId, error }) => ({
          memberId,
          groupInstanceId,
          errorCode: codeOf(error),
        })),
      };
    } catch (error) {
      return { errorCode: errorCodeOf(error, logger) };
    }
  });
}

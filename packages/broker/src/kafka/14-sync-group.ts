import { apis } from '@millrace/protocol';
import type { GroupCoordinator } from '../core/groups/group-coordinator.ts';
import { codeOf, errorCodes } from './error-codes.ts';
import { handlerOf, type Handler } from './handler.ts';

/** From 5 on a member must say what it believes the group agreed on (KIP-559). */
const firstVersionWithProtocol = 5;

/** SyncGroup: answered when the leader's assignment is durable. */
export function syncGroup(groups: GroupCoordinator): Handler {
  return handlerOf(apis.syncGroup, [0, 5], async (request, { apiVersion }) => {
    const { protocolType, protocolName } = request;
    if (apiVersion >= firstVersionWithProtocol && (protocolType === null || protocolName === null)) {
      return { errorCode: errorCodes.INCONSISTENT_GROUP_PROTOCOL };
    }
    const result = await groups.sync({
      groupId: request.groupId,
      memberId: request.memberId,
      groupInstanceId: request.groupInstanceId,
      generationId: request.generationId,
      protocolType,
      protocolName,
      // Copies of their own: members keep them.
      assignments: new Map(
        request.assignments.map(({ memberId, assignment }) => [memberId, new Uint8Array(assignment)]),
      ),
    });
    return {
      errorCode: codeOf(result.error),
      protocolType: result.protocolType,
      protocolName: result.protocolName,
      assignment: result.assignment,
    };
  });
}

import { apis } from '@millrace/protocol';
import type { GroupCoordinator } from '../core/groups/group-coordinator.ts';
import { groupOperations, notAsked } from './authorized-operations.ts';
import { errorCodes } from './error-codes.ts';
import { handlerOf, type Handler } from './handler.ts';

/** From 6 on a group that does not exist is an error; before, it is described as dead (KIP-1043). */
const firstVersionWithGroupNotFound = 6;

/** DescribeGroups. */
export function describeGroups(groups: GroupCoordinator): Handler {
  return handlerOf(apis.describeGroups, [0, 6], (request, { apiVersion }) => ({
    groups: request.groups.map((id) => {
      const { groupId, state, protocolType, protocolName, members } = groups.describe(id);
      const isMissing = state === 'Dead' && apiVersion >= firstVersionWithGroupNotFound;
      return {
        errorCode: isMissing ? errorCodes.GROUP_ID_NOT_FOUND : errorCodes.NONE,
        errorMessage: isMissing ? `There is no group '${groupId}'.` : null,
        groupId,
        groupState: state,
        protocolType,
        protocolData: protocolName,
        members: members.map(({ memberId, groupInstanceId, clientId, clientHost, metadata, assignment }) => ({
          memberId,
          groupInstanceId,
          clientId,
          clientHost,
          memberMetadata: metadata,
          memberAssignment: assignment,
        })),
        authorizedOperations: request.includeAuthorizedOperations && !isMissing ? groupOperations : notAsked,
      };
    }),
  }));
}

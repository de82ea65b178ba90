import { apis } from '@millrace/protocol';
import type { GroupCoordinator } from '../core/groups/group-coordinator.ts';
import type { MemberProtocol } from '../core/groups/member.ts';
import { codeOf } from './error-codes.ts';
import { handlerOf, type Handler } from './handler.ts';

/** From 4 on a member without an id is given one and comes again with it (KIP-394). */
const firstVersionRequiringMemberId = 4;
/** Before 7 the protocol's name cannot be null: empty says the same. */
const firstVersionWithNullProtocol = 7;
const firstVersionSkippingAssignment = 9;

/** JoinGroup: answered when the rebalance that the member takes part in ends. */
export function joinGroup(groups: GroupCoordinator): Handler {
  return handlerOf(apis.joinGroup, [0, 9], async (request, { apiVersion, clientId, connection }) => {
    const { sessionTimeoutMs, rebalanceTimeoutMs } = request;
    const result = await groups.join({
      groupId: request.groupId,
      memberId: request.memberId,
      groupInstanceId: request.groupInstanceId,
      clientId,
      clientHost: connection.clientHost,
      sessionTimeoutMs,
      // Version 0 has one timeout for both.
      rebalanceTimeoutMs: rebalanceTimeoutMs < 0 ? sessionTimeoutMs : rebalanceTimeoutMs,
      protocolType: request.protocolType,
      protocols: keptProtocols(request.protocols),
      reason: request.reason,
      requiresKnownMemberId: apiVersion >= firstVersionRequiringMemberId,
      supportsSkippingAssignment: apiVersion >= firstVersionSkippingAssignment,
      onGone: (listener) => connection.onClose(listener),
    });
    return {
      errorCode: codeOf(result.error),
      generationId: result.generationId,
      protocolType: result.protocolType,
      protocolName: result.protocolName ?? (apiVersion < firstVersionWithNullProtocol ? '' : null),
      leader: result.leader ?? '',
      skipAssignment: result.skipAssignment,
      memberId: result.memberId,
      members: result.members,
    };
  });
}

/** Copies of their own, since members keep them; of a name that comes twice, the first counts. */
function keptProtocols(protocols: readonly MemberProtocol[]): readonly MemberProtocol[] {
  const byName = new Map<string, MemberProtocol>();
  for (const { name, metadata } of protocols) {
    if (!byName.has(name)) byName.set(name, { name, metadata: new Uint8Array(metadata) });
  }
  return [...byName.values()];
}

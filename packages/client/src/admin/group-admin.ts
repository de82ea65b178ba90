import { apis, errorCodes } from '@millrace/protocol';
import { decodeAssignment } from '../consumer/consumer-protocol.ts';
import { GroupOffsets } from '../consumer/group-offsets.ts';
import { listOffsets, offsetAt } from '../consumer/list-offsets.ts';
import { KafkaError } from '../kafka-error.ts';
import type { ClusterClient } from '../network/cluster-client.ts';
import { Coordinator } from '../network/coordinator.ts';
import type { Position } from '../positions.ts';
import type { GroupDescription, GroupOffset, GroupState } from './admin-types.ts';

/** Each broker knows the groups it coordinates. */
export async function listConsumerGroups(
  cluster: ClusterClient,
): Promise<readonly { groupId: string; state: GroupState }[]> {
  await cluster.refresh();
  const perNode = await Promise.all(
    [...cluster.metadata.brokers.keys()].map((nodeId) => cluster.retrying(() => listGroupsOf(cluster, nodeId))),
  );
  return perNode.flat().sort((a, b) => (a.groupId < b.groupId ? -1 : 1));
}

async function listGroupsOf(cluster: ClusterClient, nodeId: number): Promise<{ groupId: string; state: GroupState }[]> {
  const connection = await cluster.connections.to(nodeId);
  const answer = await connection.request(apis.listGroups, {});
  if (answer.errorCode !== errorCodes.NONE) throw new KafkaError(answer.errorCode, `ListGroups of node ${nodeId}`);
  return answer.groups
    .filter((group) => group.protocolType === 'consumer' || group.protocolType === '')
    .map((group) => ({ groupId: group.groupId, state: stateOf(group.groupState) }));
}

export async function describeConsumerGroup(cluster: ClusterClient, groupId: string): Promise<GroupDescription> {
  const coordinator = coordinatorOf(cluster, groupId);
  return await cluster.retrying(async () => {
    const answer = await coordinator.request(apis.describeGroups, { groups: [groupId] });
    const group = answer.groups[0];
    const code = group?.errorCode ?? errorCodes.UNKNOWN_SERVER_ERROR;
    // From version 6 on an unknown group is an error; before it, a state.
    if (code === errorCodes.GROUP_ID_NOT_FOUND) return { groupId, state: 'Dead', members: [] };
    if (group === undefined || code !== errorCodes.NONE) throw groupError(coordinator, code, 'DescribeGroups', groupId);
    return {
      groupId,
      state: stateOf(group.groupState),
      members: group.members.map((member) => ({
        memberId: member.memberId,
        clientId: member.clientId,
        host: member.clientHost,
        assignment: decodeAssignment(member.memberAssignment),
      })),
    };
  });
}

export async function deleteConsumerGroup(cluster: ClusterClient, groupId: string): Promise<void> {
  const coordinator = coordinatorOf(cluster, groupId);
  await cluster.retrying(async () => {
    const answer = await coordinator.request(apis.deleteGroups, { groupsNames: [groupId] });
    const code = answer.results[0]?.errorCode ?? errorCodes.UNKNOWN_SERVER_ERROR;
    if (code !== errorCodes.NONE) throw groupError(coordinator, code, 'DeleteGroups', groupId);
  });
}

export async function listConsumerGroupOffsets(
  cluster: ClusterClient,
  groupId: string,
): Promise<readonly GroupOffset[]> {
  const committed = await new GroupOffsets(cluster, groupId).fetch(null, false);
  // A topic that was deleted has no end, and no lag.
  const known = new Set((await cluster.retrying(() => cluster.listTopics())).map((topic) => topic.name));
  const existing = committed.filter(({ topic }) => known.has(topic));
  const ends = await listOffsets(
    cluster,
    existing.map(({ topic, partition }) => ({ topic, partition, timestamp: offsetAt.latest })),
    'read_uncommitted',
  );
  return existing
    .map(({ topic, partition, offset, metadata }, i) => ({
      topic,
      partition,
      offset,
      metadata: metadata ?? '',
      lagRecords: Math.max(0, ends[i]!.offset - offset),
    }))
    .sort((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1));
}

export async function alterConsumerGroupOffsets(
  cluster: ClusterClient,
  groupId: string,
  offsets: readonly Position[],
): Promise<void> {
  const outside = { groupId, generationId: -1, memberId: '', groupInstanceId: null };
  await new GroupOffsets(cluster, groupId).commit(
    offsets,
    () => outside,
    () => Promise.resolve(),
  );
}

function coordinatorOf(cluster: ClusterClient, groupId: string): Coordinator {
  return new Coordinator(cluster, cluster.connections, 'group', groupId);
}

function groupError(coordinator: Coordinator, code: number, api: string, groupId: string): KafkaError {
  coordinator.heed(code);
  return new KafkaError(code, `${api} of group ${groupId}`, { context: { groupId } });
}

/** Brokers before 2.6 do not tell; a state that is not named here is a newer one. */
function stateOf(text: string): GroupState {
  return text === '' ? 'Dead' : (text as GroupState);
}

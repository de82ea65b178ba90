import { Client } from '@millrace/client';
import { clusterOf, type ClusterFlags } from '../cluster.ts';
import { GroupInUseError, UnknownGroupError } from '../errors.ts';
import { output } from '../output.ts';
import { timeOf } from '../time-of.ts';

interface Options extends ClusterFlags {
  readonly json?: boolean;
}

export async function listGroups(options: Options): Promise<void> {
  await using client = await Client.connect(clusterOf(options));
  const groups = await client.admin.listConsumerGroups();
  output(options).rows(
    groups.map(({ groupId, state }) => ({ group: groupId, state })),
    ['group', 'state'],
  );
}

export async function describeGroup(groupId: string, options: Options): Promise<void> {
  await using client = await Client.connect(clusterOf(options));
  const [group] = await client.admin.describeConsumerGroups([groupId]);
  if (group!.state === 'Dead') throw new UnknownGroupError(groupId);
  const committed = await client.admin.listConsumerGroupOffsets(groupId);
  const ownerOf = new Map<string, string>();
  const untouched: { topic: string; partition: number; offset?: number; lagRecords?: number }[] = [];
  for (const member of group!.members) {
    for (const { topic, partition } of member.assignment) {
      ownerOf.set(`${topic}-${partition}`, `${member.clientId} (${member.host})`);
      if (!committed.some((at) => at.topic === topic && at.partition === partition)) {
        untouched.push({ topic, partition }); // assigned, and nothing committed yet
      }
    }
  }
  const out = output(options);
  const head = { group: groupId, state: group!.state, members: group!.members.length };
  const rows = [...committed, ...untouched].sort((a, b) =>
    a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1,
  );
  if (!options.json || rows.length === 0) out.item(head);
  out.rows(
    rows.map(({ topic, partition, offset, lagRecords }) => ({
      ...(options.json ? head : {}),
      topic,
      partition,
      offset,
      lag: lagRecords,
      owner: ownerOf.get(`${topic}-${partition}`),
    })),
    ['topic', 'partition', 'offset', 'lag', 'owner'],
  );
}

export async function resetGroup(
  groupId: string,
  options: Options & { readonly topic: string; readonly to: string },
): Promise<void> {
  const at = options.to === 'earliest' || options.to === 'latest' ? options.to : timeOf(options.to, '--to');
  await using client = await Client.connect(clusterOf(options));
  const [group] = await client.admin.describeConsumerGroups([groupId]);
  if (group!.members.length > 0) throw new GroupInUseError(groupId, group!.members.length);
  await client.admin.alterConsumerGroupOffsets(groupId, await client.admin.listOffsets(options.topic, at));
  await describeGroup(groupId, options);
}

export async function deleteGroups(groupIds: readonly string[], options: Options): Promise<void> {
  await using client = await Client.connect(clusterOf(options));
  await client.admin.deleteConsumerGroups(groupIds);
}

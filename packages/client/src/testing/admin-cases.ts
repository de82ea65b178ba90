import assert from 'node:assert/strict';
import { string, topic } from '@millrace/serde';
import { eventually, take, type ClientCase } from './client-case.ts';

export const adminCases: readonly ClientCase[] = [
  {
    name: 'topics are made once, told apart by partition count, described, grown and deleted',
    async run(context) {
      const { admin } = await context.connect();
      const made = topic(context.name('made'), { value: string, numPartitions: 2 });
      await admin.createTopics([made], { validateOnly: true });
      assert.ok(!(await admin.listTopics()).includes(made.name));
      await admin.createTopics([made]);
      await admin.createTopics([made]);
      assert.ok((await admin.listTopics()).includes(made.name));
      await assert.rejects(admin.createTopics([{ ...made, numPartitions: 3 }]), { code: 'TOPIC_MISMATCH' });
      await assert.rejects(admin.createTopics([{ name: 'not/allowed' }]), { code: 'INVALID_TOPIC_EXCEPTION' });

      await admin.createPartitions(made.name, 3);
      const [description] = await admin.describeTopics([made.name]);
      assert.equal(description?.name, made.name);
      assert.deepEqual(
        description.partitions.map(({ partition }) => partition),
        [0, 1, 2],
      );
      const { nodes, clusterId } = await admin.describeCluster();
      assert.notEqual(clusterId, '');
      for (const { leader, replicas, isr } of description.partitions) {
        assert.ok(nodes.some(({ nodeId }) => nodeId === leader));
        assert.ok(replicas.includes(leader) && isr.includes(leader));
      }
      await assert.rejects(admin.createPartitions(made.name, 2), { code: 'INVALID_PARTITIONS' });

      await admin.deleteTopics([made.name]);
      await assert.rejects(admin.describeTopics([made.name]), { code: 'UNKNOWN_TOPIC_OR_PARTITION' });
      await assert.rejects(admin.deleteTopics([made.name]), { code: 'UNKNOWN_TOPIC_OR_PARTITION' });
    },
  },
  {
    name: 'configs are read, changed one by one, and put back',
    async run(context) {
      const { admin } = await context.connect();
      const name = context.name('configured');
      await admin.createTopics([{ name, config: { 'retention.ms': 1_000_000, 'cleanup.policy': 'compact' } }]);
      await admin.alterConfigs(name, { 'retention.ms': 2_000_000, 'segment.bytes': 2_097_152 });
      const changed = await eventually(
        () => admin.describeConfigs(name),
        (configs) => configs['segment.bytes'] === '2097152',
      );
      assert.deepEqual(
        [changed['retention.ms'], changed['segment.bytes'], changed['cleanup.policy']],
        ['2000000', '2097152', 'compact'],
      );
      await admin.alterConfigs(name, { 'retention.ms': null });
      const restored = await eventually(
        async () => (await admin.describeConfigs(name))['retention.ms'],
        (retentionMs) => retentionMs === '604800000',
      );
      assert.equal(restored, '604800000');
      await assert.rejects(admin.alterConfigs(name, { 'no.such.config': 1 }), { code: 'INVALID_CONFIG' });
      await assert.rejects(admin.describeConfigs(context.name('missing')), { code: 'UNKNOWN_TOPIC_OR_PARTITION' });
    },
  },
  {
    name: 'groups are listed, described, moved while they have no members, and deleted',
    async run(context) {
      const client = await context.connect();
      const { admin } = client;
      const read = topic(context.name('read'), { value: string, numPartitions: 1 });
      await admin.createTopics([read]);
      await client.producer().send(
        read,
        Array.from({ length: 5 }, (_, i) => ({ value: String(i), timestampMs: 1_000 * i })),
      );
      const groupId = context.name('moved');
      const consumer = client.consumer({ groupId, topics: [read] });
      for await (const { offset } of consumer) {
        if (offset === 0) {
          const [description] = await admin.describeConsumerGroups([groupId]);
          assert.equal(description?.state, 'Stable');
          assert.deepEqual(
            description.members.map(({ assignment, clientId }) => ({ assignment, clientId })),
            [{ assignment: [{ topic: read.name, partition: 0 }], clientId: 'millrace' }],
          );
          const back = [{ topic: read.name, partition: 0, offset: 0 }];
          await assert.rejects(admin.alterConsumerGroupOffsets(groupId, back), { code: 'UNKNOWN_MEMBER_ID' });
          await assert.rejects(admin.deleteConsumerGroups([groupId]), { code: 'NON_EMPTY_GROUP' });
        }
        if (offset === 4) break;
      }
      assert.ok(
        (await admin.listConsumerGroups()).some((group) => group.groupId === groupId && group.state === 'Empty'),
      );
      const since = await admin.listOffsets(read.name, { timestampMs: 1_500 });
      assert.deepEqual(since, [{ topic: read.name, partition: 0, offset: 2 }]);
      await admin.alterConsumerGroupOffsets(groupId, since);
      assert.deepEqual(
        (await take(client.consumer({ groupId, topics: [read] }), 3)).map(({ value }) => value),
        ['2', '3', '4'],
      );
      await admin.deleteConsumerGroups([groupId]);
      assert.deepEqual(await admin.listConsumerGroupOffsets(groupId), []);
      assert.equal((await admin.describeConsumerGroups([groupId]))[0]?.state, 'Dead');
      await assert.rejects(admin.deleteConsumerGroups([groupId]), { code: 'GROUP_ID_NOT_FOUND' });
    },
  },
];

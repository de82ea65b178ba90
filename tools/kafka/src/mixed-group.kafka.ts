import { Broker } from '@millrace/broker';
import { Client } from '@millrace/client';
import { string, topic } from '@millrace/serde';
import { spawn, type ChildProcess } from 'node:child_process';
import { expect, it } from 'vitest';
import { kafkaClassPath } from './distribution.ts';

const ascending = (a: number, b: number): number => a - b;
const letters = topic('letters', { key: string, value: string, numPartitions: 6 });

it("shares partitions in one cooperative-sticky group with Kafka's own consumers, whoever leads and leaves", async () => {
  await using broker = await Broker.open({ data: 'memory', listen: { port: 0 } });
  await using client = await Client.connect(broker.address);
  await client.admin.createTopics([letters]);
  const classPath = await kafkaClassPath();
  const javaMembers: ChildProcess[] = [];
  const joinJava = (): ChildProcess => {
    const member = spawn(
      'java',
      [
        ...['-Xmx128m', '-XX:TieredStopAtLevel=1', '-cp', classPath, 'org.apache.kafka.tools.consumer.ConsoleConsumer'],
        ...['--bootstrap-server', broker.address, '--topic', letters.name, '--group', 'mixed'],
        ...['--consumer-property', 'group.protocol=classic', '--consumer-property'],
        'partition.assignment.strategy=org.apache.kafka.clients.consumer.CooperativeStickyAssignor',
      ],
      { stdio: 'ignore' },
    );
    javaMembers.push(member);
    return member;
  };
  const joinOurs = (): { readonly leave: () => Promise<void> } => {
    const consumer = client.consumer({ groupId: 'mixed', topics: [letters] });
    const loop = (async () => {
      for await (const record of consumer) void record;
    })();
    return {
      leave: async () => {
        await consumer.close();
        await loop;
      },
    };
  };
  const expectShares = async (counts: readonly number[]): Promise<void> => {
    const look = async (): Promise<unknown> => {
      const [group] = await client.admin.describeConsumerGroups(['mixed']);
      const shares = group!.members.map(({ assignment }) => assignment.map(({ partition }) => partition));
      return [group!.state, shares.map(({ length }) => length).toSorted(ascending), shares.flat().toSorted(ascending)];
    };
    // A JVM takes seconds to begin, and a cooperative rebalance has two rounds.
    await expect.poll(look, { timeout: 40_000, interval: 100 }).toEqual(['Stable', counts, [0, 1, 2, 3, 4, 5]]);
  };
  try {
    const first = joinJava();
    await expectShares([6]);
    const ours = joinOurs();
    await expectShares([3, 3]);
    const second = joinJava();
    await expectShares([2, 2, 2]);
    const alsoOurs = joinOurs();
    await expectShares([1, 1, 2, 2]);
    first.kill('SIGTERM'); // it led
    await expectShares([2, 2, 2]);
    await ours.leave();
    await expectShares([3, 3]);
    second.kill('SIGTERM');
    await expectShares([6]);
    await alsoOurs.leave();
  } finally {
    for (const member of javaMembers) member.kill('SIGKILL');
  }
}, 240_000);

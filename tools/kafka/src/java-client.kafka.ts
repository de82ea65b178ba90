import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Broker } from '@millrace/broker';
import { expect, it } from 'vitest';
import { kafkaClassPath } from './distribution.ts';
import { kafkaTool } from './kafka-server.ts';

it("serves Kafka's Java clients: they make a topic, write to it, read it in a group, and see that nothing lags", async () => {
  await using broker = await Broker.open({ data: 'memory', listen: { port: 0 } });
  const at = ['--bootstrap-server', broker.address!];
  const tools = 'org.apache.kafka.tools';
  await kafkaTool(`${tools}.TopicCommand`, [...at, '--create', '--topic', 'from-java', '--partitions', '1']);

  const producer = spawn(
    'java',
    ['-cp', await kafkaClassPath(), `${tools}.ConsoleProducer`, ...at, '--topic', 'from-java'],
    { stdio: ['pipe', 'ignore', 'ignore'] },
  );
  producer.stdin.end('one\ntwo\nthree\n');
  expect(await once(producer, 'exit')).toEqual([0, null]);

  const reading = ['--topic', 'from-java', '--group', 'java', '--from-beginning', '--max-messages', '3'];
  const read = await kafkaTool(`${tools}.consumer.ConsoleConsumer`, [...at, ...reading, '--timeout-ms', '30000']);
  expect(read).toBe('one\ntwo\nthree\n');

  const group = await kafkaTool(`${tools}.consumer.group.ConsumerGroupCommand`, [
    ...at,
    '--describe',
    '--group',
    'java',
  ]);
  const row = group.split('\n').find((line) => line.startsWith('java'));
  expect(row?.split(/\s+/).slice(0, 6)).toEqual(['java', 'from-java', '0', '3', '3', '0']);
}, 120_000);

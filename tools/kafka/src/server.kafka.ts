import { expect, it } from 'vitest';
import { KafkaServer, kafkaTool } from './kafka-server.ts';

it('starts one node, answers its own tools, and stops', async () => {
  await using kafka = await KafkaServer.start();
  const topics = 'org.apache.kafka.tools.TopicCommand';
  const at = ['--bootstrap-server', kafka.bootstrapServers];
  await kafkaTool(topics, [...at, '--create', '--topic', 'greetings', '--partitions', '3']);
  expect((await kafkaTool(topics, [...at, '--list'])).trim()).toBe('greetings');
});

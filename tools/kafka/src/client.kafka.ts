import { clientCases, runClientCase } from '@millrace/client/testing';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { KafkaServer } from './kafka-server.ts';

/** The client's own cases, unchanged, on the real thing. */
describe('@millrace/client on Apache Kafka', () => {
  let kafka: KafkaServer;
  beforeAll(async () => void (kafka = await KafkaServer.start()));
  afterAll(() => kafka.stop());

  for (const clientCase of clientCases) it(clientCase.name, () => runClientCase(clientCase, kafka.bootstrapServers));
});

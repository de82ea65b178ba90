import { Client } from '@millrace/client';
import {
  createTopics,
  feedAirports,
  feedFlights,
  FlightData,
  processedCount,
  readAirports,
  readResult,
  recompute,
  topology,
} from '@millrace/flights';
import { Streams } from '@millrace/streams';
import { expect, it } from 'vitest';
import { KafkaServer } from './kafka-server.ts';

it('runs the flights pipeline exactly once on Apache Kafka, with a change of instances in the middle', async () => {
  const data = await FlightData.read('20k');
  const expected = await recompute(data);
  await using kafka = await KafkaServer.start();
  await using client = await Client.connect(kafka.bootstrapServers);
  await createTopics(client);
  await feedAirports(client, await readAirports());

  const cluster = kafka.bootstrapServers;
  const first = Streams.start(topology, { cluster });
  await first.running;
  const feeding = feedFlights(client, data, { signal: new AbortController().signal, onProgress: () => {} });
  const second = Streams.start(topology, { cluster });
  await second.running;
  await first.close();
  await feeding;
  while ((await processedCount(client, topology.applicationId)) < data.length) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await second.close();
  const result = await readResult(client);
  expect(Object.fromEntries(result)).toEqual(Object.fromEntries(expected.rows));
});

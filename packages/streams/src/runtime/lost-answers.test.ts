import { expect, it } from 'vitest';
import { Broker } from '@millrace/broker';
import { Client, type Cluster } from '@millrace/client';
import { NetworkError, silentLogger, type Logger } from '@millrace/platform';
import { json, string, topic } from '@millrace/serde';
import { StreamsBuilder } from '../dsl/builder.ts';
import { Streams } from './app.ts';

type Endpoint = Extract<Cluster, { dial(): unknown }>;
type Channel = ReturnType<Endpoint['dial']>;
const produce = 0;

/** An embedded broker over a network that loses the answers of every fifth Produce request, with its connection. */
class LosingEndpoint implements Endpoint {
  lostCount = 0;
  readonly #endpoint: Endpoint;
  #produceCount = 0;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
  }

  dial(): Channel {
    const channel = this.#endpoint.dial();
    const listeners: ((reason?: Error) => void)[] = [];
    let isLosing = false;
    return {
      send: (frame) => {
        // A request begins with its API key.
        if (((frame[0]! << 8) | frame[1]!) === produce && ++this.#produceCount % 5 === 0) isLosing = true;
        channel.send(frame);
      },
      onFrame: (listener) =>
        channel.onFrame((frame) => {
          if (!isLosing) return listener(frame);
          this.lostCount++;
          channel.close();
          for (const close of listeners.splice(0)) close(new NetworkError('Lost', 'the broker', 0));
        }),
      onClose: (listener) => {
        listeners.push(listener);
        channel.onClose(listener);
      },
      close: () => channel.close(),
    };
  }
}

const input = topic('input', { key: string, value: json<number>(), numPartitions: 1 });
const sums = topic('sums', { key: string, value: json<number>(), numPartitions: 1 });

it('at least once: records of the changelog whose answers were lost are written once, and are no stranger’s', async () => {
  await using broker = await Broker.open({ data: 'memory' });
  await using client = await Client.connect(broker);
  await client.admin.createTopics([input, sums]);
  const builder = new StreamsBuilder('app');
  builder
    .stream(input)
    .groupByKey()
    .reduce((a, b) => a + b, { name: 'sums', emit: 'update' })
    .to(sums);
  const endpoint = new LosingEndpoint(broker);
  const warnings: unknown[] = [];
  const logger: Logger = { ...silentLogger, warn: (context, message) => void warnings.push([context, message]) };
  const app = Streams.start(builder.build(), {
    cluster: endpoint,
    processingGuarantee: 'at_least_once',
    commit: 'eager',
    logger,
  });
  await app.running;
  const producer = client.producer();
  const arrived = client.records(sums)[Symbol.asyncIterator]();
  for (let i = 1; i <= 60; i++) {
    await producer.send(input, { key: 'a', value: 1 });
    expect((await arrived.next()).value.value).toBe(i);
  }
  await app.close();
  expect(endpoint.lostCount).toBeGreaterThan(5);
  expect(warnings).toEqual([]);
}, 60_000);

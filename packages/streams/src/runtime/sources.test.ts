import { VirtualTimeScheduler } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { Broker } from '@millrace/broker';
import { Client } from '@millrace/client';
import { json, string, topic, topicPattern } from '@millrace/serde';
import { StreamsBuilder } from '../dsl/builder.ts';
import { Streams } from './app.ts';

const output = topic('output', { key: string, value: json<string>(), numPartitions: 1 });
const one = (name: string) => topic(name, { key: string, value: json<string>(), numPartitions: 1 });

async function values(client: Client, count: number): Promise<string[]> {
  const read: string[] = [];
  for await (const { value } of client.records(output)) if (read.push(value) === count) break;
  return read;
}

describe('an app', () => {
  it('reads all topics that a pattern matches as a whole, and no topic that it makes for itself', async () => {
    await using broker = await Broker.open({ data: 'memory' });
    await using client = await Client.connect(broker);
    await client.admin.createTopics([one('eu-orders'), one('eu-orders-old'), one('eu-new-orders'), output]);
    const builder = new StreamsBuilder('eu');
    builder
      .stream(topicPattern(/eu-.*orders|eu-.*-repartition/, { key: string, value: json<string>() }))
      .repartition({ name: 'again' })
      .to(output);
    await using app = Streams.start(builder.build(), { cluster: broker, commitIntervalMs: 5 });
    await app.running;
    const producer = client.producer();
    await producer.send(one('eu-orders'), { key: 'k', value: 'first' });
    await producer.send(one('eu-orders-old'), { key: 'k', value: 'not matched as a whole' });
    await producer.send(one('eu-new-orders'), { key: 'k', value: 'second' });
    expect((await values(client, 2)).toSorted((a, b) => (a < b ? -1 : 1))).toEqual(['first', 'second']);
    const offsets = await client.admin.listConsumerGroupOffsets('eu');
    expect(offsets.map(({ topic: name }) => name)).toEqual(['eu-again-repartition', 'eu-new-orders', 'eu-orders']);
  }, 30_000);

  it('takes in topics that a pattern matches when they are made', async () => {
    await using broker = await Broker.open({ data: 'memory' });
    await using client = await Client.connect(broker);
    await client.admin.createTopics([one('eu-orders'), output]);
    const builder = new StreamsBuilder('eu');
    builder.stream(topicPattern(/eu-.*orders/, { key: string, value: json<string>() })).to(output);
    const options = { cluster: broker, commitIntervalMs: 5, metadataMaxAgeMs: 50 };
    await using app = Streams.start(builder.build(), options);
    await app.running;
    const producer = client.producer();
    await producer.send(one('eu-orders'), { key: 'k', value: 'first' });
    await values(client, 1);
    await client.admin.createTopics([one('eu-new-orders')]);
    await producer.send(one('eu-new-orders'), { key: 'k', value: 'second' });
    expect(await values(client, 2)).toEqual(['first', 'second']);
  });

  it('fails when a source is deleted, rather than having nothing to do', async () => {
    await using broker = await Broker.open({ data: 'memory' });
    await using client = await Client.connect(broker);
    await client.admin.createTopics([one('input'), output]);
    const builder = new StreamsBuilder('deleted');
    builder.stream(one('input')).to(output);
    const app = Streams.start(builder.build(), { cluster: broker, metadataMaxAgeMs: 50 });
    await app.running;
    await client.admin.deleteTopics(['input']);
    await expect(app.done).rejects.toMatchObject({ code: 'MISSING_TOPIC', context: { topics: ['input'] } });
  });

  it('begins at the end of a source that says so, and stays where it has committed', async () => {
    await using broker = await Broker.open({ data: 'memory' });
    await using client = await Client.connect(broker);
    await client.admin.createTopics([one('input'), output]);
    const producer = client.producer();
    await producer.send(one('input'), { key: 'k', value: 'before' });
    const builder = new StreamsBuilder('latest');
    builder.stream(one('input'), { autoOffsetReset: 'latest' }).to(output);
    const topology = builder.build();
    const first = Streams.start(topology, { cluster: broker, commitIntervalMs: 5 });
    await first.running;
    await producer.send(one('input'), { key: 'k', value: 'while it runs' });
    await values(client, 1);
    await first.close();
    await producer.send(one('input'), { key: 'k', value: 'while it is down' });
    await using second = Streams.start(topology, { cluster: broker, commitIntervalMs: 5 });
    await second.running;
    expect(await values(client, 2)).toEqual(['while it runs', 'while it is down']);
  });

  it('meets the records of two sources in the order of their times, as far as they are there', async () => {
    await using broker = await Broker.open({ data: 'memory' });
    await using client = await Client.connect(broker);
    await client.admin.createTopics([one('left'), one('right'), output]);
    const producer = client.producer();
    const at = (value: string, timestampMs: number) => ({ key: 'k', value, timestampMs });
    await producer.send(one('left'), [at('l1', 1), at('l4', 4), at('l6', 6)]);
    await producer.send(one('right'), [at('r2', 2), at('r3', 3), at('r5', 5)]);
    const builder = new StreamsBuilder('merge');
    builder
      .stream(one('left'))
      .merge(builder.stream(one('right')))
      .to(output);
    await using app = Streams.start(builder.build(), { cluster: broker, commitIntervalMs: 5 });
    await app.running;
    expect(await values(client, 6)).toEqual(['l1', 'r2', 'r3', 'l4', 'r5', 'l6']);
  });

  it('waits for a source that is empty as long as it is told, then goes on without it', async () => {
    await using broker = await Broker.open({ data: 'memory' });
    await using client = await Client.connect(broker);
    await client.admin.createTopics([one('left'), one('right'), output]);
    const producer = client.producer();
    const at = (value: string, timestampMs: number) => ({ key: 'k', value, timestampMs });
    const builder = new StreamsBuilder('idle');
    builder
      .stream(one('left'))
      .merge(builder.stream(one('right')))
      .to(output);
    await using app = Streams.start(builder.build(), { cluster: broker, commitIntervalMs: 5, maxTaskIdleMs: 300 });
    await app.running;
    await producer.send(one('left'), at('l2', 2));
    await producer.send(one('right'), at('r1', 1));
    await producer.send(one('left'), at('l3', 3));
    expect(await values(client, 3)).toEqual(['r1', 'l2', 'l3']);
  });

  it('fires timers by the scheduler it is given', async () => {
    await using broker = await Broker.open({ data: 'memory' });
    await using client = await Client.connect(broker);
    await client.admin.createTopics([one('input'), output]);
    const scheduler = new VirtualTimeScheduler();
    const builder = new StreamsBuilder('timers');
    let isSet: () => void;
    const set = new Promise<void>((resolve) => (isSet = resolve));
    builder
      .stream(one('input'))
      .process<string>({
        name: 'remind',
        onRecord(_value, _key, { timers }) {
          timers.set('later', { atMs: 3_600_000, clock: 'wall' });
          isSet();
        },
        onTimer: (timer, key) => [`${key} at ${timer.atMs}`],
      })
      .to(output);
    await using app = Streams.start(builder.build(), { cluster: broker, commitIntervalMs: 5, scheduler });
    await app.running;
    await client.producer().send(one('input'), { key: 'k', value: 'v' });
    await set;
    scheduler.maxFrames = 3_600_000;
    scheduler.schedule(() => {}, 3_600_000);
    scheduler.flush();
    await client.producer().send(one('input'), { key: 'other', value: 'the loop looks again' });
    expect(await values(client, 1)).toEqual(['k at 3600000']);
  });

  it('drains calls to the outside before it commits, and keeps their order by key', async () => {
    await using broker = await Broker.open({ data: 'memory' });
    await using client = await Client.connect(broker);
    await client.admin.createTopics([one('input'), output]);
    const builder = new StreamsBuilder('async');
    builder
      .stream(one('input'))
      .mapAsync(
        async (value) => {
          await new Promise((resolve) => setImmediate(resolve));
          return `${value}!`;
        },
        { concurrency: 4, timeoutMs: 10_000 },
      )
      .to(output);
    await using app = Streams.start(builder.build(), { cluster: broker, commitIntervalMs: 1 });
    await app.running;
    const sent = Array.from({ length: 50 }, (_, i) => ({ key: 'k', value: `v${i}` }));
    await client.producer().send(one('input'), sent);
    expect(await values(client, 50)).toEqual(sent.map(({ value }) => `${value}!`));
  });
});

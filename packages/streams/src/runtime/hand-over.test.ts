import { expect, it } from 'vitest';
import { Broker } from '@millrace/broker';
import { Client } from '@millrace/client';
import { json, string, topic } from '@millrace/serde';
import { firstValueFrom } from 'rxjs';
import { StreamsBuilder } from '../dsl/builder.ts';
import { Streams } from './app.ts';

const input = topic('input', { key: string, value: json<number>(), numPartitions: 2 });
const copies = topic('copies', { key: string, value: json<number>(), numPartitions: 2 });

it('what was made of a partition is committed, with its position, before another instance has it', async () => {
  await using broker = await Broker.open({ data: 'memory' });
  await using client = await Client.connect(broker);
  await client.admin.createTopics([input, copies]);
  let processedCount = 0;
  let wake: () => void = () => {};
  const topology = () => {
    const builder = new StreamsBuilder('app');
    builder
      .stream(input)
      .peek(() => {
        processedCount++;
        wake();
      })
      .groupByKey()
      .reduce((a, b) => a + b, { name: 'sums', emit: 'update' })
      .to(copies);
    return builder.build();
  };
  const processed = async (count: number): Promise<void> => {
    while (processedCount < count) await new Promise<void>((resolve) => (wake = resolve));
  };
  const start = () => Streams.start(topology(), { cluster: broker, commitIntervalMs: 600_000 }); // none but for a reason
  const keys = ['a', 'b', 'c', 'd', 'e', 'f'];
  const send = () =>
    client.producer().send(
      input,
      keys.map((key) => ({ key, value: 1 })),
    );

  const one = start();
  await one.running;
  await send();
  await processed(6);
  const two = start();
  const hasTasks = async (): Promise<boolean> => Object.keys((await firstValueFrom(two.metrics$)).stores).length > 0;
  while (!(await hasTasks())) await Promise.race([two.done, new Promise((resolve) => setImmediate(resolve))]);
  await send();
  await processed(12);
  await two.close();
  await one.close();

  const sums = new Map<string, number[]>(keys.map((key) => [key, []]));
  for await (const { key, value } of client.records(copies, { to: 'end' })) sums.get(key)!.push(value);
  expect(sums).toEqual(new Map(keys.map((key) => [key, [1, 2]])));
  expect(processedCount).toBe(12);
}, 60_000);

import { Broker } from '@millrace/broker';
import { string, topic } from '@millrace/serde';
import { firstValueFrom, lastValueFrom, map, take, toArray } from 'rxjs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Client } from '../client.ts';
import { lag$, records$ } from './index.ts';

let broker: Broker;
let client: Client;
const words = topic('words', { value: string, numPartitions: 1 });

beforeAll(async () => {
  broker = await Broker.open({ data: 'memory' });
  client = await Client.connect(broker);
  await client.admin.createTopics([words]);
  await client.producer().send(
    words,
    ['a', 'b', 'c'].map((value) => ({ value })),
  );
});
afterAll(async () => {
  await client.close();
  await broker.close();
});

it('pushes the records of a topic, completes at its end, and begins anew for each subscriber', async () => {
  const values$ = records$(client, words, { to: 'end' }).pipe(
    map(({ value }) => value),
    toArray(),
  );
  expect(await lastValueFrom(values$)).toEqual(['a', 'b', 'c']);
  expect(await lastValueFrom(values$)).toEqual(['a', 'b', 'c']);
});

it('stops reading when it is unsubscribed, and completes when its signal aborts', async () => {
  expect((await firstValueFrom(records$(client, words))).value).toBe('a');
  const abort = new AbortController();
  const seen: string[] = [];
  await new Promise<void>((resolve, reject) => {
    records$(client, words, { signal: abort.signal }).subscribe({
      next: ({ value }) => {
        seen.push(value);
        if (value === 'c') abort.abort();
      },
      error: reject,
      complete: resolve,
    });
  });
  expect(seen).toEqual(['a', 'b', 'c']);
});

it('tells an error of the topic', async () => {
  const wrong = topic('words', { key: string, value: string });
  await expect(lastValueFrom(records$(client, wrong, { to: 'end' }))).rejects.toMatchObject({ code: 'INVALID_RECORD' });
});

it("follows a consumer's lag", async () => {
  const consumer = client.consumer({ groupId: 'lagging', topics: [words], maxBufferedRecords: 1 });
  const lags = lastValueFrom(
    lag$(consumer, { periodMs: 1 }).pipe(
      map((partitions) => partitions.map(({ lagRecords }) => lagRecords).join()),
      take(3),
      toArray(),
    ),
  );
  const iterator = consumer[Symbol.asyncIterator]();
  await iterator.next();
  const first = await firstValueFrom(lag$(consumer));
  expect(first).toEqual([{ topic: 'words', partition: 0, lagRecords: 2 }]);
  await iterator.next();
  expect(consumer.lag[0]?.lagRecords).toBe(1);
  await firstValueFrom(lag$(consumer, { periodMs: 1 }).pipe(take(1)));
  await iterator.next();
  expect(consumer.lag[0]?.lagRecords).toBe(0);
  await consumer.close();
  expect((await lags).length).toBe(3);
});

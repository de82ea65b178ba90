import { Broker } from '@millrace/broker';
import { json, nullable, string, topic, topicPattern } from '@millrace/serde';
import { from, type Observable } from 'rxjs';
import { expectTypeOf, it } from 'vitest';
import { Client, type ConsumerRecord, type Position, type RecordBatch } from './index.ts';
import { lag$, records$ } from './rx/index.ts';

type Order = { id: string; cents: number };
const orders = topic('orders', { key: string, value: json<Order>() });
const refunds = topic('refunds', { key: string, value: json<{ orderId: string }>() });
const notes = topic('notes', { key: nullable(string), value: string });

it('types what is sent and read by the topics', async () => {
  const client = await Client.connect(await Broker.open({ data: 'memory' }));
  const producer = client.producer();
  expectTypeOf(producer.send(orders, { key: 'a', value: { id: 'x', cents: 1 } })).resolves.toEqualTypeOf<Position>();
  expectTypeOf(producer.send(orders, [])).resolves.toEqualTypeOf<readonly Position[]>();
  await producer.send(notes, { value: 'a key may be left out where it may be null' });
  // @ts-expect-error the key of an order is mandatory
  await producer.send(orders, { value: { id: 'x', cents: 1 } });
  // @ts-expect-error cents are a number
  await producer.send(orders, { key: 'a', value: { id: 'x', cents: '1' } });
  await producer.sendFrom(orders, from([{ key: 'a', value: { id: 'x', cents: 1 } }]));

  for await (const record of client.consumer({ groupId: 'g', topics: [orders, refunds] })) {
    if (record.topic === 'orders') expectTypeOf(record.value).toEqualTypeOf<Order>();
    else expectTypeOf(record.value).toEqualTypeOf<{ orderId: string }>();
  }
  for await (const batch of client.consumer({ groupId: 'g', topics: [orders] }).batches()) {
    expectTypeOf(batch).toEqualTypeOf<RecordBatch<ConsumerRecord<string, Order, 'orders'>>>();
  }
  const any = topicPattern(/^o/, { value: string });
  expectTypeOf(records$(client, any)).toEqualTypeOf<Observable<ConsumerRecord<Uint8Array | null, string>>>();
  lag$(client.consumer({ groupId: 'g', topics: [notes] }));
  await client.admin.createTopics([orders, { name: 'plain', replicationFactor: 3 }]);
  await client.admin.alterConfigs('orders', { 'retention.ms': 1, 'segment.bytes': null });
});

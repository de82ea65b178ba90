/** State in Redis: exactly once, and readable by any service. */
import { Broker } from '@millrace/broker';
import { Client } from '@millrace/client';
import { json, string, topic } from '@millrace/serde';
import { openView, redis } from '@millrace/stores/redis';
import { agg, Streams, StreamsBuilder } from '@millrace/streams';

const orders = topic('orders', { key: string, value: json<{ customerId: string; cents: number }>() });
const url = process.env['REDIS_URL'] ?? 'redis://localhost:6379';

const builder = new StreamsBuilder('loyalty');
builder
  .stream(orders)
  .groupByKey()
  .aggregate({ orders: agg.count(), cents: agg.sum((order) => order.cents) }, { name: 'points' });

await using broker = await Broker.open({ data: 'memory' });
await using client = await Client.connect(broker);
await client.admin.createTopics([orders]);
// Where state lives is said here, not in the plan: the same plan runs in memory in tests.
await using app = Streams.start(builder.build(), { cluster: broker, store: redis({ url }) });
await app.running;

const [, , last] = await client.producer().send(orders, [
  { key: 'ada', value: { customerId: 'ada', cents: 500 } },
  { key: 'bob', value: { customerId: 'bob', cents: 200 } },
  { key: 'ada', value: { customerId: 'ada', cents: 100 } },
]);

// Another service, another process: no pipeline, no broker, only Redis and the names.
await using points = await openView({
  url,
  applicationId: 'loyalty',
  store: 'points',
  key: string,
  value: json<{ orders: number; cents: number }>(),
});
console.log((await points.get('ada', { after: last })).value); // waits until that order is in
for await (const [customer, { orders: count }] of points.range('b', 'c')) console.log(customer, count);

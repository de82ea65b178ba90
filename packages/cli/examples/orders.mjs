/** Two orders sent, and all of them read: `node packages/cli/examples/orders.mjs [HOST:PORT]`. */
import { Client } from '@millrace/client';
import { json, string, topic } from '@millrace/serde';

const orders = topic('orders', { key: string, value: json(), numPartitions: 3 });

const client = await Client.connect(process.argv[2] ?? 'localhost:9092');
await client.admin.createTopics([orders]); // what exists is left alone
await client.producer().send(orders, [
  { key: 'ada', value: { id: 'o-1', cents: 1200 } },
  { key: 'bob', value: { id: 'o-2', cents: 800 } },
]);
for await (const { key, value, partition, offset } of client.records(orders, { to: 'end' })) {
  console.log(`${key}: ${value.id}, ${value.cents} cents (partition ${partition}, offset ${offset})`);
}
await client.close();

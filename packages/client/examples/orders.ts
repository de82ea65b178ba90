import { Broker } from '@millrace/broker';
import { Client, isMillraceError } from '@millrace/client';
import { json, string, topic } from '@millrace/serde';

type Order = { id: string; cents: number };
const orders = topic('orders', { key: string, value: json<Order>(), numPartitions: 3 });
const ledger = topic('ledger', { key: string, value: json<{ orderId: string; cents: number }>(), numPartitions: 3 });

// An embedded broker; an address such as 'localhost:9092', of Millrace or of Apache Kafka, does as well.
await using broker = await Broker.open({ data: 'memory' });
await using client = await Client.connect(broker, { clientId: 'billing' });
await client.admin.createTopics([orders, ledger]); // what exists is left alone

// One promise a call, however many records.
const producer = client.producer();
const positions = await producer.send(orders, [
  { key: 'ada', value: { id: 'o-1', cents: 1200 } },
  { key: 'bob', value: { id: 'o-2', cents: 800 }, headers: { source: 'web' } },
]);
console.log(`${positions.length} orders written`);

// Without a group: all there is, then stop.
for await (const { key, value } of client.records(orders, { to: 'end' })) console.log(`${key} ordered ${value.id}`);

// In a group, exactly once: what is written and how far it was read commit together, or not at all.
const copier = client.transactionalProducer({ transactionalId: 'copier-1' });
const group = client.consumer({ groupId: 'copier', topics: [orders], enableAutoCommit: false });
let copied = 0;
for await (const batch of group.batches()) {
  await copier.transaction(async (transaction) => {
    await transaction.send(
      ledger,
      batch.records.map(({ key, value }) => ({ key, value: { orderId: value.id, cents: value.cents } })),
    );
    transaction.sendOffsets(batch);
  });
  copied += batch.records.length;
  if (copied === 2) break; // leaves the group
}
let totalCents = 0;
for await (const { value } of client.records(ledger, { to: 'end' })) totalCents += value.cents;
console.log(`ledger: ${totalCents} cents`);
for (const { lagRecords } of await client.admin.listConsumerGroupOffsets('copier')) console.log(`lag ${lagRecords}`);

// Errors have a code, say where, and what to do.
try {
  await client.admin.createTopics([{ name: 'orders', numPartitions: 4 }]);
} catch (error) {
  if (isMillraceError(error, 'TOPIC_MISMATCH')) console.log(error.message);
}

/** Effects outside Kafka, once each: rows in PostgreSQL, a leaderboard in Redis. */
import { Broker } from '@millrace/broker';
import { Client } from '@millrace/client';
import { json, string, topic } from '@millrace/serde';
import { postgres } from '@millrace/sinks/postgres';
import { redisSink } from '@millrace/sinks/redis';
import { Streams, StreamsBuilder } from '@millrace/streams';

type Invoice = { id: string; customerId: string; cents: number };
const invoices = topic('invoices', { key: string, value: json<Invoice>() });

const builder = new StreamsBuilder('reporting');
const invoice$ = builder.stream(invoices);

// Rows and position in one statement of the database: a replay finds its position taken, and writes nothing.
invoice$.sink(
  postgres({
    url: process.env['DATABASE_URL'] ?? 'postgres://localhost/reports',
    table: 'invoices',
    key: ['id'],
    row: ({ id, customerId, cents }) => ({ id, customer_id: customerId, cents }),
  }),
);

// Not idempotent, and yet once each: commands and position are in one script.
invoice$.sink(
  redisSink({
    url: process.env['REDIS_URL'] ?? 'redis://localhost:6379',
    commands: ({ customerId, cents }) => [['ZINCRBY', 'best-customers', cents, customerId]],
  }),
);

await using broker = await Broker.open({ data: 'memory' });
await using client = await Client.connect(broker);
await client.admin.createTopics([invoices]);
await using app = Streams.start(builder.build(), { cluster: broker });
await app.running;
await client.producer().send(invoices, [
  { key: 'i1', value: { id: 'i1', customerId: 'ada', cents: 500 } },
  { key: 'i2', value: { id: 'i2', customerId: 'bob', cents: 300 } },
  { key: 'i1', value: { id: 'i1', customerId: 'ada', cents: 250 } }, // corrected: the row changes, the board adds
]);
// The targets are flushed before offsets are committed: when nothing lags, both have everything.
for (let lag = Infinity; lag > 0;) {
  const offsets = await client.admin.listConsumerGroupOffsets('reporting');
  lag = offsets.length === 0 ? Infinity : offsets.reduce((sum, { lagRecords }) => sum + lagRecords, 0);
}

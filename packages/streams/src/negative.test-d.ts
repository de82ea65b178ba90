/** Pipelines that do not compile, and why. If one ever does, this file does not. */
import { int64, json, nullable, string, topic, windowed } from '@millrace/serde';
import { filter, map } from 'rxjs';
import { agg, hopping, minutes, seconds, StreamsBuilder, tumbling, type Sink } from './index.ts';
import type { TestDriver } from './testing/index.ts';

type Order = { id: string; customerId: string; cents: number };
type Customer = { name: string };
const orders = topic('orders', { key: string, value: json<Order>() });
const customers = topic('customers', { key: string, value: json<Customer>() });
const numbers = topic('numbers', { key: int64, value: json<Customer>() });

declare const driver: TestDriver;
declare const customerSink: Sink<string, Customer>;
const builder = new StreamsBuilder('negative');
const order$ = builder.stream(orders);
const customerTable = builder.table(customers, { name: 'customers' });
const numberTable = builder.table(numbers, { name: 'numbers' });
const globalCustomers = builder.globalTable(customers, { name: 'global' });
const grouped = order$.groupByKey();
const minute = grouped.windowedBy(tumbling({ sizeMs: minutes(1), graceMs: 0 }));
const byName = customerTable.groupBy((c) => ({ key: c.name, value: 1 }), { name: 'by-name', key: string });

// ── Chains that do not exist ─────────────────────────────────────────────────────────────────────────────────────────

// @ts-expect-error a window is a way to group: groupByKey() or groupBy() comes first
order$.windowedBy(tumbling({ sizeMs: minutes(1), graceMs: 0 }));
// @ts-expect-error only groups are counted
order$.count({ name: 'n' });
// @ts-expect-error a late record is late for a window
grouped.late(() => {});
// @ts-expect-error only windows close
grouped.count({ name: 'n' }).final();
// @ts-expect-error a stream and a table have no outer join
order$.outerJoin(customerTable, (o, c) => [o, c]);
// @ts-expect-error a mapped table has no store: materialize it to query it
driver.store(customerTable.mapValues((c) => c.name));

// ── What must be said ────────────────────────────────────────────────────────────────────────────────────────────────

// @ts-expect-error grace is mandatory, 0 is an answer
tumbling({ sizeMs: minutes(1) });
// @ts-expect-error units are in the names
hopping({ size: minutes(1), advanceMs: seconds(1), graceMs: 0 });
// @ts-expect-error two streams join within a time
order$.join(order$, (a, b) => [a, b], { name: 'self', graceMs: 0 });
// @ts-expect-error and wait for late records, or say that they do not
order$.join(order$, (a, b) => [a, b], { name: 'self', withinMs: minutes(1) });
// @ts-expect-error the repartition topic has a name
order$.selectKey((o) => o.customerId, { key: string });
// @ts-expect-error the new key has an encoding
order$.groupBy((o) => o.customerId, { name: 'by-customer' });
// @ts-expect-error a store has a name
grouped.count();
// @ts-expect-error a global table is looked up by a field
order$.join(globalCustomers, (o, c) => [o, c]);
// @ts-expect-error calls to the outside are bounded
order$.mapAsync(async (o) => o, { concurrency: 4 });
byName.aggregate(
  () => 0,
  (n, v) => n + v,
  // @ts-expect-error a table's aggregate takes values out again
  { name: 's' },
);
// @ts-expect-error a maximum cannot take values out
byName.aggregate({ max: agg.max((n) => n) }, { name: 's' });

// ── Types that do not fit ────────────────────────────────────────────────────────────────────────────────────────────

// @ts-expect-error the topic holds customers
order$.to(customers);
// @ts-expect-error the topic's keys are numbers
builder.stream(customers).to(numbers);
// @ts-expect-error a windowed key needs a windowed serde
minute.count({ name: 'n' }).to(topic('out', { key: string, value: int64 }));
minute.count({ name: 'n' }).to(topic('out', { key: windowed(string, { sizeMs: minutes(1) }), value: int64 }));
// @ts-expect-error keys that may be null do not fit a topic whose keys may not
builder.stream(topic('lines', { key: nullable(string), value: json<Order>() })).to(orders);
// @ts-expect-error string keys do not meet number keys
order$.join(numberTable, (o, c) => [o, c]);
// @ts-expect-error nor in a stream
order$.join(builder.stream(numbers), (o, c) => [o, c], { name: 'j', withinMs: 1, graceMs: 0 });
// @ts-expect-error nor merged
order$.merge(builder.stream(numbers));
// @ts-expect-error the function makes numbers, the serde strings
order$.selectKey((o) => o.cents, { name: 'by-cents', key: string });
// @ts-expect-error the serde is of something else
order$.selectKey((o) => o.id, { name: 'by-id', key: string, value: json<Customer>() });
// @ts-expect-error orders, not promises of orders: mapAsync
order$.mapValues(async (o) => o).to(orders);
// @ts-expect-error a promise is always true
order$.filter(async (o) => o.cents > 0);
// @ts-expect-error the operator takes numbers
order$.pipe(map((n: number) => n + 1));
order$.pipe(
  map((o) => o.cents),
  // @ts-expect-error the second takes what the first makes
  filter((s: string) => s !== ''),
);
// @ts-expect-error null is a deletion: filter it out, or use updates()
customerTable.toStream().mapValues((c) => c.name);
// @ts-expect-error a value that may be null is looked at first
builder.stream(topic('maybe', { key: string, value: nullable(json<Order>()) })).mapValues((o) => o.cents);
// @ts-expect-error the group's key is a number, its serde of strings
customerTable.groupBy((c) => ({ key: c.name.length, value: c }), { name: 'by-length', key: string });
// @ts-expect-error a count is a number
minute.count({ name: 'n', value: string });
// @ts-expect-error the topic between is of orders
order$.repartition({ name: 'again', value: json<Customer>() });
grouped.aggregate(
  () => 0,
  // @ts-expect-error an aggregate stays of its type
  (n) => `${n}`,
  { name: 'text' },
);
// @ts-expect-error no such option
order$.merge(order$, { label: 'both' });
// @ts-expect-error a call to the outside is a promise
order$.mapAsync((o) => o.cents, { concurrency: 1, timeoutMs: 1 });
order$.pipe(
  map((o) => o.cents),
  // @ts-expect-error numbers have no length
  filter((cents) => cents.length > 1),
);
// @ts-expect-error no such policy
order$.mapValues((o) => o.cents, { onError: 'ignore' });

type Payment = { status: 'paid'; at: number } | { status: 'open' };
const payment$ = builder.stream(topic('payments', { key: string, value: json<Payment>() }));
const { paid, rest } = payment$.branch({ paid: (p) => p.status === 'paid' });
paid.mapValues((p) => p.at);
// @ts-expect-error what is left over is open
rest.mapValues((p) => p.at);
// @ts-expect-error `rest` is always there
order$.branch({ rest: () => true });
// @ts-expect-error no such status
payment$.mapValues(() => ({ status: 'lost' })).to(topic('payments', { key: string, value: json<Payment>() }));

// ── What JSON would lose ─────────────────────────────────────────────────────────────────────────────────────────────

const dated$ = order$.mapValues((o) => ({ id: o.id, at: new Date() }));
// @ts-expect-error a Date would come back as a string, also from a table: give `value:`
dated$.toTable({ name: 'dates' });
// @ts-expect-error a Date would come back as a string: give `value:`
dated$.selectKey((d) => d.id, { name: 'by-id', key: string });
grouped.aggregate(
  () => new Map<string, number>(),
  (m) => m,
  // @ts-expect-error a Map as {}
  { name: 'map' },
);
grouped.aggregate(
  () => 0n,
  (n, o) => n + BigInt(o.cents),
  // @ts-expect-error a bigint not at all
  { name: 'sum' },
);
// @ts-expect-error nor in a join's buffer
dated$.join(order$, (d, o) => [d, o], { name: 'j', withinMs: 1, graceMs: 0 });
// @ts-expect-error nor in a row that keeps values
dated$.groupByKey().aggregate({ last: agg.last() }, { name: 'last' });
dated$.groupByKey().aggregate({ n: agg.count() }, { name: 'n' });

// ── Processors ───────────────────────────────────────────────────────────────────────────────────────────────────────

const carts = builder.keyValueStore({ name: 'carts', key: string, value: json<string[]>() });
order$.process({
  name: 'p',
  stores: { carts },
  // @ts-expect-error the store's keys are strings
  keys: (order) => ({ carts: [order.cents] }),
  onRecord(order, id, { stores }) {
    // @ts-expect-error the store holds arrays of strings
    stores.carts.put(id, order.cents);
    // @ts-expect-error a processor uses the stores that it names
    void stores.baskets;
  },
});

// ── What is not there ────────────────────────────────────────────────────────────────────────────────────────────────

// @ts-expect-error the sink takes customers
order$.sink(customerSink);
// @ts-expect-error a tombstone needs a `nullable` value
driver.pipeInput(orders, { key: '1', value: null });
// @ts-expect-error the topic's keys are never null
driver.pipeInput(orders, { value: { id: '1', customerId: 'c', cents: 1 } });

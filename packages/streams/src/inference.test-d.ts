/** What the compiler infers, pinned. No type argument is written in any pipeline here. */
import type { ConsumerRecord } from '@millrace/client';
import {
  int64,
  json,
  nullable,
  string,
  topic,
  topicPattern,
  type Serde,
  type Topic,
  type Windowed,
} from '@millrace/serde';
import { filter, map, mergeMap, pairwise, scan, tap } from 'rxjs';
import {
  agg,
  days,
  hopping,
  minutes,
  seconds,
  StreamsBuilder,
  tumbling,
  type GlobalKTable,
  type KGroupedStream,
  type KStream,
  type KTable,
  type ReadOnlyKeyValueStore,
  type StoredKTable,
  type WindowedKTable,
} from './index.ts';
import type { TestDriver } from './testing/index.ts';

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
declare function expectType<_T extends true>(): void;

type Order = { id: string; customerId: string; totalCents: number; status: 'open' | 'paid' | 'void' };
type Customer = { name: string; region: 'eu' | 'us' };

const orders = topic('orders', { key: string, value: json<Order>() });
const customers = topic('customers', { key: string, value: json<Customer>() });
const lines = topic('lines', { value: string });
const builder = new StreamsBuilder('shop');
const order$ = builder.stream(orders);
const customerTable = builder.table(customers, { name: 'customers' });

// Topics
expectType<Equal<typeof orders, Topic<string, Order, 'orders'>>>();
expectType<Equal<typeof lines, Topic<Uint8Array | null, string, 'lines'>>>();
const stream1 = builder.stream(lines);
expectType<Equal<typeof stream1, KStream<Uint8Array | null, string>>>();
const pattern = builder.stream(topicPattern(/^orders\./, { key: string, value: json<Order>() }));
expectType<Equal<typeof pattern, KStream<string, Order>>>();
const tombstones = builder.stream(topic('t', { key: nullable(string), value: nullable(json<Order>()) }));
expectType<Equal<typeof tombstones, KStream<string | null, Order | null>>>();

// Ten operators, no annotation
const ten = order$
  .filter((order) => order.status !== 'void')
  .mapValues((order, id) => ({ ...order, id, euros: order.totalCents / 100 }))
  .selectKey((order) => order.customerId, { name: 'by-customer', key: string })
  .join(customerTable, (order, customer) => ({ ...order, region: customer.region }))
  .pipe(
    filter((order) => order.euros > 1),
    map((order) => ({ region: order.region, euros: order.euros })),
  )
  .mapAsync(async (order) => ({ ...order, risk: 0.5 }), { concurrency: 8, timeoutMs: seconds(1) })
  .groupBy((order) => order.region, { name: 'by-region', key: string })
  .windowedBy(hopping({ sizeMs: minutes(5), advanceMs: minutes(1), graceMs: 0 }))
  .aggregate(
    { n: agg.count(), euros: agg.sum((order) => order.euros), top: agg.topN(3, (order) => order.risk) },
    { name: 'regions' },
  )
  .final()
  .mapValues((row, { key, window }) => ({ ...row, region: key, fromMs: window.startMs }));
expectType<
  Equal<
    typeof ten,
    KStream<
      Windowed<string>,
      {
        region: string;
        fromMs: number;
        n: number;
        euros: number;
        top: readonly { risk: number; region: 'eu' | 'us'; euros: number }[];
      }
    >
  >
>();

// Guards narrow, also inferred ones; `rest` is what is left
type Event = { type: 'placed'; total: number } | { type: 'paid'; at: number } | { type: 'void' };
const events = builder.stream(topic('events', { key: string, value: json<Event>() }));
const paid = events.filter((e) => e.type === 'paid');
expectType<Equal<typeof paid, KStream<string, { type: 'paid'; at: number }>>>();
const branches = events.branch({ placed: (e) => e.type === 'placed', paid: (e) => e.type === 'paid' });
expectType<Equal<typeof branches.placed, KStream<string, { type: 'placed'; total: number }>>>();
expectType<Equal<typeof branches.paid, KStream<string, { type: 'paid'; at: number }>>>();
expectType<Equal<typeof branches.rest, KStream<string, { type: 'void' }>>>();
const halves = order$.branch({ big: (o) => o.totalCents > 1000 });
expectType<Equal<typeof halves.big, KStream<string, Order>>>();
expectType<Equal<typeof halves.rest, KStream<string, Order>>>();
const merged = events.merge(order$);
expectType<Equal<typeof merged, KStream<string, Event | Order>>>();

// RxJS
const rx = order$.pipe(
  map((o) => o.totalCents),
  pairwise(),
  map(([a, b]) => b - a),
  tap(() => {}),
  scan((sum, d) => sum + d, 0),
  mergeMap((n) => [n, String(n)]),
);
expectType<Equal<typeof rx, KStream<string, number | string>>>();
const rxOptions = order$.pipe(
  map((o) => o.totalCents),
  filter((n) => n > 3),
  { name: 'cents', onError: 'skip' },
);
expectType<Equal<typeof rxOptions, KStream<string, number>>>();

// Keys
const rekeyed = order$.selectKey((o) => o.status, { name: 'by-status', key: string });
expectType<Equal<typeof rekeyed, KStream<string, Order>>>();
const mapped = order$.map((o) => ({ key: o.totalCents, value: o.id, timestampMs: 3 }), { name: 'm', key: int64 });
expectType<Equal<typeof mapped, KStream<number, string>>>();
const flat = order$.flatMap((o, key) => [{ key, value: o.totalCents }], { name: 'fm', key: string });
expectType<Equal<typeof flat, KStream<string, number>>>();
const grouped = tombstones.groupByKey();
expectType<Equal<typeof grouped, KGroupedStream<string, Order | null>>>();
const table = tombstones.toTable({ name: 'tt' });
expectType<Equal<typeof table, StoredKTable<string, Order>>>();

// Aggregates
const counts = order$.groupByKey().count({ name: 'counts' });
expectType<Equal<typeof counts, StoredKTable<string, number>>>();
const sum = order$.groupByKey().aggregate(
  () => 0,
  (n, o) => n + o.totalCents,
  { name: 'sum', ttlMs: days(1), value: int64 },
);
expectType<Equal<typeof sum, StoredKTable<string, number>>>();
const mean = order$.groupByKey().aggregate({ mean: agg.mean((o) => o.totalCents) }, { name: 'mean' });
expectType<Equal<typeof mean, StoredKTable<string, { mean: number }>>>();
const latest = order$.groupByKey().reduce((a, o) => (a.totalCents > o.totalCents ? a : o), { name: 'max' });
expectType<Equal<typeof latest, StoredKTable<string, Order>>>();
const perMinute = order$
  .groupByKey()
  .windowedBy(tumbling({ sizeMs: minutes(1), graceMs: seconds(5) }))
  .late((late) => late.to(orders))
  .count({ name: 'pm' });
expectType<Equal<typeof perMinute, WindowedKTable<string, number>>>();
const regrouped = customerTable
  .groupBy((c) => ({ key: c.region, value: c.name.length }), { name: 'regions2', key: string })
  .aggregate({ n: agg.count(), letters: agg.sum((n) => n) }, { name: 'per-region' });
expectType<Equal<typeof regrouped, StoredKTable<string, { n: number; letters: number }>>>();

// Joins
const payments = builder.stream(topic('payments', { key: string, value: json<{ orderId: string; cents: number }>() }));
const paidOrders = order$.join(payments, (o, p) => ({ ...o, due: o.totalCents - p.cents }), {
  name: 'op',
  withinMs: minutes(5),
  graceMs: 0,
});
expectType<
  Equal<
    typeof paidOrders,
    KStream<
      string,
      { due: number; id: string; customerId: string; totalCents: number; status: 'open' | 'paid' | 'void' }
    >
  >
>();
const outer = order$.outerJoin(payments, (o, p) => [o?.id, p?.cents] as const, {
  name: 'op2',
  beforeMs: 0,
  afterMs: minutes(5),
  graceMs: seconds(1),
});
expectType<Equal<typeof outer, KStream<string, readonly [string | undefined, number | undefined]>>>();
const left = order$.leftJoin(customerTable, (o, c) => ({ id: o.id, name: c?.name ?? 'unknown' }));
expectType<Equal<typeof left, KStream<string, { id: string; name: string }>>>();
const globe = builder.globalTable(customers, { name: 'global-customers' });
expectType<Equal<typeof globe, GlobalKTable<string, Customer>>>();
const global = order$.join(globe, (o, c) => `${o.id} ${c.name}`, { on: (o) => o.customerId });
expectType<Equal<typeof global, KStream<string, string>>>();
const orderTable = order$.toTable({ name: 'orders' });
const joinedTables = orderTable.leftJoin(customerTable, (o, c) => ({ order: o.id, customer: c?.name }));
expectType<Equal<typeof joinedTables, KTable<string, { order: string; customer: string | undefined }>>>();
// Tables
const changes = counts.toStream();
expectType<Equal<typeof changes, KStream<string, number | null>>>();
const present = changes.filter((n) => n !== null);
expectType<Equal<typeof present, KStream<string, number>>>();
const updates = counts.updates();
expectType<Equal<typeof updates, KStream<string, number>>>();
const stored = counts.mapValues((n) => n > 3).materialize({ name: 'flags' });
expectType<Equal<typeof stored, StoredKTable<string, boolean>>>();

// Tables of windows, tables of tables, windows over what windows gave
const centsPerMinute = order$
  .groupByKey()
  .windowedBy(tumbling({ sizeMs: minutes(1), graceMs: seconds(5) }))
  .aggregate({ cents: agg.sum((o) => o.totalCents) }, { name: 'cents-pm' });
const meanPerMinute = perMinute.join(centsPerMinute, (n, { cents }) => cents / n);
expectType<Equal<typeof meanPerMinute, KTable<Windowed<string>, number>>>();
const hourly = meanPerMinute
  .updates()
  .selectKey((_, { key }) => key, { name: 'hourly', key: string })
  .groupByKey()
  .windowedBy(tumbling({ sizeMs: minutes(60), graceMs: 0 }))
  .reduce((a, b) => Math.max(a, b), { name: 'best' })
  .final();
expectType<Equal<typeof hourly, KStream<Windowed<string>, number>>>();
const perCustomerTotals = orderTable
  .groupBy((o) => ({ key: o.customerId, value: o.totalCents }), { name: 'by-customer-2', key: string })
  .aggregate(
    () => ({ n: 0, cents: 0 }),
    (a, cents) => ({ n: a.n + 1, cents: a.cents + cents }),
    { name: 'totals', subtract: (a, cents) => ({ n: a.n - 1, cents: a.cents - cents }) },
  );
expectType<Equal<typeof perCustomerTotals, StoredKTable<string, { n: number; cents: number }>>>();
const lastOrNull = tombstones.groupByKey().reduce((a, b) => b ?? a, { name: 'last-or-null' });
expectType<Equal<typeof lastOrNull, StoredKTable<string, Order | null>>>();

// Processors
const carts = builder.keyValueStore({ name: 'carts', key: string, value: json<{ items: string[] }>() });
const reminders = order$.process({
  name: 'reminders',
  stores: { carts },
  onRecord(order, id, { stores, timers, timestampMs }) {
    const cart = stores.carts.get(id);
    expectType<Equal<typeof cart, { items: string[] } | undefined>>();
    stores.carts.put(id, { items: [order.id] });
    timers.set('remind', { atMs: timestampMs + minutes(30) });
  },
  *onTimer(timer, id, { stores }) {
    const cart = stores.carts.get(id);
    if (cart) yield { id, items: cart.items, late: timer.atMs };
  },
});
expectType<Equal<typeof reminders, KStream<string, { id: string; items: string[]; late: number }>>>();
const both = order$.process({
  name: 'both',
  onRecord: (order) => [order.totalCents],
});
expectType<Equal<typeof both, KStream<string, number>>>();

// Composites: a user's own operators, generic ones too
const big =
  (minCents: number) =>
  <K, V extends { totalCents: number }>(stream: KStream<K, V>) =>
    stream.filter((o) => o.totalCents > minCents);
const composed = order$.apply(big(500)).apply((s) => s.groupByKey().count({ name: 'big' }));
expectType<Equal<typeof composed, StoredKTable<string, number>>>();
const perCustomer = (stream: KStream<string, { customerId: string }>) =>
  stream.groupBy((o) => o.customerId, { name: 'pc', key: string }).count({ name: 'per-customer' });
const narrowToWide = order$.apply(perCustomer);
expectType<Equal<typeof narrowToWide, StoredKTable<string, number>>>();
const keepLatest = <V>(stream: KStream<string, V>) =>
  stream.groupByKey().reduce((_, value) => value as never, { name: 'latest', value: json<V>() });
const kept = order$.apply(keepLatest);
expectType<Equal<typeof kept, StoredKTable<string, Order>>>();

// A serde that JSON cannot stand in for
const dated = order$.mapValues((o) => ({ id: o.id, at: new Date() }));
declare const datedSerde: Serde<{ id: string; at: Date }>;
const datedByKey = dated.selectKey((d) => d.id, { name: 'dated', key: string, value: datedSerde });
expectType<Equal<typeof datedByKey, KStream<string, { id: string; at: Date }>>>();

// Outside
declare const driver: TestDriver;
const sync = driver.store(counts);
expectType<Equal<typeof sync, ReadOnlyKeyValueStore<string, number>>>();
const read = driver.readRecords(orders);
expectType<Equal<typeof read, ConsumerRecord<string, Order, 'orders'>[]>>();
driver.pipeInput(orders, { key: 'a', value: { id: 'a', customerId: 'c', totalCents: 1, status: 'open' } });
driver.pipeInput(lines, { value: 'no key needed' });

// Literals stay what was written: no `as const`
type Cart = { status: 'open' | 'closed'; items: string[] };
const cartTable = events.groupByKey().aggregate(
  (): Cart => ({ status: 'open', items: [] }),
  (cart, e) => (e.type === 'placed' ? { ...cart, items: [...cart.items, e.type] } : { ...cart, status: 'closed' }),
  { name: 'cart' },
);
expectType<Equal<typeof cartTable, StoredKTable<string, Cart>>>();
order$.mapValues((o) => ({ ...o, status: 'void' })).to(orders);
order$
  .flatMapValues((o) => [{ type: 'placed', total: o.totalCents }, { type: 'void' }])
  .to(topic('events', { key: string, value: json<Event>() }));
order$.mapAsync(async (o) => ({ ...o, status: 'void' }), { concurrency: 1, timeoutMs: 1 }).to(orders);
order$.join(customerTable, (o) => ({ ...o, status: 'open' })).to(orders);
order$.map((o, key) => ({ key, value: { ...o, status: 'paid' } }), { name: 'mm', key: string }).to(orders);
order$
  .process({
    name: 'pp',
    *onRecord(o) {
      yield { ...o, status: 'paid' };
    },
  })
  .to(orders);
const ones = order$
  .mapValues(() => 1)
  .groupByKey()
  .reduce((a, b) => a + b, { name: 'ones' });
expectType<Equal<typeof ones, StoredKTable<string, number>>>();
const zeros = order$
  .mapValues((o) => ({ n: 0, id: o.id }))
  .groupByKey()
  .reduce((a, b) => ({ n: a.n + b.n, id: b.id }), { name: 'zeros' });
expectType<Equal<typeof zeros, StoredKTable<string, { n: number; id: string }>>>();
const lastDated = dated
  .groupByKey()
  .aggregate({ last: agg.last(), n: agg.count() }, { name: 'last', value: datedSerde });
expectType<Equal<typeof lastDated, StoredKTable<string, { last: { id: string; at: Date }; n: number }>>>();

// A processor that reads keys of other records says which
const baskets = builder.keyValueStore({ name: 'baskets', key: string, value: json<Cart>() });
const looked = order$.process({
  name: 'look',
  stores: { baskets },
  keys: (order) => ({ baskets: [order.customerId] }),
  onRecord: (order, _id, { stores }) => [stores.baskets.get(order.customerId)?.status ?? 'none'],
});
expectType<Equal<typeof looked, KStream<string, string>>>();

/** Revenue per shop and minute: final results, late records apart, live figures, and a crash in the middle of it. */
import { json, string, topic, windowed } from '@millrace/serde';
import { agg, days, minutes, seconds, StreamsBuilder, tumbling } from '@millrace/streams';
import { TestDriver } from '@millrace/streams/testing';

interface Sale {
  readonly shopId: string;
  readonly cents: number;
  readonly soldAtMs: number;
}
interface PerMinute {
  readonly sales: number;
  readonly cents: number;
  readonly biggest: number;
}
const sales = topic('sales', { key: string, value: json<Sale>() });
const lateSales = topic('sales-late', { key: string, value: json<Sale>() });
const perMinute = topic('sales-per-minute', {
  key: windowed(string, { sizeMs: minutes(1) }),
  value: json<PerMinute>(),
});

const builder = new StreamsBuilder('revenue');
const minuteTable = builder
  .stream(sales, { timestampMs: (sale) => sale.soldAtMs }) // event time, not arrival time
  .groupBy((sale) => sale.shopId, { name: 'by-shop', key: string })
  .windowedBy(tumbling({ sizeMs: minutes(1), graceMs: seconds(10) })) // late records are taken for 10 s more
  .late((late) => late.to(lateSales))
  .aggregate(
    { sales: agg.count(), cents: agg.sum((sale) => sale.cents), biggest: agg.max((sale) => sale.cents) },
    { name: 'per-minute', retentionMs: days(1) },
  );
minuteTable.final().to(perMinute); // each window once, when it has closed; the table is there to be queried meanwhile

using driver = new TestDriver(builder.build());
const sale = (soldAtMs: number, cents: number) => ({ key: 'till-1', value: { shopId: 'zrh', cents, soldAtMs } });

driver.pipeInput(sales, sale(0, 100), sale(seconds(59), 200));
console.log('live', driver.store(minuteTable).get('zrh', 0));

driver.crashBefore('commit');
try {
  driver.pipeInput(sales, sale(seconds(50), 50));
} catch {
  driver.restart(); // nothing is lost, nothing counts twice
}
driver.advanceStreamTimeTo(minutes(1) + seconds(10));
console.log('final', driver.readValues(perMinute));

driver.pipeInput(sales, sale(seconds(30), 999));
console.log('late', driver.readValues(lateSales));

/** A processor of your own: typed stores, timers that outlive a crash, calls to the outside, and failures that go aside. */
import { json, string, topic } from '@millrace/serde';
import { deadLetterOf, deadLetters, minutes, seconds, StreamsBuilder } from '@millrace/streams';
import { TestDriver } from '@millrace/streams/testing';
import { map } from 'rxjs';

type CartEvent = { type: 'added'; sku: string } | { type: 'checkedOut' };
const events = topic('cart-events', { key: string, value: json<CartEvent>() });
const reminders = topic('cart-reminders', { key: string, value: json<{ items: string[]; text: string }>() });
const refused = deadLetters('carts-refused');

const builder = new StreamsBuilder('carts', { onError: { deadLetter: refused.name } });
const carts = builder.keyValueStore({ name: 'carts', key: string, value: json<string[]>() });

builder
  .stream(events)
  .process({
    name: 'reminders',
    stores: { carts },
    onRecord(event, cartId, { stores, timers, timestampMs }) {
      if (event.type === 'checkedOut') {
        stores.carts.delete(cartId);
        timers.cancel('idle');
        return;
      }
      if (event.sku === '') throw new RangeError('an article without a number');
      stores.carts.put(cartId, [...(stores.carts.get(cartId) ?? []), event.sku]);
      timers.set('idle', { atMs: timestampMs + minutes(30) }); // event time; moves the timer if it is set
    },
    *onTimer(_timer, cartId, { stores }) {
      const items = stores.carts.get(cartId);
      if (items) yield { items };
    },
  })
  .pipe(map(({ items }) => ({ items, text: `${items.length} waiting` }))) // any RxJS 7 operator that answers at once
  .mapAsync(async (reminder) => ({ ...reminder, text: await translate(reminder.text) }), {
    name: 'translate',
    concurrency: 8,
    timeoutMs: seconds(2),
    onError: { retries: 3 },
  })
  .to(reminders);

using driver = new TestDriver(builder.build());
const event = (value: CartEvent, timestampMs: number) => ({ key: 'cart-1', value, timestampMs });
driver.pipeInput(events, event({ type: 'added', sku: 'a' }, 0), event({ type: 'added', sku: '' }, 1));
driver.restart(); // the timer is still set
driver.pipeInput(events, event({ type: 'added', sku: 'b' }, minutes(1)));
driver.advanceStreamTimeTo(minutes(31));
await driver.settled(); // calls are out
console.log(driver.readValues(reminders));

const [letter] = driver.readRecords(refused);
if (letter) console.log(deadLetterOf(letter).node, deadLetterOf(letter).error.message);

async function translate(text: string): Promise<string> {
  return text.replace('waiting', 'warten');
}

import { Broker } from '@millrace/broker';
import { Client } from '@millrace/client';
import { Streams } from '@millrace/streams';
import { TestDriver } from '@millrace/streams/testing';
import { expect, it } from 'vitest';
import { createTopics, feedAirports, feedFlights } from './feed.ts';
import { FlightData, readAirports } from './flight-data.ts';
import { topology } from './pipeline.ts';
import { recompute } from './recompute.ts';
import { readResult } from './result.ts';
import { airportDelays, airports, flights, lateFlights } from './topics.ts';

it('gives for every airport and day what plain code makes of the file', { timeout: 60_000 }, async () => {
  const data = await FlightData.read('20k');
  const expected = await recompute(data);
  await using broker = await Broker.open({ data: 'memory' });
  await using client = await Client.connect(broker);
  await createTopics(client);
  await feedAirports(client, await readAirports());
  await using app = Streams.start(topology, { cluster: broker });
  await app.running;
  await feedFlights(client, data, { signal: new AbortController().signal, onProgress: () => {} });
  await allCounted(client, data.length);
  await app.close();

  const result = await readResult(client);
  expect(result.size).toBe(6901);
  expect(Object.fromEntries(result)).toEqual(Object.fromEntries(expected.rows));
  expect(Object.values(Object.fromEntries(result)).reduce((sum, row) => sum + row.flights, 0)).toBe(20_000);
});

it('puts flights aside that land when their day has been closed for twelve hours, and only those', () => {
  using driver = new TestDriver(topology);
  driver.pipeInput(airports, {
    key: 'ORD',
    value: { iata: 'ORD', name: "Chicago O'Hare", city: 'Chicago', state: 'IL' },
  });
  const day = Date.UTC(2001, 0, 1);
  const hour = 3_600_000;
  const flight = (departureMs: number, delay: number) => ({
    key: 'ORD',
    value: { origin: 'ORD', destination: 'LAX', departureMs, delay, distance: 1745 },
    timestampMs: departureMs,
  });
  driver.pipeInput(flights, flight(day + hour, 20), flight(day + 36 * hour - 1, -5));
  driver.pipeInput(flights, flight(day + 2 * hour, 15)); // a millisecond before its day is closed
  driver.pipeInput(flights, flight(day + 36 * hour, 0));
  driver.pipeInput(flights, flight(day + 3 * hour, 700)); // too late
  expect(driver.readValues(lateFlights)).toEqual([{ ...flight(day + 3 * hour, 700).value, name: "Chicago O'Hare" }]);
  const rows = new Map(driver.readRecords(airportDelays).map(({ key, value }) => [key, value]));
  const common = { airport: 'ORD', name: "Chicago O'Hare" };
  expect(Object.fromEntries(rows)).toEqual({
    'ORD@2001-01-01': { ...common, day: '2001-01-01', flights: 2, meanDelay: 17.5, delayed: 1 },
    'ORD@2001-01-02': { ...common, day: '2001-01-02', flights: 2, meanDelay: -2.5, delayed: 0 },
  });
});

/** Resolves when the rows of the result add up to all flights; each row only ever grows. */
async function allCounted(client: Client, count: number): Promise<void> {
  const counted = new Map<string, number>();
  let sum = 0;
  for await (const { key, value } of client.records(airportDelays)) {
    sum += value.flights - (counted.get(key) ?? 0);
    counted.set(key, value.flights);
    if (sum === count) return;
  }
}

/** The pipeline: flights, joined with airports, counted and averaged per airport and day of departure. */
import { string } from '@millrace/serde';
import { days, hours, StreamsBuilder, tumbling, type Topology } from '@millrace/streams';
import { airportDelays, airports, flights, lateFlights, type AirportDay } from './topics.ts';

const builder = new StreamsBuilder('flights');

const airportTable = builder.globalTable(airports, { name: 'airports' });

const perDay = builder
  .stream(flights)
  .join(airportTable, (flight, airport) => ({ ...flight, name: airport.name }), { on: (flight) => flight.origin })
  .groupByKey()
  // A flight counts for the day it should have left on, however late it lands; after 12 hours more the day is closed.
  .windowedBy(tumbling({ sizeMs: days(1), graceMs: hours(12) }))
  .late((late) => late.to(lateFlights))
  .aggregate(
    () => ({ name: '', flights: 0, delayMinutes: 0, delayed: 0 }),
    (day, flight) => ({
      name: flight.name,
      flights: day.flights + 1,
      delayMinutes: day.delayMinutes + flight.delay,
      delayed: day.delayed + (flight.delay > 15 ? 1 : 0),
    }),
    { name: 'airport-days' },
  );

perDay
  .updates()
  .map(
    (sum, { key, window }) => {
      const row = airportDay(key, window.startMs, sum);
      return { key: `${row.airport}@${row.day}`, value: row };
    },
    { name: 'by-airport-and-day', key: string },
  )
  .to(airportDelays);

/** The plan. It runs unchanged on the embedded broker, on a server, and on Apache Kafka. */
export const topology: Topology = builder.build();

/** A row of the result, from sums of whole minutes, so that it does not depend on the order of adding. */
export function airportDay(
  airport: string,
  startMs: number,
  sum: { readonly name: string; readonly flights: number; readonly delayMinutes: number; readonly delayed: number },
): AirportDay {
  return {
    airport,
    name: sum.name,
    day: new Date(startMs).toISOString().slice(0, 10),
    flights: sum.flights,
    meanDelay: sum.delayMinutes / sum.flights,
    delayed: sum.delayed,
  };
}

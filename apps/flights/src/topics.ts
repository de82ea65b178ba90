/** The topics of the pipeline, each declared once. */
import { json, string, topic, type Topic } from '@millrace/serde';
import type { Airport, Flight } from './flight-data.ts';

/** Keyed by origin; the record's time is the planned departure. They are of 2001, so no retention by time. */
export const flights: Topic<string, Flight, 'flights'> = topic('flights', {
  key: string,
  value: json<Flight>(),
  numPartitions: 4,
  config: { 'retention.ms': -1, 'compression.type': 'producer' },
});

/** Keyed by IATA code. */
export const airports: Topic<string, Airport, 'airports'> = topic('airports', {
  key: string,
  value: json<Airport>(),
  numPartitions: 1,
  config: { 'cleanup.policy': 'compact' },
});

/** A day at an airport. */
export interface AirportDay {
  readonly airport: string;
  readonly name: string;
  /** `2001-01-31`, UTC. */
  readonly day: string;
  readonly flights: number;
  /** Minutes; early departures count as negative ones. */
  readonly meanDelay: number;
  /** Flights delayed by more than 15 minutes. */
  readonly delayed: number;
}

/** The result, keyed by IATA code and day: `ORD@2001-01-31`. */
export const airportDelays: Topic<string, AirportDay, 'airport-delays'> = topic('airport-delays', {
  key: string,
  value: json<AirportDay>(),
  numPartitions: 4,
  config: { 'cleanup.policy': 'compact' },
});

/** Flights that landed when their day had been closed for more than twelve hours. */
export const lateFlights: Topic<string, NamedFlight, 'flights-late'> = topic('flights-late', {
  key: string,
  value: json<NamedFlight>(),
  numPartitions: 4,
  config: { 'retention.ms': -1 },
});

/** A flight with the name of the airport it started from. */
export type NamedFlight = Flight & { readonly name: string };

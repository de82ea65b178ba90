/** The result by plain code, from the data: what the pipeline's topics are compared with. */
import { partitionForKey } from '@millrace/client';
import { days, hours } from '@millrace/streams';
import { readAirports, type FlightData } from './flight-data.ts';
import { airportDay } from './pipeline.ts';
import { flights, type AirportDay, type NamedFlight } from './topics.ts';

export interface Recomputed {
  readonly rows: ReadonlyMap<string, AirportDay>;
  /** In the order in which they landed. */
  readonly late: readonly NamedFlight[];
}

/**
 * Goes through the flights in the order in which they landed. Time is the partition's: how far its flights' departures have
 * come says which days are closed.
 */
export async function recompute(data: FlightData): Promise<Recomputed> {
  const names = new Map((await readAirports()).map(({ iata, name }) => [iata, name]));
  const streamTimeMs = Array.from({ length: flights.numPartitions! }, () => -1);
  const sums = new Map<string, { name: string; flights: number; delayMinutes: number; delayed: number }>();
  const late: NamedFlight[] = [];
  for (let index = 0; index < data.length; index++) {
    const flight = data.at(index);
    const name = names.get(flight.origin)!;
    const partition = partitionForKey(Buffer.from(flight.origin), flights.numPartitions!);
    streamTimeMs[partition] = Math.max(streamTimeMs[partition]!, flight.departureMs);
    const dayMs = flight.departureMs - (flight.departureMs % days(1));
    if (dayMs + days(1) + hours(12) <= streamTimeMs[partition]!) {
      late.push({ ...flight, name });
      continue;
    }
    const key = `${flight.origin}@${dayMs}`;
    const sum = sums.get(key) ?? { name, flights: 0, delayMinutes: 0, delayed: 0 };
    sums.set(key, sum);
    sum.flights++;
    sum.delayMinutes += flight.delay;
    if (flight.delay > 15) sum.delayed++;
  }
  const rows = new Map<string, AirportDay>();
  for (const [key, sum] of sums) {
    const [airport, dayMs] = key.split('@') as [string, string];
    const row = airportDay(airport, Number(dayMs), sum);
    rows.set(`${airport}@${row.day}`, row);
  }
  return { rows, late };
}

/** Reads the result back, and what of it is worth a look. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Client } from '@millrace/client';
import { lastFlights } from './counts.ts';
import { airportDelays, flights, type AirportDay } from './topics.ts';

/** The last value of each key, when no transaction is open on the topic. */
export async function readResult(client: Client): Promise<ReadonlyMap<string, AirportDay>> {
  // Apache Kafka shows the positions of a commit before each topic shows the records of it.
  while (!(await isSettled(client))) await pause(20);
  const rows = new Map<string, AirportDay>();
  for await (const { key, value } of client.records(airportDelays, { to: 'end' })) rows.set(key, value);
  return rows;
}

async function isSettled({ admin }: Client): Promise<boolean> {
  const ends = await admin.listOffsets(airportDelays.name, 'latest');
  const stable = await admin.listOffsets(airportDelays.name, 'latest', { isolationLevel: 'read_committed' });
  return stable.every(({ offset }, i) => offset >= ends[i]!.offset);
}

export interface AirportSummary {
  readonly airport: string;
  readonly name: string;
  readonly days: number;
  readonly flights: number;
  readonly meanDelay: number;
  /** From 0 to 1. */
  readonly delayedShare: number;
}

/** Airports by mean delay over all days, worst first. Those with few flights are left out: one bad day would put them on top. */
export function worstAirports(
  rows: Iterable<AirportDay>,
  options: { readonly count: number; readonly minFlights: number },
): readonly AirportSummary[] {
  const sums = new Map<string, { name: string; days: number; flights: number; minutes: number; delayed: number }>();
  for (const row of rows) {
    const sum = sums.get(row.airport) ?? { name: row.name, days: 0, flights: 0, minutes: 0, delayed: 0 };
    sums.set(row.airport, sum);
    sum.days++;
    sum.flights += row.flights;
    sum.minutes += row.meanDelay * row.flights;
    sum.delayed += row.delayed;
  }
  return [...sums]
    .filter(([, sum]) => sum.flights >= options.minFlights)
    .map(([airport, sum]) => ({
      airport,
      name: sum.name,
      days: sum.days,
      flights: sum.flights,
      meanDelay: sum.minutes / sum.flights,
      delayedShare: sum.delayed / sum.flights,
    }))
    .toSorted((a, b) => b.meanDelay - a.meanDelay)
    .slice(0, options.count);
}

/** How many flights the pipeline has committed. */
export async function processedCount(client: Client, groupId: string): Promise<number> {
  const committed = await client.admin.listConsumerGroupOffsets(groupId);
  const last = await lastFlights(
    client,
    committed.filter(({ topic }) => topic === flights.name),
  );
  return last.reduce((sum, { count }) => sum + count, 0);
}

/** How far the pipeline is behind, in offsets: those of transactions' ends are among them. Costs less than counting. */
export async function waitingCount(client: Client, groupId: string): Promise<number> {
  const committed = await client.admin.listConsumerGroupOffsets(groupId);
  return committed.reduce((sum, { topic, lagRecords }) => sum + (topic === flights.name ? lagRecords : 0), 0);
}

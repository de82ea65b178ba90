/**
 * Sends airports and flights to their topics, once each, also over crashes: rows go out in one fixed order, so what a
 * partition holds already says where to go on.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { partitionForKey, type Client, type OutgoingRecord } from '@millrace/client';
import { countHeader, lastFlights } from './counts.ts';
import type { Airport, Flight, FlightData } from './flight-data.ts';
import { airportDelays, airports, flights, lateFlights } from './topics.ts';

const batchRows = 2000;

export async function createTopics(client: Client): Promise<void> {
  await client.admin.createTopics([airports, flights, airportDelays, lateFlights]);
}

export async function feedAirports(client: Client, rows: readonly Airport[]): Promise<void> {
  await using producer = client.producer();
  // A compacted topic: sending them again changes nothing.
  await producer.send(
    airports,
    rows.map((airport) => ({ key: airport.iata, value: airport, timestampMs: 0 })),
  );
}

export interface FeedOptions {
  readonly signal: AbortSignal;
  /** Rows sent per second; undefined: as many as the broker takes. */
  readonly rowsPerSecond?: number | undefined;
  /** Told how many of all rows the topic holds, at the start and after each transaction. */
  readonly onProgress: (rowCount: number) => void;
}

/**
 * A step of rows is a transaction, so the topic always holds whole steps. A feed that was killed may have a batch under way
 * still, in a socket or in the broker: the first transaction here fences it, and only then does the topic say where to go on.
 * @throws {MismatchedFeedError} where the topic holds something else than the first of these rows
 * @throws `PRODUCER_FENCED` where another feed has begun
 */
export async function feedFlights(client: Client, data: FlightData, options: FeedOptions): Promise<void> {
  await using producer = client.transactionalProducer({ transactionalId: 'flights-feed', compressionType: 'lz4' });
  await producer.transaction(() => Promise.resolve());
  const counts = await countsThatMatch(client, data);
  const alreadySent = counts.reduce((sum, count) => sum + count, 0);
  const { rowsPerSecond = Number.POSITIVE_INFINITY } = options;
  const stepRows = Math.min(batchRows, Math.max(1, Math.floor(rowsPerSecond / 20)));
  const startedAtMs = performance.now();
  options.onProgress(alreadySent);
  for (let first = alreadySent; first < data.length && !options.signal.aborted; first += stepRows) {
    const end = Math.min(first + stepRows, data.length);
    const records: OutgoingRecord<string, Flight>[] = [];
    for (let index = first; index < end; index++) {
      const flight = data.at(index);
      const partition = partitionOf(flight.origin);
      const headers = countHeader(++counts[partition]!);
      records.push({ key: flight.origin, value: flight, timestampMs: flight.departureMs, partition, headers });
    }
    await producer.transaction((transaction) => transaction.send(flights, records));
    options.onProgress(end);
    const aheadMs = (1000 * (end - alreadySent)) / rowsPerSecond - (performance.now() - startedAtMs);
    if (aheadMs > 0) await pause(aheadMs);
  }
}

/** The topic was filled from other data. */
export class MismatchedFeedError extends Error {
  constructor(partition: number) {
    super(
      `The topic flights holds other data: the last record of partition ${partition} is not the row expected there. ` +
        'Choose another directory with --data, or delete this one.',
    );
    this.name = 'MismatchedFeedError';
  }
}

/** How many rows each partition holds, having checked that the last of them is the row that belongs there. */
async function countsThatMatch(client: Client, data: FlightData): Promise<number[]> {
  const found = await lastFlights(client, await client.admin.listOffsets(flights.name, 'latest'));
  const sentRows = found.reduce((sum, { count }) => sum + count, 0);
  const counts = found.map(() => 0);
  const lastRows = found.map(() => -1);
  for (let index = 0; index < Math.min(sentRows, data.length); index++) {
    const partition = partitionOf(data.at(index).origin);
    counts[partition]!++;
    lastRows[partition] = index;
  }
  for (const { partition, count, flight } of found) {
    const expected = lastRows[partition]! < 0 ? undefined : data.at(lastRows[partition]!);
    if (counts[partition] !== count || JSON.stringify(flight) !== JSON.stringify(expected)) {
      throw new MismatchedFeedError(partition);
    }
  }
  return counts;
}

const partitions = new Map<string, number>();

function partitionOf(origin: string): number {
  let partition = partitions.get(origin);
  if (partition === undefined) {
    partition = partitionForKey(Buffer.from(origin), flights.numPartitions!);
    partitions.set(origin, partition);
  }
  return partition;
}

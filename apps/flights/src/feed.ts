/**
 * Sends airports and flights to their topics, once each, also over crashes: rows go out in one fixed order, so what a
 * partition holds already says where to go on.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { partitionForKey, type Client } from '@millrace/client';
import type { Airport, FlightData } from './flight-data.ts';
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
  /** Told how many of all rows are in the topic. */
  readonly onProgress: (rowCount: number) => void;
}

/** @throws {MismatchedFeedError} where the topic holds something else than the first of these rows */
export async function feedFlights(client: Client, data: FlightData, options: FeedOptions): Promise<void> {
  const numPartitions = flights.numPartitions!;
  const alreadySent = await countsThatMatch(client, data, numPartitions);
  await using producer = client.producer({ compressionType: 'lz4', lingerMs: 5 });
  const seen = Array.from({ length: numPartitions }, () => 0);
  const underWay = new Set<Promise<unknown>>();
  let failure: unknown;
  const { rowsPerSecond = Number.POSITIVE_INFINITY } = options;
  const stepRows = Math.min(batchRows, Math.max(1, Math.floor(rowsPerSecond / 20)));
  const startedAtMs = performance.now();
  let sentRows = 0;
  for (let first = 0; first < data.length && !options.signal.aborted; first += stepRows) {
    const records = [];
    const end = Math.min(first + stepRows, data.length);
    for (let index = first; index < end; index++) {
      const flight = data.at(index);
      const partition = partitionOf(flight.origin, numPartitions);
      if (seen[partition]!++ < alreadySent[partition]!) continue;
      records.push({ key: flight.origin, value: flight, timestampMs: flight.departureMs, partition });
    }
    if (records.length > 0) {
      const sending = producer
        .send(flights, records)
        .catch((error: unknown) => (failure ??= error))
        .finally(() => underWay.delete(sending));
      underWay.add(sending);
      if (underWay.size >= 8) await Promise.race(underWay);
      if (failure !== undefined) throw failure;
      sentRows += records.length;
      const aheadMs = (1000 * sentRows) / rowsPerSecond - (performance.now() - startedAtMs);
      if (aheadMs > 0) await pause(aheadMs);
    }
    options.onProgress(end);
  }
  await Promise.all(underWay);
  if (failure !== undefined) throw failure;
}

/** The topic was filled from other data. */
export class MismatchedFeedError extends Error {
  constructor(partition: number, offset: number) {
    super(
      `The topic flights holds other data: record ${offset} of partition ${partition} is not the row expected there. ` +
        'Choose another directory with --data, or delete this one.',
    );
    this.name = 'MismatchedFeedError';
  }
}

/** How many rows each partition holds, having checked that the last of them is the row that belongs there. */
async function countsThatMatch(client: Client, data: FlightData, numPartitions: number): Promise<readonly number[]> {
  const counts = Array.from({ length: numPartitions }, () => 0);
  for (const { partition, offset } of await client.admin.listOffsets(flights.name, 'latest'))
    counts[partition] = offset;
  const lastRows = Array.from({ length: numPartitions }, () => -1);
  const seen = Array.from({ length: numPartitions }, () => 0);
  for (let index = 0; index < data.length; index++) {
    const partition = partitionOf(data.at(index).origin, numPartitions);
    if (++seen[partition]! === counts[partition]!) lastRows[partition] = index;
  }
  for (let partition = 0; partition < numPartitions; partition++) {
    const count = counts[partition]!;
    if (count === 0) continue;
    const from = { offsets: { [partition]: count - 1 } };
    const expected = lastRows[partition]! < 0 ? undefined : data.at(lastRows[partition]!);
    for await (const { value } of client.records(flights, { from, to: 'end', partitions: [partition] })) {
      if (JSON.stringify(value) !== JSON.stringify(expected)) throw new MismatchedFeedError(partition, count - 1);
    }
  }
  return counts;
}

const partitions = new Map<string, number>();

function partitionOf(origin: string, numPartitions: number): number {
  let partition = partitions.get(origin);
  if (partition === undefined) {
    partition = partitionForKey(Buffer.from(origin), numPartitions);
    partitions.set(origin, partition);
  }
  return partition;
}

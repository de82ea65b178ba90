/**
 * How many flights lie before an offset. The offset does not say, as ends of transactions have one too: each flight has it in
 * a header.
 */
import type { Client, ConsumerRecord, Position } from '@millrace/client';
import type { HeadersInit } from '@millrace/serde';
import type { Flight } from './flight-data.ts';
import { flights } from './topics.ts';

/** For the flight that is number `count` of its partition, counted from 1. */
export function countHeader(count: number): HeadersInit {
  return { count: String(count) };
}

export interface LastFlight {
  readonly partition: number;
  /** How many flights the partition holds up to this one; NaN: its header is missing, so it is not of this feed. */
  readonly count: number;
  /** undefined: there is none, and `count` is 0. */
  readonly flight: Flight | undefined;
}

/** The last committed flight before each of these positions. */
export async function lastFlights(client: Client, ends: readonly Position[]): Promise<readonly LastFlight[]> {
  return await Promise.all(
    ends.map(async ({ partition, offset }) => {
      const last = await lastBefore(client, partition, offset);
      return { partition, count: last === undefined ? 0 : Number(last.headers.text('count')), flight: last?.value };
    }),
  );
}

/** Looks back further each time: what is before the end may be markers, or records of aborted transactions. */
async function lastBefore(
  client: Client,
  partition: number,
  end: number,
): Promise<ConsumerRecord<string, Flight> | undefined> {
  for (let lookBack = 8; ; lookBack *= 8) {
    const start = Math.max(0, end - lookBack);
    const from = { offsets: { [partition]: start } };
    let last: ConsumerRecord<string, Flight> | undefined;
    for await (const record of client.records(flights, { from, to: 'end', partitions: [partition] })) {
      if (record.offset >= end) break;
      last = record;
    }
    if (last !== undefined || start === 0) return last;
  }
}

import { recompute, readResult, FlightData, lateFlights } from '@millrace/flights';
import type { Client } from '@millrace/client';
import type { Topic } from '@millrace/serde';
import { copies, entries, plain, type Entry } from './topics.ts';
import { acknowledged } from './workers/acknowledged.ts';

/** What is wrong with the log after all; empty: nothing. */
export async function checkEntries(client: Client, acknowledgedFile: string): Promise<readonly string[]> {
  const seen = await numbersOf(client, entries);
  return [
    ...whole('entries', seen),
    ...lost('entries', seen, acknowledged(acknowledgedFile)),
    ...(await copied(client, seen)),
  ];
}

export async function checkPlain(client: Client, acknowledgedFile: string): Promise<readonly string[]> {
  const seen = await numbersOf(client, plain);
  return [...ordered('plain', seen), ...lost('plain', seen, acknowledged(acknowledgedFile))];
}

export async function checkFlights(client: Client): Promise<readonly string[]> {
  const expected = await recompute(await FlightData.read('20k'));
  const result = await readResult(client);
  const problems: string[] = [];
  for (const [key, row] of expected.rows) {
    if (JSON.stringify(result.get(key)) !== JSON.stringify(row)) {
      problems.push(`airport-delays: ${key} is ${JSON.stringify(result.get(key))}, should be ${JSON.stringify(row)}`);
    }
  }
  for (const key of result.keys()) if (!expected.rows.has(key)) problems.push(`airport-delays: ${key} should not be`);
  const late: string[] = [];
  for await (const { value } of client.records(lateFlights, { to: 'end' })) late.push(JSON.stringify(value));
  const expectedLate = expected.late.map((flight) => JSON.stringify(flight));
  if (late.toSorted().join('\n') !== expectedLate.toSorted().join('\n')) {
    problems.push(`flights-late: ${late.length} records, should be ${expectedLate.length}`);
  }
  return problems;
}

/** Committed numbers by partition, in the order of the log. */
async function numbersOf(client: Client, topic: Topic<string, Entry>): Promise<readonly Entry[][]> {
  const partitions: Entry[][] = [[], [], []];
  for await (const { partition, value } of client.records(topic, { to: 'end' })) partitions[partition]!.push(value);
  return partitions;
}

/** Every number from 0 on, once, in order, and none of an aborted transaction. */
function whole(name: string, partitions: readonly Entry[][]): string[] {
  const problems: string[] = [];
  for (const [partition, found] of partitions.entries()) {
    for (const [index, { n, isAborted }] of found.entries()) {
      if (isAborted) problems.push(`${name}-${partition}: ${n} was aborted and is seen`);
      const expected = index * 3 + partition;
      if (n !== expected) {
        problems.push(`${name}-${partition}: at place ${index} is ${n}, should be ${expected}`);
        break;
      }
    }
  }
  return problems;
}

/** In order and nothing twice; numbers may be missing that were never acknowledged. */
function ordered(name: string, partitions: readonly Entry[][]): string[] {
  return partitions.flatMap((found, partition) =>
    found.flatMap(({ n }, index) =>
      index > 0 && n <= found[index - 1]!.n ? [`${name}-${partition}: ${n} follows ${found[index - 1]!.n}`] : [],
    ),
  );
}

function lost(name: string, partitions: readonly Entry[][], acknowledgedNumbers: readonly number[]): string[] {
  const present = new Set(partitions.flat().map(({ n }) => n));
  const missing = acknowledgedNumbers.filter((n) => !present.has(n));
  return missing.length === 0 ? [] : [`${name}: ${missing.length} acknowledged are lost, the first is ${missing[0]}`];
}

/** Whether every committed entry has its copy. Not by lag: markers and aborted records at the end have offsets too. */
export async function isCopied(client: Client): Promise<boolean> {
  return (await copied(client, await numbersOf(client, entries))).length === 0;
}

async function copied(client: Client, originals: readonly Entry[][]): Promise<string[]> {
  const found = await numbersOf(client, copies);
  return originals.flatMap((original, partition) => {
    const a = original.map(({ n }) => n).join();
    const b = found[partition]!.map(({ n }) => n).join();
    return a === b
      ? []
      : [`copies-${partition}: ${found[partition]!.length} records do not equal the ${original.length} copied`];
  });
}

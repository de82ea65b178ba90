import { lateFlights, readResult, recompute, type FlightData } from '@millrace/flights';
import type { Client } from '@millrace/client';
import type { Topic } from '@millrace/serde';
import { copies, entries, plain, type Entry } from './topics.ts';
import { acknowledged } from './workers/acknowledged.ts';

/** What is wrong with the log after all; empty: nothing. */
export async function checkEntries(client: Client, acknowledgedFile: string): Promise<readonly string[]> {
  const seen = await numbersOf(client, entries);
  return [
    ...whole('entries', seen),
    ...lost('entries', new Set(seen.flat().map(({ n }) => String(n))), acknowledged(acknowledgedFile)),
    ...(await copied(client, seen)),
  ];
}

/**
 * Each run of the writer counts from 0: in a partition its numbers stand once, in order and without a gap (it has several sends
 * under way, and an idempotent producer keeps their order over retries). Runs may overlap: the last batches of one that was
 * killed may come in after its successor's first.
 */
export async function checkPlain(client: Client, acknowledgedFile: string): Promise<readonly string[]> {
  const next = new Map<string, number>();
  const present = new Set<string>();
  const problems: string[] = [];
  for await (const { partition, offset, value } of client.records(plain, { to: 'end' })) {
    const sequence = `${value.run}/${partition}`;
    const expected = next.get(sequence) ?? partition;
    if (value.n !== expected) {
      problems.push(`plain-${partition}@${offset}: ${value.n} of run ${value.run}, should be ${expected}`);
    }
    next.set(sequence, value.n + 3);
    present.add(`${value.run}:${value.n}`);
  }
  return [...problems.slice(0, 10), ...lost('plain', present, acknowledged(acknowledgedFile))];
}

export async function checkFlights(client: Client, data: FlightData): Promise<readonly string[]> {
  const expected = await recompute(data);
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
async function numbersOf(client: Client, source: Topic<string, Entry>): Promise<readonly Entry[][]> {
  const partitions: Entry[][] = [[], [], []];
  for await (const { partition, value } of client.records(source, { to: 'end' })) partitions[partition]!.push(value);
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

function lost(name: string, present: ReadonlySet<string>, acknowledgedEntries: readonly string[]): string[] {
  const missing = acknowledgedEntries.filter((entry) => !present.has(entry));
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

import type { History } from './history.ts';
import { bucketOf } from './sessions/count-in-pipeline.ts';
import { compacted, counts, plain, transactional } from './topics.ts';

export interface LogRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: string | null;
  readonly value: string | number | null;
}

/** The invariants of the design. Each broken one is a sentence; none is what is hoped for. */
export function violations(history: History, committed: readonly LogRecord[]): readonly string[] {
  const at = new Map(committed.map((record) => [`${record.topic}-${record.partition}@${record.offset}`, record]));
  const placesOf = new Map<string, LogRecord[]>();
  for (const record of committed) {
    if (typeof record.value !== 'string') continue;
    placesOf.set(record.value, [...(placesOf.get(record.value) ?? []), record]);
  }
  return [
    ...acknowledgedIsThere(history, at),
    ...nothingTwice(placesOf),
    ...inOrder(history, placesOf),
    ...transactionsAreWhole(history, placesOf),
    ...lastValuesSurvive(history, committed),
    ...commitsGoForward(history),
    ...seenIsThere(history, at),
    ...committedWasSeen(history, committed),
    ...eachIsCountedOnce(committed),
  ];
}

function acknowledgedIsThere(history: History, at: ReadonlyMap<string, LogRecord>): string[] {
  return history.sent
    .filter(({ outcome }) => outcome === 'acknowledged')
    .filter(({ topic, partition, offset, value }) => at.get(`${topic}-${partition}@${offset}`)?.value !== value)
    .map(
      ({ topic, partition, offset, value }) =>
        `${value}, acknowledged at ${topic}-${partition}@${offset}, is not there`,
    );
}

function nothingTwice(placesOf: ReadonlyMap<string, readonly LogRecord[]>): string[] {
  return [...placesOf]
    .filter(([, places]) => places.length > 1)
    .map(([value, places]) => `${value} is there ${places.length} times: ${places.map(placeOf).join(', ')}`);
}

/** Of one session, in one partition: by offset as by number. */
function inOrder(history: History, placesOf: ReadonlyMap<string, readonly LogRecord[]>): string[] {
  const problems: string[] = [];
  const last = new Map<string, { readonly n: number; readonly offset: number }>();
  for (const { session, topic, partition, n, value } of history.sent) {
    const place = placesOf.get(value)?.[0];
    if (place === undefined) continue;
    const lane = `${session} in ${topic}-${partition}`;
    const before = last.get(lane);
    if (before !== undefined && place.offset <= before.offset) {
      problems.push(`${lane}: number ${n} at ${place.offset} lies before number ${before.n} at ${before.offset}`);
    }
    last.set(lane, { n, offset: place.offset });
  }
  return problems;
}

function transactionsAreWhole(history: History, placesOf: ReadonlyMap<string, readonly LogRecord[]>): string[] {
  return history.transactions.flatMap(({ values, outcome }) => {
    const present = values.filter(({ value }) => placesOf.has(value)).length;
    const name = `the transaction of ${values[0]?.value}`;
    if (outcome === 'committed' && present < values.length)
      return [`${name} was committed, ${present} of ${values.length} are there`];
    if (outcome === 'aborted' && present > 0) return [`${name} was aborted, ${present} of ${values.length} are there`];
    if (present > 0 && present < values.length) return [`${name} is torn: ${present} of ${values.length} are there`];
    return [];
  });
}

function lastValuesSurvive(history: History, committed: readonly LogRecord[]): string[] {
  const last = new Map<string, LogRecord['value']>();
  for (const { topic, key, value } of committed) if (topic === compacted.name && key !== null) last.set(key, value);
  return [...history.keys].flatMap(([key, { acknowledged, maybe }]) => {
    const value = last.get(key) ?? undefined;
    const isRight = value === acknowledged || (typeof value === 'string' && maybe.has(value));
    return isRight ? [] : [`compacted: ${key} is ${value}, was acknowledged as ${acknowledged}`];
  });
}

/** A commit that was asked for when another was acknowledged does not lie before it. */
function commitsGoForward({ commits }: History): string[] {
  return commits.flatMap(({ topic, partition, offset, askedAt }) =>
    commits
      .filter((other) => other.topic === topic && other.partition === partition)
      .filter((other) => other.acknowledgedAt < askedAt && other.offset > offset)
      .map((other) => `the group's offset of ${topic}-${partition} went back from ${other.offset} to ${offset}`),
  );
}

/** No consumer is handed what a crash could take back, or an abort. */
function seenIsThere({ seen }: History, at: ReadonlyMap<string, LogRecord>): string[] {
  return seen
    .filter(({ topic, partition, offset, value }) => at.get(`${topic}-${partition}@${offset}`)?.value !== value)
    .map(({ topic, partition, offset, value }) => `${value}, seen at ${topic}-${partition}@${offset}, is not there`);
}

/** A group that commits what it was handed has been handed all that lies before its commit. */
function committedWasSeen({ seen, commits }: History, committed: readonly LogRecord[]): string[] {
  const handed = new Set(seen.map(placeOf));
  const until = new Map<string, number>();
  for (const { topic, partition, offset } of commits) {
    const lane = `${topic}-${partition}`;
    until.set(lane, Math.max(offset, until.get(lane) ?? 0));
  }
  return committed
    .filter(({ topic, partition, offset }) => offset < (until.get(`${topic}-${partition}`) ?? 0))
    .map(placeOf)
    .filter((place) => !handed.has(place))
    .map((place) => `${place} lies before the group's commit, and no member was handed it`);
}

/** A count goes out at each commit that changed it: it only grows, and ends at the number of records. */
function eachIsCountedOnce(committed: readonly LogRecord[]): string[] {
  const inputs = new Map<string, number>();
  const outputs = new Map<string, number[]>();
  for (const { topic, key, value } of committed) {
    if (topic === plain.name || topic === transactional.name) {
      const bucket = bucketOf(value as string);
      inputs.set(bucket, (inputs.get(bucket) ?? 0) + 1);
    } else if (topic === counts.name) {
      outputs.set(key!, [...(outputs.get(key!) ?? []), value as number]);
    }
  }
  return [...inputs].flatMap(([bucket, count]) => {
    const told = outputs.get(bucket) ?? [];
    const isRight = told.at(-1) === count && told.every((value, i) => i === 0 || value > told[i - 1]!);
    return isRight ? [] : [`${bucket}: of ${count} records the pipeline has counted ${told.join(', ')}`];
  });
}

function placeOf({ topic, partition, offset }: { topic: string; partition: number; offset: number }): string {
  return `${topic}-${partition}@${offset}`;
}

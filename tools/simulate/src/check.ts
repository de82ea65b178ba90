import type { History } from './history.ts';

export interface LogRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: string | null;
  readonly value: string | null;
}

/** The invariants of the design. Each broken one is a sentence; none is what is hoped for. */
export function violations(history: History, committed: readonly LogRecord[]): readonly string[] {
  const at = new Map(committed.map((record) => [`${record.topic}-${record.partition}@${record.offset}`, record]));
  const placesOf = new Map<string, LogRecord[]>();
  for (const record of committed) {
    if (record.value === null) continue;
    placesOf.set(record.value, [...(placesOf.get(record.value) ?? []), record]);
  }
  return [
    ...acknowledgedIsThere(history, at),
    ...nothingTwice(placesOf),
    ...inOrder(history, placesOf),
    ...transactionsAreWhole(history, placesOf),
    ...lastValuesSurvive(history, committed),
    ...commitsGoForward(history),
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
  const last = new Map<string, string | null>();
  for (const { topic, key, value } of committed) if (topic === 'compacted' && key !== null) last.set(key, value);
  return [...history.keys].flatMap(([key, { acknowledged, maybe }]) => {
    const value = last.get(key) ?? undefined;
    const isRight = value === acknowledged || (value !== undefined && maybe.has(value));
    return isRight ? [] : [`compacted: ${key} is ${value}, was acknowledged as ${acknowledged}`];
  });
}

function commitsGoForward(history: History): string[] {
  return [...history.commits].flatMap(([partition, offsets]) =>
    offsets.flatMap((offset, i) =>
      i > 0 && offset < offsets[i - 1]!
        ? [`the group's offset of partition ${partition} went back from ${offsets[i - 1]} to ${offset}`]
        : [],
    ),
  );
}

function placeOf({ topic, partition, offset }: LogRecord): string {
  return `${topic}-${partition}@${offset}`;
}

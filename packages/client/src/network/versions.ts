import { apis, type ApiSchema } from '@millrace/protocol';

/** What a broker serves, by API key. */
export type ServedVersions = ReadonlyMap<number, { readonly min: number; readonly max: number }>;

/**
 * Where we speak less than the schemas know, since a later version is another protocol, not another layout:
 * Fetch 13 names topics by id; Produce 12, EndTxn 5 and TxnOffsetCommit 5 are transactions of version 2 (KIP-890), whose
 * epochs the broker raises; AddPartitionsToTxn 4 is for brokers; OffsetCommit and OffsetFetch 10 name topics by id.
 */
const highestSpoken: ReadonlyMap<number, number> = new Map([
  [apis.produce.key, 11],
  [apis.fetch.key, 12],
  [apis.offsetCommit.key, 9],
  [apis.offsetFetch.key, 9],
  [apis.addPartitionsToTxn.key, 3],
  [apis.endTxn.key, 4],
  [apis.txnOffsetCommit.key, 4],
]);

/** The highest version that both speak; undefined: none. */
export function commonVersion(api: ApiSchema, served: ServedVersions): number | undefined {
  const theirs = served.get(api.key);
  if (theirs === undefined) return undefined;
  const [min, max] = parseRange(api.request.validVersions);
  const version = Math.min(max, highestSpoken.get(api.key) ?? max, theirs.max);
  return version >= Math.max(min, theirs.min) ? version : undefined;
}

function parseRange(range: string): [min: number, max: number] {
  const [min, max] = range.split('-');
  return [Number(min), Number(max ?? min)];
}

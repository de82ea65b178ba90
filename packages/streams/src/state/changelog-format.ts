import { int64Bytes, readInt64 } from './int64-bytes.ts';

/**
 * What stands in a changelog. Key-value stores: the serde's bytes. Windows and join buffers: those, then the start of the window
 * or segment (8 bytes, big-endian), as Kafka Streams writes windowed keys. The record's time is that of the value; a null value
 * deletes. Besides, each changelog may hold control records, which are no entries:
 *
 * - `barrier`: written by a new owner, see `StoreClaim.epoch`;
 * - `time`: 8 bytes, the store's stream time, where it is ahead of all the records.
 */
export type ControlKind = 'barrier' | 'time';

// Not UTF-8, and of a length that no number or UUID has: only raw bytes could be the same, on purpose.
const controlPrefix = Buffer.concat([Buffer.from([0xff, 0xff]), Buffer.from('millrace:')]);

const controlKeys: Readonly<Record<ControlKind, Uint8Array>> = {
  barrier: Buffer.concat([controlPrefix, Buffer.from('barrier')]),
  time: Buffer.concat([controlPrefix, Buffer.from('time')]),
};

/** The key of a control record. Compaction keeps the last of each kind. */
export function controlKey(kind: ControlKind): Uint8Array {
  return controlKeys[kind];
}

/** The kind of a control record; undefined: it is an entry. */
export function controlKindOf(key: Uint8Array): ControlKind | undefined {
  if (key.length <= controlPrefix.length || key[0] !== 0xff || key[1] !== 0xff) return undefined;
  return Buffer.compare(key, controlKeys.barrier) === 0
    ? 'barrier'
    : Buffer.compare(key, controlKeys.time) === 0
      ? 'time'
      : undefined;
}

/** `key ‖ startMs`. */
export function windowedChangelogKey(key: Uint8Array, startMs: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(key.length + 8);
  bytes.set(key);
  int64Bytes(bytes, key.length, startMs);
  return bytes;
}

/** Start of the window in a key made by `windowedChangelogKey`; the key itself is what stands before the last 8 bytes. */
export function startOfChangelogKey(key: Uint8Array): number {
  return readInt64(key, key.length - 8);
}

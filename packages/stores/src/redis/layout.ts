/**
 * How a store lies in Redis. A (store, partition) has a main hash, `<prefix>:{<application>/<store>/<partition>}:d0`; the windows
 * of a window store lie in further ones, `…:w<segment>`, so that whole segments go at once. The braces give all keys of a
 * partition one cluster slot. The marks that vouch for data are fields of the hash that holds it: both are lost or kept together.
 *
 *     every hash
 *       0x00 i   incarnation: random, new at each rebuild
 *     main hash
 *       0x00 o   next changelog offset: all before it is applied
 *       0x00 c   end of the commit being applied; equal to `o` at rest
 *       0x00 e   epoch of the last owner
 *       0x00 t   id of the changelog topic
 *       0x00 m   broker time of the last record applied, in milliseconds
 *       0x00 u   stream time of the store, in milliseconds
 *       0x00 p   input positions that the data reflects, as JSON: {"orders-0": 17}
 *       0x00 s   `building:<offset>` while the store is filled, up to that offset; absent once it is whole
 *       0x00 g   live segments, as `,4,5,`
 *       0x00 x   windows that start before this are gone
 *     segment
 *       0x00 w   next changelog offset of the last commit that touched it
 *
 * Fields of the main hash are keys; one that begins with 0x00 gets another 0x00 in front, and so never meets a mark. Fields of a
 * segment are the window's start (8 bytes, big-endian) and the key: longer than any mark. Values are their time (8 bytes,
 * big-endian), then the serde's bytes: Kafka Streams' `ValueAndTimestamp`.
 */
export const marks: Readonly<Record<Mark, Buffer>> = {
  incarnation: Buffer.from('\0i'),
  offset: Buffer.from('\0o'),
  commitEnd: Buffer.from('\0c'),
  epoch: Buffer.from('\0e'),
  topicId: Buffer.from('\0t'),
  timestamp: Buffer.from('\0m'),
  streamTime: Buffer.from('\0u'),
  positions: Buffer.from('\0p'),
  building: Buffer.from('\0s'),
  segments: Buffer.from('\0g'),
  expireBefore: Buffer.from('\0x'),
  segmentOffset: Buffer.from('\0w'),
};

type Mark =
  | 'incarnation'
  | 'offset'
  | 'commitEnd'
  | 'epoch'
  | 'topicId'
  | 'timestamp'
  | 'streamTime'
  | 'positions'
  | 'building'
  | 'segments'
  | 'expireBefore'
  | 'segmentOffset';

/** The layout described here. Another number in a `StoreDescription` means that another reader is needed. */
export const layoutVersion = 1;

export interface StoreAddress {
  readonly prefix: string;
  readonly applicationId: string;
  readonly store: string;
}

/** The main hash of one partition of a store. */
export function mainKey({ prefix, applicationId, store }: StoreAddress, partition: number): string {
  return `${prefix}:{${applicationId}/${store}/${partition}}:d0`;
}

/** The hash of a segment, beside its main hash. */
export function segmentKey(main: string, segment: number): string {
  return `${main.slice(0, -2)}w${segment}`;
}

/** The hash that tells other programs which stores an application has: a field a store, its value a `StoreDescription`. */
export function directoryKey({ prefix, applicationId }: Omit<StoreAddress, 'store'>): string {
  return `${prefix}:${applicationId}:stores`;
}

/** What a reader must know of a store. JSON. */
export interface StoreDescription {
  readonly layout: number;
  readonly kind: 'keyValue' | 'window';
  readonly partitions: number;
  readonly key: string;
  readonly value: string;
}

/** The field of a key in the main hash. */
export function fieldOf(key: Uint8Array): Buffer {
  if (key[0] !== 0) return Buffer.from(key.buffer, key.byteOffset, key.byteLength);
  const field = Buffer.allocUnsafe(key.length + 1);
  field[0] = 0;
  field.set(key, 1);
  return field;
}

/** The key of a field of the main hash; undefined: it is a mark. */
export function keyOf(field: Buffer): Buffer | undefined {
  if (field[0] !== 0) return field;
  return field[1] === 0 ? field.subarray(1) : undefined;
}

/** The field of a window in its segment. */
export function windowFieldOf(startMs: number, key: Uint8Array): Buffer {
  const field = Buffer.allocUnsafe(8 + key.length);
  writeMs(field, 0, startMs);
  field.set(key, 8);
  return field;
}

/** 8 bytes, big-endian, two's complement: what `writeBigInt64BE` writes, without the bigint. */
export function writeMs(target: Buffer, at: number, ms: number): void {
  target.writeInt32BE(Math.floor(ms / 0x1_0000_0000), at);
  target.writeUInt32BE(ms >>> 0, at + 4);
}

export function readMs(source: Buffer, at: number): number {
  return source.readInt32BE(at) * 0x1_0000_0000 + source.readUInt32BE(at + 4);
}

export function joinSegments(segments: Iterable<number>): string {
  const list = [...segments];
  return list.length === 0 ? '' : `,${list.join(',')},`;
}

export function splitSegments(text: string): number[] {
  return text
    .split(',')
    .filter((part) => part !== '')
    .map(Number);
}

import { crc32c } from '../crc32c.ts';
import type { CompressionType } from '../compression/compression-type.ts';
import { CorruptBatchError, UnsupportedCompressionError, UnsupportedMagicError } from '../errors.ts';

/**
 * A record batch of magic 2, big-endian:
 *
 *      0 baseOffset int64            21 attributes int16        43 producerId int64
 *      8 batchLength int32           23 lastOffsetDelta int32   51 producerEpoch int16
 *     12 partitionLeaderEpoch int32  27 baseTimestamp int64     53 baseSequence int32
 *     16 magic int8                  35 maxTimestamp int64      57 recordCount int32
 *     17 crc uint32                                             61 records
 *
 * The length counts what follows it. The CRC covers all from the attributes on, so offset and leader epoch can be set in
 * place. Attributes: bits 0–2 compression, 3 timestamp type, 4 transactional, 5 control, 6 delete horizon (KIP-534).
 */
export const batchHeaderBytes = 61;

/** Bytes before those that a batch's length counts. */
export const lengthPrefixBytes = 12;
export const magicPosition = 16;
const crcPosition = 17;
export const attributesPosition = 21;
const maxTimestampPosition = 35;
const logAppendTimeBit = 0x08;

/** The 61 bytes in front of a batch, read in one go. Field names are Kafka's. */
export interface BatchHeader {
  readonly baseOffset: number;
  /** Of the whole batch: the length field plus the 12 bytes before it. */
  readonly sizeBytes: number;
  readonly partitionLeaderEpoch: number;
  readonly magic: number;
  readonly crc: number;
  readonly attributes: number;
  readonly lastOffsetDelta: number;
  /** With bit 6 of the attributes: the delete horizon (KIP-534). */
  readonly baseTimestamp: number;
  readonly maxTimestamp: number;
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly recordCount: number;
}

/** Batches of a file or frame lie in one ArrayBuffer: making its view (65 ns) costs more than reading a header with it (36 ns). */
let sharedView: DataView = new DataView(new ArrayBuffer(0));
/** Larger ones are not kept, or the last large read would stay in memory. */
const maxSharedBytes = 65_536;

/** A view on all of the ArrayBuffer: positions in it are those in `bytes` plus `bytes.byteOffset`. */
export function viewOf(bytes: Uint8Array): DataView {
  const { buffer } = bytes;
  if (buffer === sharedView.buffer) return sharedView;
  const view = new DataView(buffer);
  if (buffer.byteLength <= maxSharedBytes) sharedView = view;
  return view;
}

/**
 * Checks nothing but that the 61 bytes are there and that its 64-bit integers are safe ones: see `validateBatch`.
 * @throws `CorruptBatchError`
 */
export function readBatchHeader(bytes: Uint8Array, position: number): BatchHeader {
  if (position < 0 || position + batchHeaderBytes > bytes.byteLength) {
    throw new CorruptBatchError(
      `A batch header at byte ${position} needs ${batchHeaderBytes} bytes, but ${bytes.byteLength - position} are left`,
      { position, byteLength: bytes.byteLength },
    );
  }
  const view = viewOf(bytes);
  const at = bytes.byteOffset + position;
  return {
    baseOffset: int64(view, at, 'baseOffset'),
    sizeBytes: view.getInt32(at + 8) + lengthPrefixBytes,
    partitionLeaderEpoch: view.getInt32(at + 12),
    magic: view.getInt8(at + magicPosition),
    crc: view.getUint32(at + crcPosition),
    attributes: view.getInt16(at + attributesPosition),
    lastOffsetDelta: view.getInt32(at + 23),
    baseTimestamp: int64(view, at + 27, 'baseTimestamp'),
    maxTimestamp: int64(view, at + maxTimestampPosition, 'maxTimestamp'),
    producerId: int64(view, at + 43, 'producerId'),
    producerEpoch: view.getInt16(at + 51),
    baseSequence: view.getInt32(at + 53),
    recordCount: view.getInt32(at + 57),
  };
}

function int64(view: DataView, at: number, field: string): number {
  const value = view.getInt32(at) * 4_294_967_296 + view.getUint32(at + 4);
  if (!Number.isSafeInteger(value)) {
    throw new CorruptBatchError(`The ${field} of a batch is beyond ±(2^53−1)`, { field });
  }
  return value;
}

/** Writes a safe integer. */
export function setInt64(view: DataView, at: number, value: number): void {
  view.setInt32(at, Math.floor(value / 4_294_967_296));
  view.setInt32(at + 4, value | 0);
}

const compressionTypes: readonly CompressionType[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];

/** Decoded views of `attributes`. */
export const attributesOf: {
  /** @throws `UnsupportedCompressionError` for the numbers 5 to 7, which Kafka does not have */
  compression(attributes: number): CompressionType;
  isLogAppendTime(attributes: number): boolean;
  isTransactional(attributes: number): boolean;
  isControl(attributes: number): boolean;
  hasDeleteHorizon(attributes: number): boolean;
} = {
  compression(attributes) {
    const type = compressionTypes[attributes & 7];
    if (type === undefined) {
      throw new UnsupportedCompressionError(`${attributes & 7}`, `Kafka knows ${compressionTypes.join(', ')}.`);
    }
    return type;
  },
  isLogAppendTime: (attributes) => (attributes & logAppendTimeBit) !== 0,
  isTransactional: (attributes) => (attributes & 0x10) !== 0,
  isControl: (attributes) => (attributes & 0x20) !== 0,
  hasDeleteHorizon: (attributes) => (attributes & 0x40) !== 0,
};

/** The attribute bits of a compression type. */
export function compressionBits(type: CompressionType): number {
  return compressionTypes.indexOf(type);
}

/**
 * Length, magic, CRC-32C: that the batch is whole and unharmed. What it holds is for `RecordReader` to check.
 * @throws `CorruptBatchError` for a batch cut off, too short, of an unknown magic or a wrong CRC
 * @throws `UnsupportedMagicError` for magic 0 and 1
 */
export function validateBatch(bytes: Uint8Array, position: number): BatchHeader {
  // Magic 0 and 1 keep it at the same place, but have shorter headers: look before reading more.
  const magic = position + magicPosition < bytes.byteLength ? bytes[position + magicPosition] : undefined;
  if (magic === 0 || magic === 1) throw new UnsupportedMagicError(magic, { position });
  const header = readBatchHeader(bytes, position);
  const { sizeBytes, crc } = header;
  const left = bytes.byteLength - position;
  if (sizeBytes < batchHeaderBytes || sizeBytes > left) {
    throw new CorruptBatchError(`A batch at byte ${position} claims ${sizeBytes} bytes, but ${left} are left`, {
      position,
      sizeBytes,
      left,
    });
  }
  if (header.magic !== 2) {
    throw new CorruptBatchError(`A batch at byte ${position} has the unknown magic ${header.magic}`, { position });
  }
  const computed = crc32c(bytes, position + attributesPosition, position + sizeBytes);
  if (computed !== crc) {
    throw new CorruptBatchError(`The CRC-32C of a batch at byte ${position} is ${hex(computed)}, not ${hex(crc)}`, {
      position,
      baseOffset: header.baseOffset,
    });
  }
  return header;
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}

/** In place: the offset lies outside the CRC. */
export function setBaseOffset(bytes: Uint8Array, position: number, baseOffset: number): void {
  setInt64(viewOf(bytes), bytes.byteOffset + position, baseOffset);
}

/** In place: the leader epoch lies outside the CRC. */
export function setPartitionLeaderEpoch(bytes: Uint8Array, position: number, leaderEpoch: number): void {
  viewOf(bytes).setInt32(bytes.byteOffset + position + 12, leaderEpoch);
}

/** Log-append time: sets maxTimestamp and the type bit, and the CRC again. The records keep their deltas, which count no more. */
export function setLogAppendTime(bytes: Uint8Array, position: number, timestampMs: number): void {
  const view = viewOf(bytes);
  const at = bytes.byteOffset + position;
  view.setInt16(at + attributesPosition, view.getInt16(at + attributesPosition) | logAppendTimeBit);
  setInt64(view, at + maxTimestampPosition, timestampMs);
  setCrc(bytes, position, view.getInt32(at + 8) + lengthPrefixBytes);
}

/** Writes the CRC of a batch of `sizeBytes`. */
export function setCrc(bytes: Uint8Array, position: number, sizeBytes: number): void {
  const crc = crc32c(bytes, position + attributesPosition, position + sizeBytes);
  viewOf(bytes).setUint32(bytes.byteOffset + position + crcPosition, crc);
}

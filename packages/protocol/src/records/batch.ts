import type { CompressionType } from '../compression/compression.ts';

/** Bytes of a batch of magic 2 before its records. */
export const batchHeaderBytes = 61;

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

export declare function readBatchHeader(bytes: Uint8Array, position: number): BatchHeader;

/** Decoded views of `attributes`. */
export declare const attributesOf: {
  compression(attributes: number): CompressionType;
  isLogAppendTime(attributes: number): boolean;
  isTransactional(attributes: number): boolean;
  isControl(attributes: number): boolean;
  hasDeleteHorizon(attributes: number): boolean;
};

/** Length, magic, CRC-32C. The decoded header, or the reason as text. @throws `CorruptBatchError` */
export declare function validateBatch(bytes: Uint8Array, position: number): BatchHeader;

/** Patches what lies outside the CRC, in place. */
export declare function setBaseOffset(bytes: Uint8Array, position: number, baseOffset: number): void;
export declare function setPartitionLeaderEpoch(bytes: Uint8Array, position: number, leaderEpoch: number): void;
/** Log-append time: sets maxTimestamp and the type bit, and the CRC again. */
export declare function setLogAppendTime(bytes: Uint8Array, position: number, timestampMs: number): void;

/**
 * Walks the records of a batch without copying: `next()` moves to the next record and its fields are read from the reader.
 * Compressed batches are inflated first, once, up to `maxInflatedBytes`.
 * @throws `CorruptBatchError` for records that lie about their lengths
 */
export declare class RecordReader {
  constructor(options?: { readonly maxInflatedBytes?: number | undefined });
  /** Begins a batch. The reader is reused: one per partition. */
  reset(bytes: Uint8Array, position: number): void;
  next(): boolean;
  readonly header: BatchHeader;
  readonly offset: number;
  readonly timestampMs: number;
  /** Views on the batch (or on its inflated records), null where the record has none. */
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  /** Where key and value lie in `bytes`; length −1 is null. */
  readonly bytes: Uint8Array;
  readonly keyPosition: number;
  readonly keyLength: number;
  readonly valuePosition: number;
  readonly valueLength: number;
  readonly headerCount: number;
  /** Decoded when asked for. */
  headers(): readonly (readonly [name: string, value: Uint8Array | null])[];
}

export type HeaderEntry = readonly [name: string, value: Uint8Array | null];

/** Builds one batch: append records, then `close`. Growing buffer, reused after `reset`. */
export declare class RecordBatchWriter {
  constructor(options?: { readonly initialBytes?: number | undefined });
  reset(): void;
  /** Key, value and headers are copied in. The first record's time is the batch's base. */
  append(timestampMs: number, key: Uint8Array | null, value: Uint8Array | null, headers?: readonly HeaderEntry[]): void;
  readonly recordCount: number;
  /** Before compression, header included. */
  readonly sizeBytes: number;
  /** The finished batch, in memory of its own. */
  close(options: CloseBatchOptions): Uint8Array;
}

export interface CloseBatchOptions {
  readonly compression?: CompressionType | undefined;
  readonly baseOffset?: number | undefined;
  readonly partitionLeaderEpoch?: number | undefined;
  readonly producerId?: number | undefined;
  readonly producerEpoch?: number | undefined;
  readonly baseSequence?: number | undefined;
  readonly isTransactional?: boolean | undefined;
  readonly isControl?: boolean | undefined;
}

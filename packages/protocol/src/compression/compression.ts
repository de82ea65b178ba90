import { UnsupportedCompressionError } from '../errors.ts';
import type { CompressionType } from './compression-type.ts';
import { tooLarge } from './errors.ts';
import { gunzip, gzip } from './gzip.ts';
import { lz4Compress, lz4Decompress } from './lz4.ts';
import { snappyCompress, snappyDecompress } from './snappy.ts';
import { prepareZstd, zstdCompress, zstdDecompress } from './zstd.ts';

export type { CompressionType } from './compression-type.ts';

/**
 * Measured on two busy cores with Node 20 (trust the ratios), in MB/s in and out, 16 KiB of JSON: gzip 180 and 580, snappy 1100
 * and 2200 (without the native module 440 and 840), lz4 230 and 460, zstd 370 and 270 (WASM; Node 24's own 230 and 620). Snappy
 * and lz4 to three tenths, gzip to a sixth, zstd to an eighth.
 * @throws `UnsupportedCompressionError` where the machine has no such codec (zstd on Node 20 without `@foxglove/wasm-zstd`)
 */
export function compress(type: CompressionType, bytes: Uint8Array): Uint8Array {
  switch (type) {
    case 'none':
      return bytes;
    case 'gzip':
      return gzip(bytes);
    case 'snappy':
      return snappyCompress(bytes);
    case 'lz4':
      return lz4Compress(bytes);
    case 'zstd':
      return zstdCompress(bytes);
  }
}

/** Never makes more than `maxBytes`. @throws `CorruptBatchError`, `UnsupportedCompressionError` */
export function decompress(type: CompressionType, bytes: Uint8Array, maxBytes: number): Uint8Array {
  switch (type) {
    case 'none':
      if (bytes.byteLength > maxBytes) throw tooLarge(type, maxBytes);
      return bytes;
    case 'gzip':
      return gunzip(bytes, maxBytes);
    case 'snappy':
      return snappyDecompress(bytes, maxBytes);
    case 'lz4':
      return lz4Decompress(bytes, maxBytes);
    case 'zstd':
      return zstdDecompress(bytes, maxBytes);
  }
}

/**
 * Loads the optional zstd module (WASM starts asynchronously). Nothing to do on Node 22.15 and later, nor for other types.
 * @throws `UnsupportedCompressionError` where there is none to load
 */
export async function prepareCompression(type: CompressionType): Promise<void> {
  if (type === 'zstd') await prepareZstd();
}

/**
 * Loads what there is to read all types with. Where zstd has no module (Node before 22.15), whoever meets such a batch gets
 * `UnsupportedCompressionError`, and everything else works. Brokers and clients call it when they open.
 */
export async function prepareDecompression(): Promise<void> {
  try {
    await prepareZstd();
  } catch (error) {
    if (!(error instanceof UnsupportedCompressionError)) throw error;
  }
}

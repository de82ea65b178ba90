export type CompressionType = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';

/** @throws `UnsupportedCompressionError` where the machine has no such codec (zstd on Node 20 without `@foxglove/wasm-zstd`) */
export declare function compress(type: CompressionType, bytes: Uint8Array): Uint8Array;
/** Never makes more than `maxBytes`. @throws `CorruptBatchError`, `UnsupportedCompressionError` */
export declare function decompress(type: CompressionType, bytes: Uint8Array, maxBytes: number): Uint8Array;
/** Loads the optional zstd module (WASM starts asynchronously). Nothing to do on Node 22.15 and later. */
export declare function prepareCompression(type: CompressionType): Promise<void>;

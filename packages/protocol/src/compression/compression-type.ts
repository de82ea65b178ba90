/** Kafka's names, in the order of their numbers in a batch's attributes. */
export type CompressionType = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';

/** CRC-32C (Castagnoli) of `bytes[start, end)`, as an unsigned 32-bit number. */
export declare function crc32c(bytes: Uint8Array, start?: number, end?: number): number;

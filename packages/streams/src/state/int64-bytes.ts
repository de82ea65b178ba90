/** A safe integer as 8 bytes, big-endian. */
export function int64Bytes(bytes: Uint8Array, position: number, value: number): void {
  const high = Math.floor(value / 0x1_0000_0000);
  const low = value >>> 0;
  bytes[position] = high >>> 24;
  bytes[position + 1] = high >>> 16;
  bytes[position + 2] = high >>> 8;
  bytes[position + 3] = high;
  bytes[position + 4] = low >>> 24;
  bytes[position + 5] = low >>> 16;
  bytes[position + 6] = low >>> 8;
  bytes[position + 7] = low;
}

/** The inverse; not exact beyond ±2^53. */
export function readInt64(bytes: Uint8Array, position: number): number {
  const high =
    (bytes[position]! << 24) | (bytes[position + 1]! << 16) | (bytes[position + 2]! << 8) | bytes[position + 3]!;
  const low =
    (bytes[position + 4]! << 24) | (bytes[position + 5]! << 16) | (bytes[position + 6]! << 8) | bytes[position + 7]!;
  return high * 0x1_0000_0000 + (low >>> 0);
}

/**
 * Kafka's varints: seven bits a byte, lowest first, after zigzag (0, −1, 1, −2, … become 0, 1, 2, 3, …). A varlong has up to
 * ten bytes; ours go to ±2^53, as integers are numbers.
 */

/** Bytes of `value` as a zigzag varint. */
export function varintBytes(value: number): number {
  if (value >= -64 && value < 64) return 1;
  if (value >= -8192 && value < 8192) return 2;
  if (value >= -1_048_576 && value < 1_048_576) return 3;
  if (value >= -134_217_728 && value < 134_217_728) return 4;
  let bytes = 5;
  for (let limit = 17_179_869_184; value < -limit || value >= limit; limit *= 128) bytes++;
  return bytes;
}

/** Writes a safe integer. Gives the position after it. */
export function writeVarint(bytes: Uint8Array, position: number, value: number): number {
  let at = position;
  if (value >= -1_073_741_824 && value < 1_073_741_824) {
    let zigzag = (value << 1) ^ (value >> 31);
    while (zigzag >= 0x80) {
      bytes[at++] = (zigzag & 0x7f) | 0x80;
      zigzag >>>= 7;
    }
    bytes[at++] = zigzag;
    return at;
  }
  // Doubling may leave the safe integers, but stays exact: it only raises the exponent. Minus one does not, so halves are taken.
  let low = value >= 0 ? (value % 64) * 2 : ((-1 - value) % 64) * 2 + 1;
  let rest = value >= 0 ? Math.floor(value / 64) : Math.floor((-1 - value) / 64);
  while (rest > 0) {
    bytes[at++] = low | 0x80;
    low = rest % 128;
    rest = Math.floor(rest / 128);
  }
  bytes[at++] = low;
  return at;
}

/** Kafka's zigzag varints, as compaction rewrites them: seven bits a byte, lowest first. Numbers are safe integers. */

export function varintBytes(value: number): number {
  let zigzag = toZigzag(value);
  let bytes = 1;
  while (zigzag >= 0x80) {
    zigzag = Math.floor(zigzag / 0x80);
    bytes++;
  }
  return bytes;
}

/** Gives the position after it. */
export function writeVarint(bytes: Uint8Array, position: number, value: number): number {
  let zigzag = toZigzag(value);
  let at = position;
  while (zigzag >= 0x80) {
    bytes[at++] = (zigzag % 0x80) | 0x80;
    zigzag = Math.floor(zigzag / 0x80);
  }
  bytes[at++] = zigzag;
  return at;
}

/** Of the varint at a position: its value, for lengths and counts (31 bits). */
export function readVarint(bytes: Uint8Array, position: number): number {
  let zigzag = 0;
  for (let at = position, shift = 0; ; at++, shift += 7) {
    const byte = bytes[at]!;
    zigzag |= (byte & 0x7f) << shift;
    if (byte < 0x80) return (zigzag >>> 1) ^ -(zigzag & 1);
  }
}

/** The position behind the varint that begins here. */
export function skipVarint(bytes: Uint8Array, position: number): number {
  let at = position;
  while (bytes[at]! >= 0x80) at++;
  return at + 1;
}

/** Timestamps are below 2^52 by far, so that doubling stays exact. */
function toZigzag(value: number): number {
  return value >= 0 ? value * 2 : -value * 2 - 1;
}

import { malformed } from './errors.ts';

/** No copy makes more than 64 bytes of its two or three, so a block that claims more than this a byte lies. */
const maxRatio = 64;

/**
 * The length that a bare snappy block claims to inflate to, in its first one to five bytes.
 * @throws `CorruptBatchError` where so few bytes cannot hold so much
 */
export function snappyBlockBytes(block: Uint8Array): number {
  let value = 0;
  for (let i = 0; i < 5 && i < block.length; i++) {
    const byte = block[i]!;
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) {
      if (value > block.length * maxRatio) throw malformed('snappy', `${block.length} bytes claim to hold ${value}`);
      return value;
    }
  }
  throw malformed('snappy', 'it has no length in front');
}

/**
 * Inflates a bare snappy block into `out` at `start`: exactly `byteLength` bytes, as the block claims. Ours, because snappyjs
 * walks backwards (forever, if so made) on a literal whose length has its 32nd bit set.
 */
export function unsnappyBlock(
  block: Uint8Array,
  byteLength: number,
  out: Uint8Array = Buffer.allocUnsafe(byteLength),
  start = 0,
): Uint8Array {
  const end = start + byteLength;
  const blockEnd = block.length;
  let position = 1;
  while (block[position - 1]! >= 0x80) position++;
  let at = start;
  while (position < blockEnd) {
    const tag = block[position++]!;
    const kind = tag & 3;
    if (kind === 0) {
      let length = (tag >>> 2) + 1;
      if (length > 60) {
        const lengthBytes = length - 60;
        if (position + lengthBytes > blockEnd) throw malformed('snappy', 'a literal is cut off');
        length = 1;
        for (let i = 0; i < lengthBytes; i++) length += block[position++]! * 2 ** (8 * i);
      }
      if (length > blockEnd - position) throw malformed('snappy', 'a literal is cut off');
      if (length > end - at) throw malformed('snappy', 'it holds more than it claims');
      if (length > 64) out.set(block.subarray(position, position + length), at);
      else for (let i = 0; i < length; i++) out[at + i] = block[position + i]!;
      position += length;
      at += length;
      continue;
    }
    const offsetBytes = kind === 3 ? 4 : kind;
    if (position + offsetBytes > blockEnd) throw malformed('snappy', 'a copy is cut off');
    let length = (tag >>> 2) + 1;
    let offset = block[position]!;
    if (kind === 1) {
      length = ((tag >>> 2) & 7) + 4;
      offset |= (tag >>> 5) << 8;
    } else {
      offset |= block[position + 1]! << 8;
      if (kind === 3) offset += block[position + 2]! * 65_536 + block[position + 3]! * 16_777_216;
    }
    position += offsetBytes;
    if (offset === 0 || offset > at - start) throw malformed('snappy', 'a copy reaches before the start');
    if (length > end - at) throw malformed('snappy', 'it holds more than it claims');
    // Byte by byte: a copy may overlap what it writes, to repeat it.
    for (let i = 0; i < length; i++) out[at + i] = out[at + i - offset]!;
    at += length;
  }
  if (at !== end) throw malformed('snappy', `it holds ${at - start} bytes but claims ${byteLength}`);
  return out;
}

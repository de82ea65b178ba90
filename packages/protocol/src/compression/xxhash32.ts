const prime1 = 0x9e3779b1;
const prime2 = 0x85ebca77;
const prime3 = 0xc2b2ae3d;
const prime4 = 0x27d4eb2f;
const prime5 = 0x165667b1;

/** xxHash, 32 bits, seed 0, as an unsigned number: the checksum of lz4 frames. */
export function xxhash32(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  let position = start;
  let hash: number;
  if (length >= 16) {
    let a = (prime1 + prime2) | 0;
    let b = prime2 | 0;
    let c = 0;
    let d = -prime1 | 0;
    for (; position + 16 <= end; position += 16) {
      a = round(a, word(bytes, position));
      b = round(b, word(bytes, position + 4));
      c = round(c, word(bytes, position + 8));
      d = round(d, word(bytes, position + 12));
    }
    hash = rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18);
  } else {
    hash = prime5;
  }
  hash = (hash + length) | 0;
  for (; position + 4 <= end; position += 4) {
    hash = Math.imul(rotate((hash + Math.imul(word(bytes, position), prime3)) | 0, 17), prime4);
  }
  for (; position < end; position++) {
    hash = Math.imul(rotate((hash + Math.imul(bytes[position]!, prime5)) | 0, 11), prime1);
  }
  hash = Math.imul(hash ^ (hash >>> 15), prime2);
  hash = Math.imul(hash ^ (hash >>> 13), prime3);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function round(lane: number, input: number): number {
  return Math.imul(rotate((lane + Math.imul(input, prime2)) | 0, 13), prime1);
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

function word(bytes: Uint8Array, position: number): number {
  return bytes[position]! | (bytes[position + 1]! << 8) | (bytes[position + 2]! << 16) | (bytes[position + 3]! << 24);
}

import { randomBytes, randomFillSync } from 'node:crypto';

/** Chance, passed in, so that a seed replays a whole run. */
export interface Random {
  /** In [0, 1). For jitter and choices, not for secrets. */
  next(): number;
  /** `length` unpredictable bytes: ids, nonces. */
  bytes(length: number): Uint8Array;
}

/** The operating system's randomness. */
export function systemRandom(): Random {
  const pool = new Uint32Array(256);
  let used = pool.length;
  return {
    next() {
      if (used === pool.length) {
        randomFillSync(pool);
        used = 0;
      }
      return pool[used++]! / 0x1_0000_0000;
    },
    bytes: (length) => new Uint8Array(randomBytes(length)),
  };
}

/** A version 4 UUID (RFC 9562), as its 16 bytes. */
export function uuidBytes(random: Random): Uint8Array {
  const bytes = random.bytes(16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes;
}

/** A version 4 UUID in its usual spelling. */
export function uuid(random: Random): string {
  const hex = Buffer.from(uuidBytes(random)).toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

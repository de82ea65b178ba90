import { createRequire } from 'node:module';

/** CRC-32C, polynomial 0x1EDC6F41, bits reversed. Node's `zlib.crc32` is the other one, of Ethernet and gzip. */
const polynomial = 0x82f63b78;
/** Sixteen tables of 256 in one array: table k holds the CRC of a byte followed by k zero bytes. */
const tables: Int32Array = makeTables();

/**
 * Where calling into native code costs more than it saves. Measured on Node 20, in GB/s, native and ours: 256 B 2.4 and 2.15,
 * 1 KiB 5.1 and 2.3, 1 MiB 8.1 and 2.3; below, ours is as fast or faster.
 */
const nativeFromBytes = 256;
const require = createRequire(import.meta.url);
const native: ((bytes: Uint8Array) => number) | undefined = loadNative();

/** CRC-32C (Castagnoli) of `bytes[start, end)`, as an unsigned 32-bit number. */
export function crc32c(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  if (native !== undefined && end - start >= nativeFromBytes) {
    return native(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end));
  }
  return crc32cPortable(bytes, start, end);
}

/** Slicing by 16: sixteen bytes a turn, each through its own table (Kounavis and Berry, 2005). */
export function crc32cPortable(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  const t = tables;
  let crc = -1;
  let i = start;
  for (const last = end - 15; i < last; i += 16) {
    crc ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    crc =
      t[3840 + (crc & 0xff)]! ^
      t[3584 + ((crc >>> 8) & 0xff)]! ^
      t[3328 + ((crc >>> 16) & 0xff)]! ^
      t[3072 + (crc >>> 24)]! ^
      t[2816 + bytes[i + 4]!]! ^
      t[2560 + bytes[i + 5]!]! ^
      t[2304 + bytes[i + 6]!]! ^
      t[2048 + bytes[i + 7]!]! ^
      t[1792 + bytes[i + 8]!]! ^
      t[1536 + bytes[i + 9]!]! ^
      t[1280 + bytes[i + 10]!]! ^
      t[1024 + bytes[i + 11]!]! ^
      t[768 + bytes[i + 12]!]! ^
      t[512 + bytes[i + 13]!]! ^
      t[256 + bytes[i + 14]!]! ^
      t[bytes[i + 15]!]!;
  }
  for (; i < end; i++) crc = (crc >>> 8) ^ t[(crc ^ bytes[i]!) & 0xff]!;
  return ~crc >>> 0;
}

function makeTables(): Int32Array {
  const all = new Int32Array(16 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    all[byte] = crc;
  }
  for (let i = 256; i < all.length; i++) {
    const before = all[i - 256]!;
    all[i] = (before >>> 8) ^ all[before & 0xff]!;
  }
  return all;
}

/** `@node-rs/crc32` is optional: its absence on this platform is no error. */
function loadNative(): typeof native {
  try {
    return (require('@node-rs/crc32') as { readonly crc32c: (bytes: Uint8Array) => number }).crc32c;
  } catch {
    return undefined;
  }
}

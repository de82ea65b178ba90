import assert from 'node:assert/strict';
import { malformed } from './errors.ts';

const minMatch = 4;
/** The format's rules for the end of a block: the last five bytes are literals, and no match begins in the last twelve. */
const lastLiterals = 5;
const matchFindLimit = 12;
/** So that every match is in reach of two bytes. */
const maxBlockBytes = 65_536;
const hashBits = 13;
/** Where four bytes of this hash were last seen, plus one; 0 is never. Reused: compressing is synchronous. */
const table: Int32Array = new Int32Array(1 << hashBits);

/** The most that `length` incompressible bytes become. */
export function lz4BlockBound(length: number): number {
  return length + Math.ceil(length / 255) + 16;
}

/** Compresses `source[start, end)`, 64 KiB at most, into `out` at `at`, which has room for `lz4BlockBound`. Gives the end of what was written. */
export function lz4CompressBlock(source: Uint8Array, start: number, end: number, out: Uint8Array, at: number): number {
  assert(end - start <= maxBlockBytes, 'a block is no larger than its matches reach');
  let written = at;
  let anchor = start;
  const lastMatchStart = end - matchFindLimit;
  if (end - start > matchFindLimit) {
    table.fill(0);
    let position = start;
    let misses = 0;
    while (position <= lastMatchStart) {
      const bits = word(source, position);
      const slot = Math.imul(bits, 0x9e3779b1) >>> (32 - hashBits);
      const candidate = table[slot]! - 1 + start;
      table[slot] = position - start + 1;
      if (candidate < start || word(source, candidate) !== bits) {
        // The longer nothing repeats, the larger the steps: incompressible data goes by quickly.
        position += 1 + (misses++ >>> 6);
        continue;
      }
      misses = 0;
      let matchStart = position;
      let reference = candidate;
      while (matchStart > anchor && reference > start && source[matchStart - 1] === source[reference - 1]) {
        matchStart--;
        reference--;
      }
      let matchEnd = position + minMatch;
      let compared = candidate + minMatch;
      const limit = end - lastLiterals;
      while (matchEnd < limit && source[matchEnd] === source[compared]) {
        matchEnd++;
        compared++;
      }
      written = writeLiterals(source, anchor, matchStart, out, written, matchEnd - matchStart - minMatch);
      const offset = matchStart - reference;
      out[written++] = offset & 0xff;
      out[written++] = offset >>> 8;
      written = writeLengthRest(out, written, matchEnd - matchStart - minMatch);
      anchor = position = matchEnd;
    }
  }
  return writeLiterals(source, anchor, end, out, written, 0);
}

/** The token, with the match's length in its low half, then the literals. */
function writeLiterals(
  source: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  at: number,
  matchLength: number,
): number {
  const length = end - start;
  out[at] = (Math.min(length, 15) << 4) | Math.min(matchLength, 15);
  let written = writeLengthRest(out, at + 1, length);
  if (length > 32) {
    out.set(source.subarray(start, end), written);
    return written + length;
  }
  for (let i = start; i < end; i++) out[written++] = source[i]!;
  return written;
}

function writeLengthRest(out: Uint8Array, at: number, length: number): number {
  if (length < 15) return at;
  let written = at;
  let rest = length - 15;
  for (; rest >= 255; rest -= 255) out[written++] = 255;
  out[written++] = rest;
  return written;
}

function word(bytes: Uint8Array, position: number): number {
  return bytes[position]! | (bytes[position + 1]! << 8) | (bytes[position + 2]! << 16) | (bytes[position + 3]! << 24);
}

/**
 * Inflates the block `source[start, end)` into `out` at `at`, never past `limit`; matches may reach back to `historyStart`.
 * Gives the end of what was written, or −1 if there is not enough room.
 */
export function lz4DecompressBlock(
  source: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  at: number,
  limit: number,
  historyStart: number,
): number {
  let position = start;
  let written = at;
  for (;;) {
    if (position >= end) throw malformed('lz4', 'a block ends without literals');
    const token = source[position++]!;
    let length = token >>> 4;
    if (length === 15) {
      let more: number;
      do {
        if (position >= end) throw malformed('lz4', 'a length is cut off');
        more = source[position++]!;
        length += more;
      } while (more === 255);
    }
    if (length > end - position) throw malformed('lz4', 'literals are cut off');
    if (length > limit - written) return -1;
    if (length > 32) out.set(source.subarray(position, position + length), written);
    else for (let i = 0; i < length; i++) out[written + i] = source[position + i]!;
    position += length;
    written += length;
    if (position === end) return written;

    if (position + 2 > end) throw malformed('lz4', 'an offset is cut off');
    const offset = source[position]! | (source[position + 1]! << 8);
    position += 2;
    if (offset === 0 || offset > written - historyStart) throw malformed('lz4', 'a match reaches before the start');
    length = (token & 15) + minMatch;
    if ((token & 15) === 15) {
      let more: number;
      do {
        if (position >= end) throw malformed('lz4', 'a length is cut off');
        more = source[position++]!;
        length += more;
      } while (more === 255);
    }
    if (length > limit - written) return -1;
    const stop = written + length;
    if (offset >= length && length > 32) {
      out.copyWithin(written, written - offset, written - offset + length);
      written = stop;
    } else {
      // Byte by byte: a match may overlap what it writes, to repeat it.
      for (; written < stop; written++) out[written] = out[written - offset]!;
    }
  }
}

import { createRequire } from 'node:module';
import { gzipSync } from 'node:zlib';
import { isMillraceError } from '@millrace/platform';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { compress, decompress, prepareCompression, type CompressionType } from '../index.ts';
import { snappyCompress, snappyDecompress } from './snappy.ts';
import { snappyBlockBytes, unsnappyBlock } from './snappy-block.ts';
import { xxhash32 } from './xxhash32.ts';
import { scanZstd } from './zstd-frames.ts';

const require = createRequire(import.meta.url);
const snappyjs = require('snappyjs') as {
  readonly compress: (bytes: Uint8Array) => Uint8Array;
  readonly uncompress: (bytes: Uint8Array) => Uint8Array;
};
const packed: readonly CompressionType[] = ['gzip', 'snappy', 'lz4', 'zstd'];
const corrupt = expect.objectContaining({ code: 'CORRUPT_MESSAGE' });

beforeAll(() => prepareCompression('zstd'));

function hex(spelled: string): Uint8Array {
  return Uint8Array.from(Buffer.from(spelled.replaceAll(' ', ''), 'hex'));
}

function plain(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(bytes);
}

/** What it returns, or the code of what it throws. */
function outcome(task: () => unknown): string {
  try {
    return String(task());
  } catch (error) {
    return isMillraceError(error) ? error.code : String(error);
  }
}

/** Bytes with runs, repeats near and far, and noise: all that a compressor treats differently. */
const bytesArbitrary = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 100 }),
      fc.tuple(fc.nat(255), fc.nat(3000)).map(([byte, length]) => new Uint8Array(length).fill(byte)),
      fc
        .tuple(fc.uint8Array({ minLength: 1, maxLength: 20 }), fc.integer({ min: 1, max: 60 }))
        .map(([piece, count]) => {
          return Uint8Array.from(Array.from({ length: count }, () => [...piece]).flat());
        }),
    ),
    { maxLength: 12 },
  )
  .map((pieces) => plain(Buffer.concat(pieces)));

/** Larger than a block of any codec, half of it noise. */
function large(byteLength: number): Uint8Array {
  let state = 1;
  return Uint8Array.from({ length: byteLength }, (_, i) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) | 0;
    return (i >> 12) % 2 === 0 ? i % 23 : state >>> 24;
  });
}

describe.each(packed)('%s', (type) => {
  it('gives back what it took', () => {
    fc.assert(
      fc.property(bytesArbitrary, (bytes) => {
        expect(Buffer.from(bytes).equals(decompress(type, compress(type, bytes), bytes.length))).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('gives back what is larger than its blocks', () => {
    for (const byteLength of [32_767, 32_768, 32_769, 65_535, 65_536, 65_537, 1_000_003]) {
      const bytes = large(byteLength);
      expect(Buffer.from(bytes).equals(decompress(type, compress(type, bytes), byteLength)), `${byteLength}`).toBe(
        true,
      );
    }
  });

  it('makes no more than maxBytes', () => {
    for (const byteLength of [1, 2, 1000, 300_000]) {
      const compressed = compress(type, new Uint8Array(byteLength).fill(7));
      expect(decompress(type, compressed, byteLength)).toHaveLength(byteLength);
      expect(decompress(type, compressed, byteLength + 1)).toHaveLength(byteLength);
      expect(() => decompress(type, compressed, byteLength - 1), `${byteLength}`).toThrow(corrupt);
    }
  });

  it('gives nothing for nothing, within a limit of nothing', () => {
    expect(decompress(type, compress(type, new Uint8Array(0)), 0)).toHaveLength(0);
    expect(() => decompress(type, compress(type, Uint8Array.of(1)), 0)).toThrow(corrupt);
  });

  it('refuses what is cut off', () => {
    const compressed = compress(type, large(5000));
    for (let length = 1; length < compressed.length; length += 7) {
      expect(() => decompress(type, compressed.subarray(0, length), 5000), `${length} bytes`).toThrow(corrupt);
    }
  });

  it('reads or refuses whatever bytes are changed, within its limit', () => {
    fc.assert(
      fc.property(
        bytesArbitrary,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (bytes, changes) => {
          const compressed = plain(compress(type, bytes));
          for (const [at, value] of changes) compressed[at % compressed.length] = value;
          expect(outcome(() => decompress(type, compressed, 50_000).length <= 50_000)).toMatch(
            /^(true|CORRUPT_MESSAGE)$/,
          );
        },
      ),
      { numRuns: 500 },
    );
  });

  it('does not touch what it is given', () => {
    const bytes = large(1000);
    const before = bytes.slice();
    const compressed = compress(type, bytes);
    const compressedBefore = compressed.slice();
    decompress(type, compressed, 1000);
    expect(bytes).toEqual(before);
    expect(plain(compressed)).toEqual(plain(compressedBefore));
  });
});

describe('none', () => {
  it('hands bytes through, up to the limit', () => {
    const bytes = Uint8Array.of(1, 2, 3);
    expect(compress('none', bytes)).toBe(bytes);
    expect(decompress('none', bytes, 3)).toBe(bytes);
    expect(() => decompress('none', bytes, 2)).toThrow(corrupt);
  });
});

describe('gzip', () => {
  it('reads several members in a row', () => {
    const members = Buffer.concat([gzipSync('one '), gzipSync(''), gzipSync('two')]);
    expect(Buffer.from(decompress('gzip', members, 7)).toString()).toBe('one two');
    expect(() => decompress('gzip', members, 6)).toThrow(corrupt);
  });
});

describe('snappy', () => {
  const text = Buffer.from('to be or not to be, that is the question; '.repeat(40));

  it("writes snappy-java's framing: its magic, versions 1, then blocks with their length in front", () => {
    const compressed = Buffer.from(compress('snappy', text));
    expect(compressed.subarray(0, 16).toString('hex')).toBe('82534e41505059000000000100000001');
    expect(compressed.readInt32BE(16)).toBe(compressed.length - 20);
    expect(Buffer.from(snappyjs.uncompress(compressed.subarray(20))).equals(text)).toBe(true);
  });

  it('reads a bare block, as librdkafka writes it', () => {
    expect(Buffer.from(decompress('snappy', snappyjs.compress(text), text.length)).equals(text)).toBe(true);
    expect(() => decompress('snappy', snappyjs.compress(text), text.length - 1)).toThrow(corrupt);
  });

  it('reads streams that follow each other', () => {
    const twice = Buffer.concat([compress('snappy', text), compress('snappy', text)]);
    expect(Buffer.from(decompress('snappy', twice, 2 * text.length)).equals(Buffer.concat([text, text]))).toBe(true);
  });

  it('reads without the native module what was written with it, and the other way round', () => {
    for (const bytes of [new Uint8Array(0), text, large(100_000)]) {
      const [native, portable] = [snappyCompress(bytes), snappyCompress(bytes, null)];
      for (const compressed of [native, portable]) {
        for (const inflated of [
          snappyDecompress(compressed, bytes.length),
          snappyDecompress(compressed, bytes.length, null),
        ]) {
          expect(Buffer.from(bytes).equals(inflated)).toBe(true);
        }
      }
    }
    expect(Buffer.from(snappyDecompress(snappyjs.compress(text), text.length, null)).equals(text)).toBe(true);
    expect(() => snappyDecompress(snappyCompress(text), text.length - 1, null)).toThrow(corrupt);
  });

  it('inflates blocks in TypeScript as snappyjs and the native module pack them', () => {
    fc.assert(
      fc.property(bytesArbitrary, (bytes) => {
        for (const block of [snappyjs.compress(bytes), plain(compress('snappy', bytes)).subarray(20)]) {
          if (block.length === 0) continue;
          expect(Buffer.from(bytes).equals(unsnappyBlock(block, snappyBlockBytes(block)))).toBe(true);
        }
      }),
    );
    const far = large(70_000);
    expect(Buffer.from(far).equals(unsnappyBlock(snappyjs.compress(far), 70_000))).toBe(true);
  });

  it('reads every kind of element', () => {
    const read = (block: string) => Buffer.from(unsnappyBlock(hex(block), snappyBlockBytes(hex(block)))).toString();
    expect(read('04 0c 61626364')).toBe('abcd');
    expect(read('08 04 6162 09 02')).toBe('abababab');
    expect(read('08 04 6162 16 0200')).toBe('abababab');
    expect(read('08 04 6162 17 02000000')).toBe('abababab');
    expect(read('05 f004 6162636465')).toBe('abcde');
    expect(read('05 f40400 6162636465')).toBe('abcde');
    expect(read('05 f8040000 6162636465')).toBe('abcde');
    expect(read('05 fc04000000 6162636465')).toBe('abcde');
  });

  it.each([
    ['nothing', ''],
    ['a length without end', 'ffffffffff'],
    ['a length that so few bytes cannot hold', 'ffff0f 04 6162'],
    ['a literal of 2^31 bytes, on which snappyjs walks backwards', '05 fcffffff7f 6162636465'],
    ['a literal of 2^32 bytes', '05 fcffffffff 6162636465'],
    ['a literal that is cut off', '05 10 61626364'],
    ['a literal length that is cut off', '05 f4 04'],
    ['more than it claims', '03 0c 61626364'],
    ['less than it claims', '05 0c 61626364'],
    ['a copy that is cut off', '08 04 6162 16 02'],
    ['a copy of offset 0', '08 04 6162 16 0000'],
    ['a copy from before the start', '08 04 6162 16 0300'],
    ['a copy beyond what it claims', '07 04 6162 16 0200'],
  ])('refuses %s', (_what, block) => {
    expect(() => unsnappyBlock(hex(block), snappyBlockBytes(hex(block)))).toThrow(corrupt);
    expect(() => decompress('snappy', hex(block), 100_000)).toThrow(corrupt);
  });

  it('refuses framing that lies', () => {
    const header = '82534e4150505900 00000001 00000001';
    for (const rest of ['00', '00000005 03 08 616263 00', 'ffffffff 03 08 616263', '00000009 03 08 616263']) {
      expect(() => decompress('snappy', hex(`${header} ${rest}`), 1000), rest).toThrow(corrupt);
    }
    expect(() => decompress('snappy', hex('82534e4150505900 00000001'), 1000)).toThrow(corrupt);
  });
});

describe('lz4', () => {
  it("writes the frame that Java's reader takes: independent blocks of 64 KiB, no checksums", () => {
    const compressed = Buffer.from(compress('lz4', Buffer.from('abc')));
    // Twelve bytes and fewer are literals only, and stored as they are once the token makes them longer.
    expect(compressed.toString('hex')).toBe('04224d18' + '604082' + '03000080' + '616263' + '00000000');
  });

  it('ends a block on five literals, as the format demands', () => {
    // A literal, a match of 94 that overlaps itself, five literals.
    const block = '1f 61 0100 4b 50 6161616161'.replaceAll(' ', '');
    expect(Buffer.from(compress('lz4', Buffer.alloc(100, 'a'))).toString('hex')).toBe(
      `04224d18604082${'0b000000'}${block}00000000`,
    );
  });

  it('begins no match in the last twelve bytes of a block, as the format demands', () => {
    const sizeOf = (text: string): string => Buffer.from(compress('lz4', Buffer.from(text))).toString('hex', 7, 11);
    expect(sizeOf('abcdefgh' + 'abcdefghijkl')).toBe('11000000'); // a match of seven, twelve bytes before the end
    expect(sizeOf('abcdefghi' + 'abcdefghijk')).toBe('14000080'); // stored as it is
  });

  it('reads a block by hand: literals, a match that overlaps itself, last literals', () => {
    const frame = '04224d18 604082 0a000000 15 61 0100 50 6263646566 00000000';
    expect(Buffer.from(decompress('lz4', hex(frame), 100)).toString()).toBe('a'.repeat(10) + 'bcdef');
  });

  const header = (flags: number, block = 0x40, rest: readonly number[] = []): string => {
    const descriptor = Uint8Array.of(flags, block, ...rest);
    const checksum = (xxhash32(descriptor, 0, descriptor.length) >>> 8) & 0xff;
    return Buffer.from([0x04, 0x22, 0x4d, 0x18, ...descriptor, checksum]).toString('hex');
  };
  const stored = '03000080 616263';
  const read = (frame: string) => Buffer.from(decompress('lz4', hex(frame), 1000)).toString();

  it('knows the checksum of the usual header', () => {
    expect(header(0x60)).toBe('04224d18604082');
  });

  it('steps over content size and the checksums of blocks and content', () => {
    expect(read(`${header(0x68, 0x40, [3, 0, 0, 0, 0, 0, 0, 0])} ${stored} 00000000`)).toBe('abc');
    expect(read(`${header(0x70)} ${stored} 11111111 ${stored} 22222222 00000000`)).toBe('abcabc');
    expect(read(`${header(0x64)} ${stored} 00000000 33333333`)).toBe('abc');
  });

  it('reads several frames, and skips those to be skipped', () => {
    expect(read(`${header(0x60)} ${stored} 00000000 5a2a4d18 02000000 ffff ${header(0x60)} ${stored} 00000000`)).toBe(
      'abcabc',
    );
  });

  it('reads linked blocks, whose matches reach into the ones before, and refuses such reach in independent ones', () => {
    const linked = `${header(0x40)} ${stored} 08000000 00 0300 40 78797a77 00000000`;
    expect(read(linked)).toBe('abc' + 'abca' + 'xyzw');
    expect(() => read(linked.replace(header(0x40), header(0x60)))).toThrow(corrupt);
  });

  it('does not reach into a frame before', () => {
    const frames = `${header(0x40)} ${stored} 00000000 ${header(0x40)} 08000000 00 0300 40 78797a77 00000000`;
    expect(() => read(frames)).toThrow(corrupt);
  });

  it.each([
    ['another magic', '04224d19 604082 00000000'],
    ['a wrong header checksum', '04224d18 604083 00000000'],
    ['another version', `${header(0xa0)} 00000000`],
    ['an unknown block size', `${header(0x60, 0x30)} 00000000`],
    ['a dictionary', `${header(0x61, 0x40, [1, 0, 0, 0])} 00000000`],
    ['a block above the size of its frame', `${header(0x60)} 01000180 ${'00'.repeat(65_537)} 00000000`],
    ['an offset of 0', `${header(0x60)} 0a000000 15 61 0000 50 6263646566 00000000`],
    ['an offset before the start', `${header(0x60)} 0a000000 15 61 0200 50 6263646566 00000000`],
    ['an offset that is cut off', `${header(0x60)} 03000000 15 61 01 00000000`],
    ['a block that ends on a match', `${header(0x60)} 04000000 15 61 0100 00000000`],
    ['a literal length that is cut off', `${header(0x60)} 02000000 f0 ff 00000000`],
    ['a match length that is cut off', `${header(0x60)} 05000000 1f 61 0100 ff 00000000`],
  ])('refuses %s', (_what, frame) => {
    expect(() => read(frame)).toThrow(corrupt);
  });

  it('refuses a block that inflates beyond the size of its frame', () => {
    // 65 500 zeros and more from one match.
    const block = (extra: number) =>
      `1f 00 0100 ${'ff'.repeat(256)} ${extra.toString(16).padStart(2, '0')} 50 0000000000`;
    const frame = (extra: number) => `${header(0x60)} 0b010000 ${block(extra)} 00000000`;
    const inflatedBytes = (extra: number) => 1 + 4 + 15 + 256 * 255 + extra + 5;
    expect(decompress('lz4', hex(frame(0xe7)), 1e6)).toHaveLength(inflatedBytes(0xe7));
    expect(inflatedBytes(0xe7)).toBe(65_536);
    expect(() => decompress('lz4', hex(frame(0xe8)), 1e6)).toThrow(corrupt);
  });
});

describe('xxhash32', () => {
  it('gives the values of the reference', () => {
    const of = (text: string) => xxhash32(Buffer.from(text), 0, text.length);
    expect(of('')).toBe(0x02cc5d05);
    expect(of('a')).toBe(0x550d7456);
    expect(of('abc')).toBe(0x32d153ff);
    expect(of('Nobody inspects the spammish repetition')).toBe(0xe2293b2f);
  });
});

describe('zstd', () => {
  const text = Buffer.from('the quick brown fox '.repeat(50));

  it('reads several frames, and skips those to be skipped', () => {
    const one = compress('zstd', text);
    const skipped = hex('502a4d18 03000000 aabbcc');
    const frames = Buffer.concat([skipped, one, one, skipped]);
    expect(Buffer.from(decompress('zstd', frames, 2 * text.length)).equals(Buffer.concat([text, text]))).toBe(true);
    expect(() => decompress('zstd', frames, 2 * text.length - 1)).toThrow(corrupt);
    expect(scanZstd(frames)).toHaveLength(2);
  });

  it('reads a frame without content size, as streaming writers make it', () => {
    // Window descriptor, a stored block, a block of one byte repeated, and a checksum flag left off (RFC 8878).
    const frame = '28b52ffd 00 58 180000 616263 2b0000 7a';
    expect(Buffer.from(decompress('zstd', hex(frame), 8)).toString()).toBe('abczzzzz');
    expect(() => decompress('zstd', hex(frame), 7)).toThrow(corrupt);
  });

  it('refuses frames that are no frames', () => {
    for (const frame of [
      '28b52ffe 00 58 010000',
      '28b52ffd 00 58 070000',
      '28b52ffd 00 58',
      '28b52ffd 00 58 190000 6162',
    ]) {
      expect(() => decompress('zstd', hex(frame), 100), frame).toThrow(corrupt);
    }
  });

  it('takes no memory for a content size that is only claimed', () => {
    const before = process.memoryUsage().arrayBuffers;
    // Single segment, content size of 2^31 bytes, one stored block of a byte.
    expect(() => decompress('zstd', hex('28b52ffd a0 00000080 090000 61'), 2 ** 31)).toThrow(corrupt);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(10_000_000);
  });
});

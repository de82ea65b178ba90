import { describe, expect, it } from 'vitest';
import { crc32c, crc32cPortable } from './crc32c.ts';

const ascending = Uint8Array.from({ length: 32 }, (_, i) => i);

describe.each([
  ['crc32c', crc32c],
  ['crc32cPortable', crc32cPortable],
])('%s', (_name, crc) => {
  it('gives the values of RFC 3720, appendix B.4', () => {
    expect(crc(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
    expect(crc(ascending)).toBe(0x46dd794e);
    expect(crc(ascending.toReversed())).toBe(0x113fdb5c);
    const command =
      '01c00000 00000000 00000000 00000000 14000000 00000400 00000014 00000018 28000000 00000000 02000000 00000000';
    expect(crc(Buffer.from(command.replaceAll(' ', ''), 'hex'))).toBe(0xd9963a56);
  });

  it('gives the check value of the catalogue, and 0 for nothing', () => {
    expect(crc(Buffer.from('123456789'))).toBe(0xe3069283);
    expect(crc(new Uint8Array(0))).toBe(0);
  });

  it('covers only the range asked for', () => {
    const padded = Buffer.concat([Buffer.from('xx'), Buffer.from('123456789'), Buffer.from('yyy')]);
    expect(crc(padded, 2, 11)).toBe(0xe3069283);
    expect(crc(padded, 5, 5)).toBe(0);
  });
});

it('is the same natively and in TypeScript, at every length around the blocks and the switch between them', () => {
  const bytes = Uint8Array.from({ length: 600 }, (_, i) => (i * 131 + (i >> 3)) & 0xff);
  for (let length = 0; length <= bytes.length; length++) {
    const start = length % 7;
    expect(crc32c(bytes, start, Math.max(length, start)), `${length}`).toBe(
      crc32cPortable(bytes, start, Math.max(length, start)),
    );
  }
});

it('is exactly one bit-by-bit division, over a range past the native switch', () => {
  const bytes = Uint8Array.from({ length: 300 }, (_, i) => (i * 59) & 0xff);
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  expect(crc32c(bytes)).toBe(~crc >>> 0);
});

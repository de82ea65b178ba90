import { expect, it } from 'vitest';
import { PackBuffer, PackBuffers, type PackedWrite } from './pack-buffer.ts';

function write(key: string | Buffer, value: string | Uint8Array | null, startMs = 0): PackedWrite {
  return {
    startMs,
    key: Buffer.from(key as string),
    value: typeof value === 'string' ? Buffer.from(value) : value,
    timestampMs: 0x0102,
  };
}
const time = '0000000000000102';

it('packs fields with values and deleted fields, as the MessagePack specification writes them', () => {
  const pack = new PackBuffer(64);
  const written = pack.pack([write('a', '1'), write('gone', null), write(Buffer.of(0, 0x6f), '')], false);
  expect(pack.slice(written).toString('hex')).toBe(
    '92' + // [
      `94a161a9${time}31a300006fa8${time}` + //   ["a", time ‖ "1", "\0\0o", time ‖ ""],
      '91a4676f6e65', //   ["gone"]]
  );
});

it('keeps the last write of a key, whether it sets or deletes', () => {
  const pack = new PackBuffer(64);
  const writes = [write('a', '1'), write('b', null), write('a', null), write('b', '2'), write('b', '3')];
  expect(pack.slice(pack.pack(writes, false)).toString('hex')).toBe(`92` + `92a162a9${time}33` + `91a161`);
  expect(pack.slice(pack.pack([write('a', '1', 1), write('a', null, 2)], true)).toString('hex')).toBe(
    `92` + `92a9000000000000000161a9${time}31` + `91a9000000000000000261`,
  );
});

it('begins the fields of windows with their start', () => {
  const pack = new PackBuffer(64);
  const written = pack.pack([write(Buffer.of(0), '1', 60_000), write('b', null, -1)], true);
  expect(pack.slice(written).toString('hex')).toBe(`9292a9000000000000ea6000a9${time}31` + '91a9ffffffffffffffff62');
});

it.each([
  [31, 'bf'],
  [32, 'd920'],
  [255, 'd9ff'],
  [256, 'da0100'],
  [65_535, 'daffff'],
  [65_536, 'db00010000'],
])('writes a string of %i bytes with the shortest header', (length, header) => {
  const pack = new PackBuffer(16);
  const value = new Uint8Array(length - 8).fill(7);
  expect(pack.slice(pack.pack([write('k', value)], false)).toString('hex')).toBe(
    `9292a16b${header}${time}${Buffer.from(value).toString('hex')}90`,
  );
});

it.each([
  [7, '9e', '97'],
  [8, 'dc0010', '98'],
  [16, 'dc0020', 'dc0010'],
])('counts %i fields and as many deleted ones', (count, fields, deleted) => {
  const pack = new PackBuffer(16);
  const writes = Array.from({ length: 2 * count }, (_, i) => write(Buffer.of(i + 1), i < count ? '' : null));
  const keys = writes.map(({ key }) => `a1${Buffer.from(key).toString('hex')}`);
  const pairs = keys.slice(0, count).map((key) => `${key}a8${time}`);
  expect(pack.slice(pack.pack(writes, false)).toString('hex')).toBe(
    `92${fields}${pairs.join('')}${deleted}${keys.slice(count).join('')}`,
  );
});

it('keeps earlier slices when a later one outgrows the memory', () => {
  const pack = new PackBuffer(16);
  const first = pack.pack([write('a', '1')], false);
  const second = pack.pack([write('b', new Uint8Array(100))], false);
  expect(pack.slice(first).toString('hex')).toBe(`9292a161a9${time}3190`);
  expect(pack.slice(second).subarray(0, 4).toString('hex')).toBe('9292a162');
});

it('lends a buffer again only after it was given back', () => {
  const buffers = new PackBuffers();
  const first = buffers.take();
  expect(buffers.take()).not.toBe(first);
  first.pack([write('a', '1')], false);
  buffers.give(first);
  const again = buffers.take();
  expect(again).toBe(first);
  expect(again.pack([write('b', null)], false)).toEqual({ start: 0, end: 5 });
});

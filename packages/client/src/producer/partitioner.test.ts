import { expect, it } from 'vitest';
import { murmur2, partitionOf } from './partitioner.ts';

it("hashes as Kafka's own test of murmur2 has it (UtilsTest)", () => {
  const expected: Readonly<Record<string, number>> = {
    '21': -973932308,
    foobar: -790332482,
    'a-little-bit-long-string': -985981536,
    'a-little-bit-longer-string': -1486304829,
    lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8: -58897971,
    abc: 479470107,
  };
  for (const [text, hash] of Object.entries(expected)) expect(murmur2(Buffer.from(text)), text).toBe(hash);
});

it('puts keys where librdkafka puts them (2.0.2, murmur2_random, 97 partitions), of any length and beyond ASCII', () => {
  const expected: Readonly<Record<string, number>> = { z: 1, aa: 0, é日: 1, '~~z𝄞': 1, '000é𝄞ß': 1, 'ßß𝄞éßéa': 0 };
  for (const [key, partition] of Object.entries(expected))
    expect(partitionOf(Buffer.from(key), 97), key).toBe(partition);
});

it('gives a partition for a hash of either sign', () => {
  expect(partitionOf(Buffer.from('21'), 7)).toBe((-973932308 & 0x7fffffff) % 7);
  expect(partitionOf(Buffer.from('abc'), 7)).toBe(479470107 % 7);
  expect(partitionOf(Buffer.from('abc'), 1)).toBe(0);
});

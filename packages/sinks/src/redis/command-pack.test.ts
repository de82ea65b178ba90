import { recordHeaders } from '@millrace/serde';
import { expect, it } from 'vitest';
import { packCommands, type RedisCommand } from './command-pack.ts';

it('packs commands by source offset, as the MessagePack specification writes them', () => {
  const recordOf = (offset: number, value: readonly RedisCommand[]) => ({
    key: 'k',
    value,
    timestampMs: 0,
    headers: recordHeaders(),
    offset,
    ordinal: 0,
  });
  const packed = packCommands(
    'sink',
    [recordOf(5, [['SET', 'k', Uint8Array.of(0, 255)]]), recordOf(5, [['INCRBY', 'é', 1.5]]), recordOf(9, [])],
    (commands) => commands,
  );
  const text = (hex: string): string => `db${(hex.length / 2).toString(16).padStart(8, '0')}${hex}`;
  const ascii = (value: string): string => text(Buffer.from(value).toString('hex'));
  const array = (count: number): string => `dd${count.toString(16).padStart(8, '0')}`;
  expect(packed.toString('hex')).toBe(
    array(4) +
      ascii('5') +
      array(2) +
      (array(3) + ascii('SET') + ascii('k') + text('00ff')) +
      (array(3) + ascii('INCRBY') + text('c3a9') + ascii('1.5')) +
      ascii('9') +
      array(0),
  );
});

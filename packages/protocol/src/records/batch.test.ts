import { describe, expect, it } from 'vitest';
import {
  attributesOf,
  crc32c,
  readBatchHeader,
  RecordBatchWriter,
  setBaseOffset,
  setLogAppendTime,
  setPartitionLeaderEpoch,
  validateBatch,
} from '../index.ts';

/**
 * One record (key `k`, value `v`, header `h` = `x`, at 1 700 000 000 000) as Kafka's documentation lays it out, each field by
 * hand. The CRC is computed over the rest.
 */
const goldenHex = [
  '0000000000000000', // baseOffset
  '0000003e', // batchLength: 49 of the header and 13 of the record
  'ffffffff', // partitionLeaderEpoch
  '02', // magic
  '00000000', // crc, set below
  '0000', // attributes
  '00000000', // lastOffsetDelta
  '0000018bcfe56800', // baseTimestamp
  '0000018bcfe56800', // maxTimestamp
  '0000000000000007', // producerId
  '0002', // producerEpoch
  '00000005', // baseSequence
  '00000001', // recordCount
  '18', // length of the record: 12
  '00', // attributes
  '00', // timestampDelta
  '00', // offsetDelta
  '02',
  '6b', // key
  '02',
  '76', // value
  '02', // headers
  '02',
  '68', // name
  '02',
  '78', // value
].join('');

function golden(): Buffer {
  const bytes = Buffer.from(goldenHex, 'hex');
  bytes.writeUInt32BE(crc32c(bytes, 21), 17);
  return bytes;
}

function batch(values: readonly string[] = ['a', 'bc']): Uint8Array {
  const writer = new RecordBatchWriter();
  for (const [i, value] of values.entries()) writer.append(1000 + i, null, Buffer.from(value));
  return writer.close({});
}

describe('the layout', () => {
  it('is written as Kafka documents it', () => {
    const writer = new RecordBatchWriter();
    writer.append(1_700_000_000_000, Buffer.from('k'), Buffer.from('v'), [['h', Buffer.from('x')]]);
    const bytes = writer.close({ producerId: 7, producerEpoch: 2, baseSequence: 5 });
    expect(Buffer.from(bytes).toString('hex')).toBe(golden().toString('hex'));
    expect(writer.sizeBytes).toBe(bytes.length);
  });

  it('is read field by field, wherever the batch lies', () => {
    const padded = Buffer.concat([Buffer.alloc(5, 0xee), golden(), Buffer.alloc(3, 0xee)]).subarray(2);
    expect(readBatchHeader(padded, 3)).toEqual({
      baseOffset: 0,
      sizeBytes: 74,
      partitionLeaderEpoch: -1,
      magic: 2,
      crc: golden().readUInt32BE(17),
      attributes: 0,
      lastOffsetDelta: 0,
      baseTimestamp: 1_700_000_000_000,
      maxTimestamp: 1_700_000_000_000,
      producerId: 7,
      producerEpoch: 2,
      baseSequence: 5,
      recordCount: 1,
    });
    expect(validateBatch(padded, 3)).toEqual(readBatchHeader(padded, 3));
  });
});

describe('attributes', () => {
  it('hold compression, type of time, transactional, control, delete horizon', () => {
    const read = (attributes: number) => [
      attributesOf.compression(attributes),
      attributesOf.isLogAppendTime(attributes),
      attributesOf.isTransactional(attributes),
      attributesOf.isControl(attributes),
      attributesOf.hasDeleteHorizon(attributes),
    ];
    expect(read(0)).toEqual(['none', false, false, false, false]);
    expect(read(0x08 | 1)).toEqual(['gzip', true, false, false, false]);
    expect(read(0x10 | 2)).toEqual(['snappy', false, true, false, false]);
    expect(read(0x20 | 3)).toEqual(['lz4', false, false, true, false]);
    expect(read(0x40 | 4)).toEqual(['zstd', false, false, false, true]);
  });

  it('refuse the compression types that Kafka does not have', () => {
    for (const type of [5, 6, 7]) {
      expect(() => attributesOf.compression(type)).toThrow(
        expect.objectContaining({ code: 'UNSUPPORTED_COMPRESSION_TYPE' }),
      );
    }
  });
});

describe('validateBatch', () => {
  const corrupt = expect.objectContaining({ code: 'CORRUPT_MESSAGE' });

  it('refuses a batch that is cut off anywhere', () => {
    const whole = batch();
    for (let length = 0; length < whole.length; length++) {
      expect(() => validateBatch(whole.slice(0, length), 0), `${length} bytes`).toThrow(corrupt);
    }
    expect(validateBatch(whole, 0).recordCount).toBe(2);
  });

  it('finds every bit that is flipped from the attributes on', () => {
    const whole = batch();
    for (let position = 21; position < whole.length; position++) {
      for (let bit = 0; bit < 8; bit++) {
        const harmed = whole.slice();
        harmed[position]! ^= 1 << bit;
        expect(() => validateBatch(harmed, 0), `byte ${position}, bit ${bit}`).toThrow(corrupt);
      }
    }
  });

  it('refuses a length below that of the header, or negative', () => {
    for (const length of [48, 0, -1, -2_147_483_648]) {
      const harmed = Buffer.from(batch());
      harmed.writeInt32BE(length, 8);
      expect(() => validateBatch(harmed, 0), `${length}`).toThrow(corrupt);
    }
  });

  it('refuses magic 0 and 1 by their name, and others as damage', () => {
    for (const magic of [0, 1]) {
      // Such a message may well be shorter than a header of magic 2.
      const old = Buffer.alloc(34);
      old[16] = magic;
      expect(() => validateBatch(old, 0)).toThrow(
        expect.objectContaining({ code: 'UNSUPPORTED_FOR_MESSAGE_FORMAT', context: { magic, position: 0 } }),
      );
    }
    const harmed = Buffer.from(batch());
    harmed[16] = 3;
    expect(() => validateBatch(harmed, 0)).toThrow(corrupt);
  });

  it('refuses integers beyond ±(2^53−1)', () => {
    for (const position of [0, 27, 35, 43]) {
      const harmed = Buffer.from(batch());
      harmed.writeBigInt64BE(2n ** 53n, position);
      expect(() => validateBatch(harmed, 0), `byte ${position}`).toThrow(corrupt);
    }
  });

  it('refuses a position outside the bytes', () => {
    expect(() => readBatchHeader(batch(), -1)).toThrow(corrupt);
    expect(() => readBatchHeader(batch(), 100_000)).toThrow(corrupt);
  });
});

describe('patches', () => {
  it('offset and leader epoch leave the CRC as it is', () => {
    const bytes = Buffer.concat([Buffer.alloc(4), batch()]);
    setBaseOffset(bytes, 4, 2 ** 40 + 3);
    setPartitionLeaderEpoch(bytes, 4, 9);
    expect(validateBatch(bytes, 4)).toMatchObject({ baseOffset: 2 ** 40 + 3, partitionLeaderEpoch: 9 });
    expect(bytes.readBigInt64BE(4)).toBe(2n ** 40n + 3n);
  });

  it('log-append time sets the time of all, and the CRC again', () => {
    const bytes = Buffer.concat([Buffer.alloc(4), batch()]);
    setLogAppendTime(bytes, 4, 1_800_000_000_000);
    const header = validateBatch(bytes, 4);
    expect(header).toMatchObject({ maxTimestamp: 1_800_000_000_000, baseTimestamp: 1000 });
    expect(attributesOf.isLogAppendTime(header.attributes)).toBe(true);
  });
});

import { isMillraceError } from '@millrace/platform';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compress,
  endTransactionRecord,
  prepareCompression,
  RecordBatchWriter,
  RecordReader,
  setBaseOffset,
  setLogAppendTime,
  transactionMarkerOf,
  validateBatch,
  type CloseBatchOptions,
  type CompressionType,
  type HeaderEntry,
} from '../index.ts';

interface Entry {
  readonly timestampMs: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly HeaderEntry[];
}

const types: readonly CompressionType[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];
const corrupt = expect.objectContaining({ code: 'CORRUPT_MESSAGE' });

function text(value: string): Uint8Array {
  return Uint8Array.from(Buffer.from(value));
}

function entry(
  timestampMs: number,
  key: string | null,
  value: string | null,
  headers: readonly HeaderEntry[] = [],
): Entry {
  return { timestampMs, key: key === null ? null : text(key), value: value === null ? null : text(value), headers };
}

function written(entries: readonly Entry[], options: CloseBatchOptions = {}): Uint8Array {
  const writer = new RecordBatchWriter({ initialBytes: 64 });
  for (const { timestampMs, key, value, headers } of entries) writer.append(timestampMs, key, value, headers);
  return writer.close(options);
}

function readAll(reader: RecordReader, bytes: Uint8Array, position = 0): (Entry & { readonly offset: number })[] {
  reader.reset(bytes, position);
  const entries: (Entry & { readonly offset: number })[] = [];
  while (reader.next()) {
    const { offset, timestampMs, key, value } = reader;
    entries.push({ offset, timestampMs, key, value, headers: reader.headers() });
  }
  return entries;
}

/** Whether it reads, or the code of what it throws. */
function outcome(read: () => unknown): string {
  try {
    read();
    return 'read';
  } catch (error) {
    return isMillraceError(error) ? error.code : String(error);
  }
}

const bytesArbitrary = fc.option(fc.uint8Array({ maxLength: 200 }), { nil: null });
const entryArbitrary = fc.record(
  {
    timestampMs: fc.oneof(fc.integer({ min: 0, max: 2 ** 42 }), fc.constantFrom(-1, 0, 2 ** 52 - 1, -(2 ** 52))),
    key: bytesArbitrary,
    value: bytesArbitrary,
    headers: fc.array(
      fc.tuple(fc.string({ unit: 'grapheme', maxLength: 20 }), bytesArbitrary) as fc.Arbitrary<HeaderEntry>,
      { maxLength: 3 },
    ),
  },
  { noNullPrototype: true },
);

describe.each(types)('records with compression %s', (compression) => {
  it('are read back as they were written, by one reader for all batches', async () => {
    await prepareCompression(compression);
    const reader = new RecordReader();
    fc.assert(
      fc.property(fc.array(entryArbitrary, { minLength: 1, maxLength: 20 }), fc.nat(2 ** 40), (entries, baseOffset) => {
        const padded = Buffer.concat([Buffer.alloc(9), written(entries, { compression, baseOffset })]);
        const header = validateBatch(padded, 9);
        expect(header).toMatchObject({
          recordCount: entries.length,
          lastOffsetDelta: entries.length - 1,
          baseTimestamp: entries[0]!.timestampMs,
          maxTimestamp: Math.max(-1, ...entries.map(({ timestampMs }) => timestampMs)),
        });
        expect(readAll(reader, padded, 9)).toEqual(entries.map((each, i) => ({ offset: baseOffset + i, ...each })));
      }),
      { numRuns: 60 },
    );
  });

  it('are read or refused with a CorruptBatchError, whatever bytes of theirs are changed', async () => {
    await prepareCompression(compression);
    const reader = new RecordReader({ maxInflatedBytes: 100_000 });
    fc.assert(
      fc.property(
        fc.array(entryArbitrary, { minLength: 1, maxLength: 8 }),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (entries, changes) => {
          const bytes = Uint8Array.from(written(entries, { compression }));
          for (const [at, value] of changes) bytes[61 + (at % (bytes.length - 61))] = value;
          expect(outcome(() => readAll(reader, bytes))).toMatch(/^(read|CORRUPT_MESSAGE)$/);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('are refused above maxInflatedBytes, and read at it', async () => {
    await prepareCompression(compression);
    const bytes = written([entry(0, null, 'x'.repeat(5000))], { compression });
    const inflatedBytes = written([entry(0, null, 'x'.repeat(5000))]).length - 61;
    expect(readAll(new RecordReader({ maxInflatedBytes: inflatedBytes }), bytes)).toHaveLength(1);
    // What is not compressed is in memory already: no limit applies.
    if (compression === 'none') return;
    expect(() => new RecordReader({ maxInflatedBytes: inflatedBytes - 1 }).reset(bytes, 0)).toThrow(corrupt);
  });
});

describe('RecordReader', () => {
  it('gives keys and values as views on the batch, and their positions', () => {
    const bytes = written([entry(5, 'key', 'value'), entry(6, null, ''), entry(7, '', null)]);
    const reader = new RecordReader();
    reader.reset(bytes, 0);
    expect(reader.next()).toBe(true);
    expect(reader.key!.buffer).toBe(bytes.buffer);
    expect(reader.bytes).toBe(bytes);
    expect([reader.keyLength, reader.valueLength, reader.headerCount]).toEqual([3, 5, 0]);
    const at = (position: number, length: number) => Buffer.from(bytes.slice(position, position + length)).toString();
    expect(at(reader.keyPosition, 3) + at(reader.valuePosition, 5)).toBe('keyvalue');
    expect(reader.next()).toBe(true);
    expect([reader.key, reader.keyLength, reader.value, reader.valueLength]).toEqual([null, -1, new Uint8Array(0), 0]);
    expect(reader.next()).toBe(true);
    expect([reader.key, reader.keyLength, reader.value, reader.valueLength]).toEqual([new Uint8Array(0), 0, null, -1]);
    expect([reader.next(), reader.next()]).toEqual([false, false]);
  });

  it('gives every record the maximum with log-append time', () => {
    const bytes = written([entry(1000, null, 'a'), entry(1001, null, 'b')]);
    setLogAppendTime(bytes, 0, 5000);
    expect(readAll(new RecordReader(), bytes).map(({ timestampMs }) => timestampMs)).toEqual([5000, 5000]);
  });

  it('counts offsets from the base that the broker set', () => {
    const bytes = written([entry(0, null, 'a'), entry(0, null, 'b')]);
    setBaseOffset(bytes, 0, 2 ** 45);
    expect(readAll(new RecordReader(), bytes).map(({ offset }) => offset)).toEqual([2 ** 45, 2 ** 45 + 1]);
  });

  it('reads a batch that compaction emptied: no records, its last offset kept', () => {
    const writer = new RecordBatchWriter();
    const bytes = writer.close({ baseOffset: 40, lastOffsetDelta: 9, maxTimestampMs: 77, producerId: 3 });
    expect(validateBatch(bytes, 0)).toMatchObject({
      baseOffset: 40,
      lastOffsetDelta: 9,
      baseTimestamp: -1,
      maxTimestamp: 77,
      recordCount: 0,
      producerId: 3,
    });
    const reader = new RecordReader();
    expect(readAll(reader, bytes)).toEqual([]);
    expect(reader.header.lastOffsetDelta).toBe(9);
  });

  it('may ask for headers late or not at all, and goes on from the right place', () => {
    const headers: HeaderEntry[] = [
      ['name', text('1')],
      ['name', null],
      ['ÜÄ'.repeat(20), text('')],
    ];
    const bytes = written([entry(0, 'a', '1', headers), entry(0, 'b', '2', headers), entry(0, 'c', '3')]);
    const reader = new RecordReader();
    reader.reset(bytes, 0);
    reader.next();
    reader.next();
    expect(reader.headerCount).toBe(3);
    expect(reader.headers()).toEqual(headers);
    expect(reader.headers()).toEqual(headers);
    reader.next();
    expect([Buffer.from(reader.key!).toString(), reader.headers()]).toEqual(['c', []]);
  });

  describe('refuses', () => {
    /** Bytes of records behind a header that counts them. */
    function crafted(recordsHex: string, recordCount: number, lastOffsetDelta = recordCount - 1): Uint8Array {
      const head = Buffer.from(written([])).subarray(0, 61);
      const bytes = Buffer.concat([head, Buffer.from(recordsHex.replaceAll(' ', ''), 'hex')]);
      bytes.writeInt32BE(bytes.length - 12, 8);
      bytes.writeInt32BE(lastOffsetDelta, 23);
      bytes.writeInt32BE(recordCount, 57);
      return bytes;
    }
    const good = '0c 00 00 00 01 01 00';
    const read = (recordsHex: string, recordCount: number, lastOffsetDelta?: number) =>
      readAll(new RecordReader(), crafted(recordsHex, recordCount, lastOffsetDelta));

    it('nothing of a record as short as one can be', () => {
      expect(read(good, 1)).toEqual([{ offset: 0, timestampMs: -1, key: null, value: null, headers: [] }]);
    });

    it.each([
      ['more records than there are bytes for', `${good}`, 2, undefined],
      ['2^31−1 records', `${good}`, 0x7fffffff, undefined],
      ['a negative count', `${good}`, -1, undefined],
      ['bytes without records', `${good}`, 0, undefined],
      ['fewer records than there are', `${good} ${good}`, 1, undefined],
      ['a record shorter than one can be', '0a 00 00 00 01 01 00', 1, undefined],
      ['a record longer than the batch', '0e 00 00 00 01 01 00', 1, undefined],
      ['a record of negative length', '0d 00 00 00 01 01 00', 1, undefined],
      ['a record with bytes left over', '0e 00 00 00 01 01 00 00', 1, undefined],
      ['an offset beyond the last', '0c 00 00 04 01 01 00', 1, 1],
      ['a negative offset', '0c 00 00 01 01 01 00', 1, undefined],
      ['a key of length −2', '0c 00 00 00 03 01 00', 1, undefined],
      ['a key beyond the record', '0c 00 00 00 06 01 00', 1, undefined],
      ['a value of length −2', '0c 00 00 00 01 03 00', 1, undefined],
      ['a value beyond the record', '0c 00 00 00 01 04 00', 1, undefined],
      ['a negative number of headers', '0c 00 00 00 01 01 01', 1, undefined],
      ['more headers than there are bytes for', '10 00 00 00 01 01 04 00 01', 1, undefined],
      ['a varint without end', '0c 00 80 80 80 80 80', 1, undefined],
      ['a number beyond 2^53', '1c 00 feffffffffffffff7f 00 01 01 00', 1, undefined],
    ])('%s', (_what, recordsHex, recordCount, lastOffsetDelta) => {
      expect(() => read(recordsHex, recordCount, lastOffsetDelta)).toThrow(corrupt);
    });

    it.each([
      ['a name beyond the record', '10 00 00 00 01 01 02 04 01'],
      ['a name of length −1', '10 00 00 00 01 01 02 01 01'],
      ['a value beyond the record', '10 00 00 00 01 01 02 00 02'],
      ['a value of length −2', '10 00 00 00 01 01 02 00 03'],
      ['bytes after the last', '12 00 00 00 01 01 02 00 01 00'],
    ])('headers with %s, when they are asked for', (_what, recordsHex) => {
      const reader = new RecordReader();
      reader.reset(crafted(recordsHex, 1), 0);
      expect(reader.next()).toBe(true);
      expect(() => reader.headers()).toThrow(corrupt);
    });

    it('offsets and times whose sums are beyond ±(2^53−1)', () => {
      const bytes = crafted(`${good}`, 1);
      setBaseOffset(bytes, 0, 2 ** 53 - 1);
      expect(readAll(new RecordReader(), bytes)).toHaveLength(1);
      expect(() => readAll(new RecordReader(), crafted('0c 00 02 00 01 01 00', 1))).not.toThrow();
      const last = crafted(`${good}`, 1, 1);
      setBaseOffset(last, 0, 2 ** 53 - 1);
      expect(() => readAll(new RecordReader(), last)).toThrow(corrupt);
      const late = Buffer.from(crafted('0c 00 02 00 01 01 00', 1));
      late.writeBigInt64BE(2n ** 53n - 1n, 27);
      expect(() => readAll(new RecordReader(), late)).toThrow(corrupt);
    });

    it('compressed bytes that hold no records', () => {
      const head = Buffer.from(written([entry(0, null, 'a')], { compression: 'gzip' })).subarray(0, 61);
      const bytes = Buffer.concat([head, compress('gzip', new Uint8Array(3))]);
      bytes.writeInt32BE(bytes.length - 12, 8);
      expect(() => readAll(new RecordReader(), bytes)).toThrow(corrupt);
    });
  });
});

describe('RecordBatchWriter', () => {
  it('sets what close is told', () => {
    const bytes = written([entry(7, null, 'a')], {
      compression: 'gzip',
      baseOffset: 11,
      partitionLeaderEpoch: 12,
      producerId: 13,
      producerEpoch: 14,
      baseSequence: 15,
      isTransactional: true,
      isControl: true,
      isLogAppendTime: true,
      maxTimestampMs: 99,
      lastOffsetDelta: 6,
    });
    expect(validateBatch(bytes, 0)).toMatchObject({
      baseOffset: 11,
      partitionLeaderEpoch: 12,
      attributes: 0x39,
      lastOffsetDelta: 6,
      baseTimestamp: 7,
      maxTimestamp: 99,
      producerId: 13,
      producerEpoch: 14,
      baseSequence: 15,
    });
  });

  it('is reused after reset, and its batches stay as they are', () => {
    const writer = new RecordBatchWriter({ initialBytes: 0 });
    writer.append(1, text('k'), text('first'));
    const first = writer.close();
    const copy = first.slice();
    writer.reset();
    expect([writer.recordCount, writer.sizeBytes]).toEqual([0, 61]);
    writer.append(900, text('q'), text('second'));
    const second = writer.close();
    expect(first).toEqual(copy);
    expect(readAll(new RecordReader(), second)).toEqual([{ offset: 0, ...entry(900, 'q', 'second') }]);
  });

  it('knows its size exactly, as it grows', () => {
    const writer = new RecordBatchWriter({ initialBytes: 1 });
    for (let i = 0; i < 300; i++) {
      writer.append(i * 1000, text('k'.repeat(i)), null, [['h'.repeat(i), null]]);
      expect(writer.sizeBytes).toBe(writer.close().length);
    }
    expect(writer.recordCount).toBe(300);
  });

  it('copies records of a reader: their offsets stay, whatever lies between them is gone', () => {
    const source = written(
      [
        entry(10, 'a', '1'),
        entry(20, 'b', '2', [['h', text('x')]]),
        entry(30, 'c', 'long '.repeat(20)),
        entry(40, null, null),
      ],
      { compression: 'lz4', baseOffset: 100 },
    );
    const reader = new RecordReader();
    const writer = new RecordBatchWriter();
    reader.reset(source, 0);
    while (reader.next()) if (reader.offset % 2 === 1) writer.appendFrom(reader);
    const kept = writer.close({ baseOffset: reader.header.baseOffset, lastOffsetDelta: reader.header.lastOffsetDelta });
    expect(readAll(new RecordReader(), kept)).toEqual([
      { offset: 101, ...entry(20, 'b', '2', [['h', text('x')]]) },
      { offset: 103, ...entry(40, null, null) },
    ]);
    expect(validateBatch(kept, 0)).toMatchObject({ recordCount: 2, lastOffsetDelta: 3, maxTimestamp: 40 });
  });

  it('counts times from a delete horizon, which readers see in the header (KIP-534)', () => {
    const writer = new RecordBatchWriter();
    writer.reset({ baseTimestamp: 5000 });
    writer.append(1000, text('k'), null);
    const bytes = writer.close({ hasDeleteHorizon: true });
    expect(validateBatch(bytes, 0)).toMatchObject({ attributes: 0x40, baseTimestamp: 5000, maxTimestamp: 1000 });
    expect(readAll(new RecordReader(), bytes)[0]!.timestampMs).toBe(1000);
  });

  it('refuses a time that is no safe integer, and keeps what it has', () => {
    const writer = new RecordBatchWriter();
    writer.append(1, null, text('a'));
    for (const timestampMs of [2 ** 53, 0.5, Number.NaN]) {
      expect(() => writer.append(timestampMs, null, null)).toThrow(expect.objectContaining({ code: 'PROTOCOL_ERROR' }));
    }
    writer.append(2, null, text('b'));
    expect(() => writer.append(-(2 ** 53 - 1), null, null)).toThrow(
      expect.objectContaining({ code: 'PROTOCOL_ERROR' }),
    );
    expect(readAll(new RecordReader(), writer.close())).toEqual([
      { offset: 0, ...entry(1, null, 'a') },
      { offset: 1, ...entry(2, null, 'b') },
    ]);
  });
});

describe('control records', () => {
  it('end a transaction as Kafka writes it: version and type, version and coordinator epoch', () => {
    const hex = ({ key, value }: { key: Uint8Array; value: Uint8Array }) => [
      Buffer.from(key).toString('hex'),
      Buffer.from(value).toString('hex'),
    ];
    expect(hex(endTransactionRecord('commit', 5))).toEqual(['00000001', '000000000005']);
    expect(hex(endTransactionRecord('abort', -1))).toEqual(['00000000', '0000ffffffff']);
  });

  it('tell commit from abort, and leave the other types to others', () => {
    expect(transactionMarkerOf(endTransactionRecord('commit', 5).key)).toBe('commit');
    expect(transactionMarkerOf(endTransactionRecord('abort', 5).key)).toBe('abort');
    expect(transactionMarkerOf(Uint8Array.of(0, 0, 0, 2))).toBeUndefined();
    expect(transactionMarkerOf(Uint8Array.of(0, 9, 0, 1, 77))).toBe('commit');
    expect(() => transactionMarkerOf(Uint8Array.of(0, 0, 0))).toThrow(
      expect.objectContaining({ code: 'PROTOCOL_ERROR' }),
    );
  });
});

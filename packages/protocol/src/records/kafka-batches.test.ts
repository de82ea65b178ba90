import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  attributesOf,
  endTransactionRecord,
  prepareCompression,
  RecordBatchWriter,
  RecordReader,
  transactionMarkerOf,
  validateBatch,
  type CloseBatchOptions,
  type HeaderEntry,
} from '../index.ts';

/** Batches that Apache Kafka wrote: `fixtures/README.md`. */
const batches = new Map(
  readFileSync(new URL('../../fixtures/kafka-batches.jsonl', import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { readonly name: string; readonly bytes: string })
    .map(({ name, bytes }) => [name, Uint8Array.from(Buffer.from(bytes, 'hex'))]),
);

const time = 1_700_000_000_000;
const text = (value: string): Uint8Array => Uint8Array.from(Buffer.from(value));

/** The formulas of `KafkaBatches.java`. */
function record(i: number): {
  timestampMs: number;
  key: Uint8Array | null;
  value: Uint8Array | null;
  headers: HeaderEntry[];
} {
  return {
    timestampMs: time + i * 37 - (i % 2) * 100_000,
    key: i % 4 === 1 ? null : text(`key-${i}`),
    value: i % 5 === 3 ? null : text(`value-${i};`.repeat(i % 7)),
    headers: Array.from({ length: i % 3 }, (_, j): HeaderEntry => [`name-${j}`, j === 0 ? text(`h${i}`) : null]),
  };
}

function batch(name: string): Uint8Array {
  const bytes = batches.get(name);
  if (bytes === undefined) throw new Error(`no batch ${name}`);
  return bytes;
}

function readAll(bytes: Uint8Array): unknown[] {
  const reader = new RecordReader();
  reader.reset(bytes, 0);
  const records: unknown[] = [];
  while (reader.next()) {
    const { offset, timestampMs, key, value } = reader;
    records.push({ offset, timestampMs, key, value, headers: reader.headers() });
  }
  return records;
}

function written(options: CloseBatchOptions): Uint8Array {
  const writer = new RecordBatchWriter();
  for (let i = 0; i < 5; i++) {
    const { timestampMs, key, value, headers } = record(i);
    writer.append(timestampMs, key, value, headers);
  }
  const producer = {
    baseOffset: 2 ** 40,
    partitionLeaderEpoch: 6,
    producerId: 9001,
    producerEpoch: 3,
    baseSequence: 17,
  };
  return Uint8Array.from(writer.close({ ...producer, ...options }));
}

beforeAll(() => prepareCompression('zstd'));

describe('batches that Apache Kafka wrote', () => {
  it.each(
    ['none', 'gzip', 'snappy', 'lz4', 'zstd'].flatMap((compression) => [
      [`records, ${compression}`, compression, 5] as const,
      ...(compression === 'none' ? [] : [[`many records, ${compression}`, compression, 1500] as const]),
    ]),
  )('%s', (name, compression, count) => {
    const bytes = batch(name);
    const header = validateBatch(bytes, 0);
    expect(attributesOf.compression(header.attributes)).toBe(compression);
    expect(header).toMatchObject({
      baseOffset: 2 ** 40,
      sizeBytes: bytes.length,
      partitionLeaderEpoch: 6,
      lastOffsetDelta: count - 1,
      baseTimestamp: time,
      maxTimestamp: Math.max(...Array.from({ length: count }, (_, i) => record(i).timestampMs)),
      producerId: 9001,
      producerEpoch: 3,
      baseSequence: 17,
      recordCount: count,
    });
    expect(readAll(bytes)).toEqual(Array.from({ length: count }, (_, i) => ({ offset: 2 ** 40 + i, ...record(i) })));
  });

  it('with log-append time: its records all have the time of the batch', () => {
    const bytes = batch('log-append time');
    expect(attributesOf.isLogAppendTime(validateBatch(bytes, 0).attributes)).toBe(true);
    expect(readAll(bytes)).toEqual(
      Array.from({ length: 5 }, (_, i) => ({ offset: 2 ** 40 + i, ...record(i), timestampMs: time + 500 })),
    );
  });

  it('and ours have the same bytes', () => {
    expect(written({})).toEqual(batch('records, none'));
    expect(written({ isTransactional: true })).toEqual(batch('transactional'));
    expect(written({ isLogAppendTime: true, maxTimestampMs: time + 500 })).toEqual(batch('log-append time'));
  });
});

describe.each(['abort', 'commit'] as const)('the marker of a transaction that Apache Kafka wrote: %s', (marker) => {
  it('is read', () => {
    const bytes = batch(`${marker} marker`);
    const { attributes, ...header } = validateBatch(bytes, 0);
    expect([attributesOf.isControl(attributes), attributesOf.isTransactional(attributes)]).toEqual([true, true]);
    expect(header).toMatchObject({
      baseOffset: 77,
      producerId: 9001,
      producerEpoch: 3,
      baseSequence: -1,
      recordCount: 1,
    });
    const reader = new RecordReader();
    reader.reset(bytes, 0);
    reader.next();
    expect(transactionMarkerOf(reader.key!)).toBe(marker);
    expect(reader.value).toEqual(Uint8Array.from(endTransactionRecord(marker, 12).value));
  });

  it('is written with the same bytes', () => {
    const writer = new RecordBatchWriter();
    const { key, value } = endTransactionRecord(marker, 12);
    writer.append(time, key, value);
    const bytes = writer.close({
      baseOffset: 77,
      partitionLeaderEpoch: 4,
      producerId: 9001,
      producerEpoch: 3,
      isTransactional: true,
      isControl: true,
    });
    expect(Uint8Array.from(bytes)).toEqual(batch(`${marker} marker`));
  });
});

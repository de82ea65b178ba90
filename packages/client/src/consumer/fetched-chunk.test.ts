import { RecordBatchWriter, RecordReader } from '@millrace/protocol';
import { expect, it } from 'vitest';
import { FetchedChunk, type AbortedTransaction } from './fetched-chunk.ts';

function batch(
  baseOffset: number,
  values: readonly string[],
  options: Parameters<RecordBatchWriter['close']>[0] = {},
): Uint8Array {
  const writer = new RecordBatchWriter();
  for (const value of values) writer.append(1, null, Buffer.from(value));
  return writer.close({ ...options, baseOffset });
}

/** Type 0 is ABORT, 1 is COMMIT. */
function marker(baseOffset: number, producerId: number, type: 0 | 1): Uint8Array {
  const writer = new RecordBatchWriter();
  writer.append(1, Uint8Array.of(0, 0, 0, type), Uint8Array.of(0, 0, 0, 0, 0, 0));
  return writer.close({ baseOffset, producerId, producerEpoch: 0, isTransactional: true, isControl: true });
}

const transactional = (producerId: number) => ({
  producerId,
  producerEpoch: 0,
  baseSequence: 0,
  isTransactional: true,
});

function chunkOf(
  bytes: Uint8Array,
  fetchOffset: number,
  abortedTransactions: readonly AbortedTransaction[] | null = [],
  reader: RecordReader = new RecordReader(),
): FetchedChunk {
  const place = { topic: 't', partition: 0, highWatermark: 100 };
  return new FetchedChunk({
    ...place,
    fetchOffset,
    bytes,
    abortedTransactions,
    isCrcChecked: true,
    reader,
  });
}

function values(chunk: FetchedChunk): string[] {
  const seen: string[] = [];
  chunk.forEach((reader) => seen.push(`${reader.offset}:${Buffer.from(reader.value!).toString()}`));
  const byNext: string[] = [];
  while (chunk.next()) byNext.push(`${chunk.reader.offset}:${Buffer.from(chunk.reader.value!).toString()}`);
  expect(byNext).toEqual(seen);
  return seen;
}

it('begins in the middle of a batch, and leaves a batch that was cut off for the next fetch', () => {
  const bytes = Buffer.concat([batch(0, ['a', 'b', 'c']), batch(3, ['d'])]);
  for (const cut of [1, 30, 68]) {
    const chunk = chunkOf(bytes.subarray(0, bytes.length - cut), 1);
    expect(values(chunk), `${cut} bytes short`).toEqual(['1:b', '2:c']);
    expect(chunk.nextOffset).toBe(3);
  }
  expect(values(chunkOf(bytes, 3))).toEqual(['3:d']);
});

it('leaves out the records of aborted transactions and every marker, and goes on behind them', () => {
  const bytes = Buffer.concat([
    batch(0, ['open1'], transactional(1)),
    batch(1, ['open2'], transactional(2)),
    batch(2, ['plain']),
    marker(3, 1, 0),
    batch(4, ['again1'], transactional(1)),
    marker(5, 2, 1),
    marker(6, 1, 1),
  ]);
  const aborted = [{ producerId: 1, firstOffset: 0 }];
  const committed = chunkOf(bytes, 0, aborted);
  expect(values(committed)).toEqual(['1:open2', '2:plain', '4:again1']);
  expect(committed.nextOffset).toBe(7);
  expect(values(chunkOf(bytes, 0, null))).toEqual(['0:open1', '1:open2', '2:plain', '4:again1']);
  const twice = [
    { producerId: 1, firstOffset: 4 },
    { producerId: 1, firstOffset: 0 },
  ];
  expect(values(chunkOf(bytes, 0, twice))).toEqual(['1:open2', '2:plain']);
});

it('moves on over what holds nothing to hand out', () => {
  const chunk = chunkOf(marker(9, 1, 1), 9);
  expect([chunk.hasBatches, chunk.nextOffset, values(chunk)]).toEqual([false, 10, []]);
});

it('refuses bytes that were damaged on the way', () => {
  const bytes = batch(0, ['abc']);
  bytes[bytes.length - 2]! ^= 1;
  expect(() => chunkOf(bytes, 0)).toThrow(expect.objectContaining({ code: 'CORRUPT_MESSAGE' }));
});

it('goes on where it was when the next chunk of its partition, with markers of aborted transactions, has come meanwhile', () => {
  const reader = new RecordReader();
  const first = chunkOf(batch(0, ['a', 'b', 'c']), 0, [], reader);
  expect(first.next()).toBe(true);
  const aborted = [{ producerId: 7, firstOffset: 3 }];
  const bytes = Buffer.concat([batch(3, ['void'], transactional(7)), marker(4, 7, 0), batch(5, ['d'])]);
  const second = chunkOf(bytes, 3, aborted, reader);
  const rest: string[] = [];
  for (const chunk of [first, second]) {
    while (chunk.next()) rest.push(`${chunk.reader.offset}:${Buffer.from(chunk.reader.value!).toString()}`);
  }
  expect(rest).toEqual(['1:b', '2:c', '5:d']);
});

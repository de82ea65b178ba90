import { RecordBatchWriter, RecordReader, readBatchHeader, type CloseBatchOptions } from '@millrace/protocol';

/** A record for a test: text, or null. */
export interface TextRecord {
  readonly key?: string | null | undefined;
  readonly value: string | null;
  readonly timestampMs?: number | undefined;
}

/** One batch of text records. */
export function batchOf(records: readonly (string | TextRecord)[], options: CloseBatchOptions = {}): Uint8Array {
  const writer = new RecordBatchWriter();
  for (const record of records) {
    const { key = null, value, timestampMs = 0 } = typeof record === 'string' ? { value: record } : record;
    writer.append(timestampMs, key === null ? null : Buffer.from(key), value === null ? null : Buffer.from(value));
  }
  return writer.close(options);
}

/** The values in fetched records, with their offsets. */
export function valuesOf(records: Uint8Array | readonly Uint8Array[] | null): (readonly [number, string | null])[] {
  const values: (readonly [number, string | null])[] = [];
  const reader = new RecordReader();
  for (const part of records === null ? [] : records instanceof Uint8Array ? [records] : records) {
    for (let position = 0; position < part.length; position += readBatchHeader(part, position).sizeBytes) {
      reader.reset(part, position);
      while (reader.next()) {
        values.push([reader.offset, reader.value === null ? null : Buffer.from(reader.value).toString()]);
      }
    }
  }
  return values;
}

/** One past the last offset of fetched batches, compacted ones too; undefined: there are none. */
export function endOffsetOf(records: Uint8Array | readonly Uint8Array[] | null): number | undefined {
  let endOffset: number | undefined;
  for (const part of records === null ? [] : records instanceof Uint8Array ? [records] : records) {
    for (let position = 0; position < part.length;) {
      const { baseOffset, lastOffsetDelta, sizeBytes } = readBatchHeader(part, position);
      endOffset = baseOffset + lastOffsetDelta + 1;
      position += sizeBytes;
    }
  }
  return endOffset;
}

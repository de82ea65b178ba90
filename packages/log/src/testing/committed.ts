import { attributesOf, readBatchHeader, RecordReader } from '@millrace/protocol';
import type { PartitionLog } from '../partition-log.ts';

export interface CommittedRecord {
  readonly offset: number;
  readonly key: string;
  readonly value: string | null;
}

/** What a consumer of committed records gets, by the rules that clients follow. */
export async function committed(log: PartitionLog): Promise<CommittedRecord[]> {
  const aborted = new Map<number, number[]>();
  const records: CommittedRecord[] = [];
  const from = log.logStartOffset;
  for (let offset = from; offset < log.lastStableOffset;) {
    const read = await log.read(offset, { maxBytes: 1_000_000, minOneBatch: true, isolation: 'read_committed' });
    if (read.parts.length === 0) break;
    for (const { producerId, firstOffset } of read.abortedTransactions!) {
      const known = aborted.get(producerId) ?? [];
      if (!known.includes(firstOffset)) aborted.set(producerId, [...known, firstOffset]);
    }
    for (const part of read.parts) {
      for (let position = 0; position < part.length;) {
        const header = readBatchHeader(part, position);
        const starts = aborted.get(header.producerId) ?? [];
        const started = starts.filter((first) => first <= header.baseOffset + header.lastOffsetDelta);
        const reader = new RecordReader();
        reader.reset(part, position);
        while (reader.next()) {
          if (attributesOf.isControl(header.attributes)) {
            // An abort ends the oldest aborted transaction that has begun.
            if (new DataView(reader.key!.buffer, reader.key!.byteOffset).getInt16(2) === 0 && started.length > 0) {
              aborted.set(
                header.producerId,
                starts.filter((first) => first !== Math.min(...started)),
              );
            }
          } else if (
            !(attributesOf.isTransactional(header.attributes) && started.length > 0) &&
            reader.offset >= from
          ) {
            const value = reader.value === null ? null : Buffer.from(reader.value).toString();
            records.push({ offset: reader.offset, key: Buffer.from(reader.key!).toString(), value });
          }
        }
        offset = header.baseOffset + header.lastOffsetDelta + 1;
        position += header.sizeBytes;
      }
    }
  }
  return records;
}

/** The state that records leave behind. */
export function foldOf(
  records: readonly { readonly key: string; readonly value: string | null }[],
): Map<string, string> {
  const state = new Map<string, string>();
  for (const { key, value } of records) {
    if (value === null) state.delete(key);
    else state.set(key, value);
  }
  return state;
}

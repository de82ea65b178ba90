import type { FileSystem } from '@millrace/platform';
import { crc32c } from '@millrace/protocol';
import { readWhole } from './checkpoint-file.ts';
import type { ProducerEntry } from './producer-state.ts';

const version = 1;
const headerBytes = 10;
const entryBytes = 46;
const maxSequence = 0x7fff_ffff;

/**
 * Kafka's producer snapshots, `<offset>.snapshot`: the state just before that offset. Of each producer's last five batches
 * it keeps the last alone, as Kafka's does.
 *
 *     version int16, CRC-32C of what follows it uint32, count int32, then per producer:
 *     producer id int64, epoch int16, last sequence int32, last offset int64, offset delta int32, timestamp int64,
 *     coordinator epoch int32, first offset of the open transaction int64
 */
export function encodeProducerSnapshot(entries: readonly ProducerEntry[]): Uint8Array {
  const bytes = new Uint8Array(headerBytes + entries.length * entryBytes);
  const view = new DataView(bytes.buffer);
  view.setInt16(0, version);
  view.setInt32(6, entries.length);
  let at = headerBytes;
  for (const entry of entries) {
    const last = entry.batches.at(-1);
    view.setBigInt64(at, BigInt(entry.producerId));
    view.setInt16(at + 8, entry.epoch);
    view.setInt32(at + 10, last === undefined ? -1 : last.lastSequence);
    view.setBigInt64(at + 14, BigInt(last === undefined ? -1 : last.lastOffset));
    view.setInt32(at + 22, last === undefined ? 0 : last.lastOffset - last.firstOffset);
    view.setBigInt64(at + 26, BigInt(entry.lastTimestampMs));
    view.setInt32(at + 34, entry.coordinatorEpoch);
    view.setBigInt64(at + 38, BigInt(entry.currentTxnFirstOffset));
    at += entryBytes;
  }
  view.setUint32(2, crc32c(bytes, 6, bytes.length));
  return bytes;
}

/** undefined: the file is missing or damaged, and the state must come from an older one and the log. */
export function readProducerSnapshot(files: FileSystem, path: string): ProducerEntry[] | undefined {
  const bytes = readWhole(files, path);
  if (bytes === undefined || bytes.length < headerBytes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = view.getInt32(6);
  const isWhole = view.getInt16(0) === version && bytes.length === headerBytes + count * entryBytes;
  if (!isWhole || view.getUint32(2) !== crc32c(bytes, 6, bytes.length)) return undefined;
  const entries: ProducerEntry[] = [];
  for (let at = headerBytes; at < bytes.length; at += entryBytes) {
    const lastSequence = view.getInt32(at + 10);
    const lastOffset = Number(view.getBigInt64(at + 14));
    const offsetDelta = view.getInt32(at + 22);
    const timestampMs = Number(view.getBigInt64(at + 26));
    entries.push({
      producerId: Number(view.getBigInt64(at)),
      epoch: view.getInt16(at + 8),
      coordinatorEpoch: view.getInt32(at + 34),
      lastTimestampMs: timestampMs,
      currentTxnFirstOffset: Number(view.getBigInt64(at + 38)),
      batches:
        lastOffset < 0
          ? []
          : [
              {
                firstSequence: lastSequence < 0 ? -1 : subtractSequence(lastSequence, offsetDelta),
                lastSequence,
                firstOffset: lastOffset - offsetDelta,
                lastOffset,
                timestampMs,
              },
            ],
    });
  }
  return entries;
}

function subtractSequence(sequence: number, count: number): number {
  return sequence >= count ? sequence - count : maxSequence - (count - sequence) + 1;
}

import type { FileSystem } from '@millrace/platform';
import { readWhole } from './checkpoint-file.ts';

const entryBytes = 34;

/** A transaction that was aborted, as its segment's index has it: the segment that holds the marker. */
export interface AbortedTransactionEntry {
  readonly producerId: number;
  readonly firstOffset: number;
  /** Of the marker. */
  readonly lastOffset: number;
  /** Of the log, just after the marker: a search up to this offset needs no later entry. */
  readonly lastStableOffset: number;
}

/**
 * Transactions aborted in a segment:
 *
 *     version             int16   0
 *     producer id         int64
 *     first offset        int64
 *     last offset         int64
 *     last stable offset  int64
 */
export function encodeTxnIndex(entries: readonly AbortedTransactionEntry[]): Uint8Array {
  const bytes = new Uint8Array(entries.length * entryBytes);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i]!;
    const at = i * entryBytes;
    view.setBigInt64(at + 2, BigInt(entry.producerId));
    view.setBigInt64(at + 10, BigInt(entry.firstOffset));
    view.setBigInt64(at + 18, BigInt(entry.lastOffset));
    view.setBigInt64(at + 26, BigInt(entry.lastStableOffset));
  }
  return bytes;
}

/** Empty when there is no file: most segments hold no aborted transaction. undefined: the file is damaged. */
export function readTxnIndex(files: FileSystem, path: string): AbortedTransactionEntry[] | undefined {
  const bytes = readWhole(files, path);
  if (bytes === undefined) return [];
  if (bytes.length % entryBytes !== 0) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries: AbortedTransactionEntry[] = [];
  for (let at = 0; at < bytes.length; at += entryBytes) {
    const entry = {
      producerId: Number(view.getBigInt64(at + 2)),
      firstOffset: Number(view.getBigInt64(at + 10)),
      lastOffset: Number(view.getBigInt64(at + 18)),
      lastStableOffset: Number(view.getBigInt64(at + 26)),
    };
    if (view.getInt16(at) !== 0 || entry.firstOffset > entry.lastOffset) return undefined;
    entries.push(entry);
  }
  return entries;
}

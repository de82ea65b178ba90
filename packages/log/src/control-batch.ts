import { RecordBatchWriter, RecordReader } from '@millrace/protocol';
import type { EndMarker } from './producer-state.ts';

/** Types of control records that end a transaction. Others exist (KRaft's), and end none. */
const controlType = { abort: 0, commit: 1 } as const;

/** A batch of one control record: key (version, type), value (version, coordinator epoch), all int16 but the last. */
export function transactionMarker(marker: {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly coordinatorEpoch: number;
  readonly isCommit: boolean;
  readonly timestampMs: number;
}): Uint8Array {
  const key = new Uint8Array(4);
  new DataView(key.buffer).setInt16(2, marker.isCommit ? controlType.commit : controlType.abort);
  const value = new Uint8Array(6);
  new DataView(value.buffer).setInt32(2, marker.coordinatorEpoch);
  const writer = new RecordBatchWriter({ initialBytes: 128 });
  writer.append(marker.timestampMs, key, value);
  return writer.close({
    producerId: marker.producerId,
    producerEpoch: marker.producerEpoch,
    baseSequence: -1,
    isTransactional: true,
    isControl: true,
  });
}

/** What a control batch says about its producer's transaction; null: nothing. */
export function readEndMarker(bytes: Uint8Array, position: number): EndMarker | null {
  const reader = new RecordReader();
  reader.reset(bytes, position);
  if (!reader.next()) return null; // emptied by compaction
  const { key, value } = reader;
  if (key === null || key.length < 4) return null;
  const type = new DataView(key.buffer, key.byteOffset, key.byteLength).getInt16(2);
  if (type !== controlType.abort && type !== controlType.commit) return null;
  const coordinatorEpoch =
    value === null || value.length < 6 ? 0 : new DataView(value.buffer, value.byteOffset, value.byteLength).getInt32(2);
  return { isCommit: type === controlType.commit, coordinatorEpoch };
}

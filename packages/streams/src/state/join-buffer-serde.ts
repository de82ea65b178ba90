import { UndecodableError, type Serde } from '@millrace/serde';
import { int64Bytes, readInt64 } from './int64-bytes.ts';

/** A record that waits for the other side of a stream-stream join. */
export interface BufferedRecord {
  readonly timestampMs: number;
  readonly value: unknown;
  /** Whether it has met a record of the other side. An outer join passes on, in the end, those that have not. */
  isMatched: boolean;
}

/** The records of one key and segment: of each its time (8 bytes), whether it is matched (1), the value's length (4), the value. */
export function joinBufferSerde(value: Serde<unknown>): Serde<BufferedRecord[]> {
  const name = `joinBuffer(${value.name})`;
  return {
    name,
    prepare: value.prepare,
    serialize(records, context) {
      const values = records.map((record) => value.serialize(record.value, context));
      const bytes = Buffer.allocUnsafe(values.reduce((size, one) => size + 13 + one.length, 0));
      let at = 0;
      records.forEach(({ timestampMs, isMatched }, index) => {
        const one = values[index]!;
        int64Bytes(bytes, at, timestampMs);
        bytes[at + 8] = isMatched ? 1 : 0;
        bytes.writeUInt32BE(one.length, at + 9);
        bytes.set(one, at + 13);
        at += 13 + one.length;
      });
      return bytes;
    },
    deserialize(data, context) {
      const view = new DataView(data.buffer, data.byteOffset, data.length);
      const records: BufferedRecord[] = [];
      for (let at = 0; at < data.length;) {
        const end = at + 13 > data.length ? Infinity : at + 13 + view.getUint32(at + 9);
        if (end > data.length) throw new UndecodableError(name, 'it is cut off', context);
        records.push({
          timestampMs: readInt64(data, at),
          value: value.deserialize(data.subarray(at + 13, end), context),
          isMatched: data[at + 8] === 1,
        });
        at = end;
      }
      return records;
    },
  };
}

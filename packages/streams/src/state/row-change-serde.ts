import { UndecodableError, type Serde, type SerdeContext } from '@millrace/serde';

/** What became of a row, on its way to its new group. undefined: the row was not, or is not any more, in that group. */
export interface RowChange {
  readonly oldValue: unknown;
  readonly newValue: unknown;
}

const hasOld = 1;
const hasNew = 2;

/** One byte says which values are there; of two, the old one comes first, behind its length (4 bytes). */
export function rowChangeSerde(value: Serde<unknown>): Serde<RowChange> {
  const name = `rowChange(${value.name})`;
  return {
    name,
    prepare: value.prepare,
    serialize({ oldValue, newValue }, context) {
      const old = oldValue === undefined ? undefined : value.serialize(oldValue, context);
      const fresh = newValue === undefined ? undefined : value.serialize(newValue, context);
      const flags = (old ? hasOld : 0) | (fresh ? hasNew : 0);
      const bytes = Buffer.allocUnsafe(1 + (old && fresh ? 4 : 0) + (old?.length ?? 0) + (fresh?.length ?? 0));
      bytes[0] = flags;
      let at = 1;
      if (old && fresh) at = bytes.writeUInt32BE(old.length, at);
      if (old) {
        bytes.set(old, at);
        at += old.length;
      }
      if (fresh) bytes.set(fresh, at);
      return bytes;
    },
    deserialize(data, context) {
      const flags = data[0];
      switch (flags) {
        case hasOld:
          return { oldValue: value.deserialize(data.subarray(1), context), newValue: undefined };
        case hasNew:
          return { oldValue: undefined, newValue: value.deserialize(data.subarray(1), context) };
        case hasOld | hasNew:
          return bothOf(data, context);
        default:
          throw new UndecodableError(name, `it begins with ${flags ?? 'nothing'}`, context);
      }
    },
  };

  function bothOf(data: Uint8Array, context: SerdeContext): RowChange {
    const oldLength = data.length < 5 ? Infinity : new DataView(data.buffer, data.byteOffset).getUint32(1);
    if (5 + oldLength > data.length) throw new UndecodableError(name, 'it is cut off', context);
    return {
      oldValue: value.deserialize(data.subarray(5, 5 + oldLength), context),
      newValue: value.deserialize(data.subarray(5 + oldLength), context),
    };
  }
}

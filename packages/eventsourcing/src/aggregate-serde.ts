import { UndecodableError, type Serde } from '@millrace/serde';
import type { Aggregate } from './decider.ts';

/** An aggregate: its version (8 bytes, big-endian), then its state. */
export function aggregateSerde<S>(state: Serde<S>): Serde<Aggregate<S>> {
  return {
    name: `aggregate(${state.name})`,
    prepare: state.prepare,
    serialize({ state: value, version }, context) {
      const stateBytes = state.serialize(value, context);
      const bytes = Buffer.allocUnsafe(8 + stateBytes.length);
      bytes.writeUInt32BE(Math.floor(version / 0x1_0000_0000), 0);
      bytes.writeUInt32BE(version >>> 0, 4);
      bytes.set(stateBytes, 8);
      return bytes;
    },
    deserialize(data, context) {
      if (data.length < 8) throw new UndecodableError('aggregate', `${data.length} bytes hold no version`, context);
      const view = new DataView(data.buffer, data.byteOffset, 8);
      const version = view.getUint32(0) * 0x1_0000_0000 + view.getUint32(4);
      return { version, state: state.deserialize(data.subarray(8), context) };
    },
  };
}

import type { StoreCommit, StoreWrite } from '@millrace/streams/state';

/**
 * A changelog with its transactions and its group, in memory: what the store's protocol relies on. It fences as Kafka does, by
 * ownership: only the latest owner commits.
 */
export class SimulatedLog {
  /** By offset; null: a barrier or the marker that ends a transaction. */
  readonly #records: (StoreWrite | null)[] = [];
  #owner = -1;
  /** Inputs that are done: committed with the outputs, or not at all. */
  inputOffset = 0;
  readonly outputs: string[] = [];

  get endOffset(): number {
    return this.#records.length;
  }

  /** A new owner commits its barrier: from here on earlier owners commit nothing. Gives back its offset, the epoch. */
  takeOver(): number {
    this.#owner = this.#records.length;
    this.#records.push(null, null); // barrier, marker
    return this.#owner;
  }

  /** Appends a transaction, or undefined: its owner has been replaced, and it is aborted. */
  commit(
    epoch: number,
    writes: readonly StoreWrite[],
    outputs: readonly string[],
    inputOffset: number,
  ): { readonly firstOffset: number; readonly nextOffset: number } | undefined {
    if (epoch !== this.#owner) return undefined;
    const firstOffset = this.#records.length;
    this.#records.push(...writes, null);
    this.outputs.push(...outputs);
    this.inputOffset = inputOffset;
    return { firstOffset, nextOffset: this.#records.length };
  }

  /** The records of [from, until) as commits of a replay, each over at most `stride` offsets. */
  *replay(epoch: number, from: number, until: number, stride: number): Generator<StoreCommit> {
    for (let prevOffset = from; prevOffset < until;) {
      const nextOffset = Math.min(until, prevOffset + stride);
      const last = new Map<string, { readonly write: StoreWrite; readonly offset: number }>();
      for (let offset = prevOffset; offset < nextOffset; offset++) {
        const write = this.#records[offset];
        if (!write) continue;
        const name = rowOf(write);
        last.delete(name); // so that it moves to the end: a commit is in the changelog's order
        last.set(name, { write, offset });
      }
      const writes = [...last.values()].map(({ write }) => write);
      const offsets = [...last.values()].map(({ offset }) => offset);
      yield {
        epoch,
        prevOffset,
        nextOffset,
        writes,
        offsets,
        expireBeforeMs: -Infinity,
        positions: [],
        timestampMs: 0,
        streamTimeMs: -1,
      };
      prevOffset = nextOffset;
    }
  }

  /** What a store must hold once it has applied everything, as `startMs/key` to value. */
  fold(): Map<string, string> {
    const rows = new Map<string, string>();
    for (const record of this.#records) {
      if (!record) continue;
      const name = rowOf(record);
      if (record.value === null) rows.delete(name);
      else rows.set(name, Buffer.from(record.value).toString());
    }
    return rows;
  }
}

function rowOf({ startMs, key }: StoreWrite): string {
  return `${startMs}/${Buffer.from(key).toString()}`;
}

import type { FileSystem } from '@millrace/platform';
import { readWhole } from './checkpoint-file.ts';

const entryBytes = 12;

/**
 * From timestamps to offsets: "no record up to this offset is newer than this".
 *
 *     timestamp        int64   the greatest in the segment so far
 *     relative offset  int32   of the last record of the batch that holds it
 */
export class TimeIndex {
  readonly baseOffset: number;
  readonly #timestamps: number[];
  readonly #offsets: number[];

  private constructor(baseOffset: number, timestamps: number[], offsets: number[]) {
    this.baseOffset = baseOffset;
    this.#timestamps = timestamps;
    this.#offsets = offsets;
  }

  static empty(baseOffset: number): TimeIndex {
    return new TimeIndex(baseOffset, [], []);
  }

  /** undefined: the file is missing, cut short, or out of order: it must be built anew. */
  static read(files: FileSystem, path: string, baseOffset: number): TimeIndex | undefined {
    const bytes = readWhole(files, path);
    if (bytes === undefined || bytes.length % entryBytes !== 0) return undefined;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const timestamps: number[] = [];
    const offsets: number[] = [];
    for (let at = 0; at < bytes.length; at += entryBytes) {
      const timestamp = Number(view.getBigInt64(at));
      const relative = view.getInt32(at + 8);
      const last = timestamps.length - 1;
      if (relative < 0) return undefined;
      if (last >= 0 && (timestamp < timestamps[last]! || baseOffset + relative < offsets[last]!)) return undefined;
      timestamps.push(timestamp);
      offsets.push(baseOffset + relative);
    }
    return new TimeIndex(baseOffset, timestamps, offsets);
  }

  get sizeBytes(): number {
    return this.#timestamps.length * entryBytes;
  }

  /** −1: no entry. */
  get lastTimestampMs(): number {
    return this.#timestamps.at(-1) ?? -1;
  }

  /** −1: no entry. */
  get lastOffset(): number {
    return this.#offsets.at(-1) ?? -1;
  }

  /** An offset from where to look for the first record with a timestamp at or after the target. */
  offsetFor(timestampMs: number): number {
    let low = 0;
    let high = this.#timestamps.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#timestamps[middle]! < timestampMs) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? this.baseOffset : this.#offsets[low - 1]!;
  }

  /** Does nothing unless the timestamp has grown. */
  append(timestampMs: number, offset: number): void {
    if (timestampMs <= this.lastTimestampMs) return;
    this.#timestamps.push(timestampMs);
    this.#offsets.push(offset);
  }

  /** Drops entries of offsets at or behind `offset`. */
  truncateTo(offset: number): void {
    while (this.lastOffset >= offset && this.#offsets.length > 0) {
      this.#timestamps.pop();
      this.#offsets.pop();
    }
  }

  toBytes(): Uint8Array {
    const bytes = new Uint8Array(this.sizeBytes);
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < this.#timestamps.length; i++) {
      view.setBigInt64(i * entryBytes, BigInt(this.#timestamps[i]!));
      view.setInt32(i * entryBytes + 8, this.#offsets[i]! - this.baseOffset);
    }
    return bytes;
  }
}

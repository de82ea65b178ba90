import type { FileSystem } from '@millrace/platform';
import { readWhole } from './checkpoint-file.ts';

const entryBytes = 8;

/**
 * Where batches lie in a segment: pairs of (offset − base offset, position), one about every `index.interval.bytes`.
 *
 *     relative offset  int32   of the last record of the batch
 *     position         int32   of the batch's first byte
 *
 * Held in memory while its segment is written or read, on disk in Kafka's format.
 */
export class OffsetIndex {
  readonly baseOffset: number;
  #entries: Int32Array;
  #count: number;

  private constructor(baseOffset: number, entries: Int32Array) {
    this.baseOffset = baseOffset;
    this.#entries = entries;
    this.#count = entries.length >> 1;
  }

  static empty(baseOffset: number): OffsetIndex {
    return new OffsetIndex(baseOffset, new Int32Array(0));
  }

  /** undefined: the file is missing, cut short, out of order, or points beyond the segment: it must be built anew. */
  static read(files: FileSystem, path: string, baseOffset: number, segmentBytes: number): OffsetIndex | undefined {
    const bytes = readWhole(files, path);
    if (bytes === undefined || bytes.length % entryBytes !== 0) return undefined;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const entries = new Int32Array(bytes.length / 4);
    for (let i = 0; i < entries.length; i++) entries[i] = view.getInt32(i * 4);
    for (let i = 0; i < entries.length; i += 2) {
      const isAscending = i === 0 || (entries[i]! > entries[i - 2]! && entries[i + 1]! > entries[i - 1]!);
      if (!isAscending || entries[i]! < 0 || entries[i + 1]! < 0 || entries[i + 1]! >= segmentBytes) return undefined;
    }
    return new OffsetIndex(baseOffset, entries);
  }

  get sizeBytes(): number {
    return this.#count * entryBytes;
  }

  /** Position in the segment of the last batch known to end at or before `offset`; 0 when none is. */
  positionFor(offset: number): number {
    const target = offset - this.baseOffset;
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#entries[middle * 2]! <= target) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? 0 : this.#entries[low * 2 - 1]!;
  }

  /** −1: there is no entry. */
  get lastOffset(): number {
    return this.#count === 0 ? -1 : this.baseOffset + this.#entries[this.#count * 2 - 2]!;
  }

  /** Position of the last entry; 0 when there is none. */
  get lastPosition(): number {
    return this.#count === 0 ? 0 : this.#entries[this.#count * 2 - 1]!;
  }

  append(offset: number, position: number): void {
    if (this.#count * 2 === this.#entries.length) {
      const grown = new Int32Array(Math.max(64, this.#entries.length * 2));
      grown.set(this.#entries);
      this.#entries = grown;
    }
    this.#entries[this.#count * 2] = offset - this.baseOffset;
    this.#entries[this.#count * 2 + 1] = position;
    this.#count++;
  }

  /** Drops entries at or behind `position`. */
  truncateTo(position: number): void {
    while (this.#count > 0 && this.lastPosition >= position) this.#count--;
  }

  toBytes(): Uint8Array {
    const bytes = new Uint8Array(this.sizeBytes);
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < this.#count * 2; i++) view.setInt32(i * 4, this.#entries[i]!);
    return bytes;
  }
}

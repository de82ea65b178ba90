import type { AbortedTransaction } from './log-types.ts';
import type { Segment } from './segment.ts';
import type { AbortedTransactionEntry } from './txn-index.ts';

/** Sealed segments whose file and indexes one log keeps open. */
const keptOpen = 4;

/** Index of the segment that holds an offset, or would. */
export function segmentIndex(segments: readonly Segment[], offset: number): number {
  let low = 0;
  let high = segments.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (segments[middle]!.baseOffset <= offset) low = middle + 1;
    else high = middle;
  }
  return Math.max(0, low - 1);
}

/** Transactions aborted that reach into a range. From the segment of the first offset on: the marker may lie in a later one. */
export function abortedBetween(segments: readonly Segment[], offset: number, endOffset: number): AbortedTransaction[] {
  const aborted: AbortedTransaction[] = [];
  if (endOffset <= offset) return aborted;
  for (let i = segmentIndex(segments, offset); i < segments.length; i++) {
    const entries = segments[i]!.aborted();
    for (let k = firstEndingAt(entries, offset); k < entries.length; k++) {
      const entry = entries[k]!;
      if (entry.firstOffset < endOffset) {
        aborted.push({ producerId: entry.producerId, firstOffset: entry.firstOffset });
      }
      if (entry.lastStableOffset >= endOffset) return aborted;
    }
  }
  return aborted;
}

/** Entries are in the order of their markers: the first with one at or behind the offset. */
function firstEndingAt(entries: readonly AbortedTransactionEntry[], offset: number): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (entries[middle]!.lastOffset < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Keeps what was read last open, and closes the rest: a log of a thousand segments must not hold a thousand files. */
export class RecentSegments {
  #segments: Segment[] = [];

  has(segment: Segment): boolean {
    return this.#segments.includes(segment);
  }

  touch(segment: Segment): void {
    if (this.#segments.at(-1) === segment) return;
    this.drop(segment);
    this.#segments.push(segment);
    if (this.#segments.length > keptOpen) this.#segments.shift()!.unload();
  }

  /** Leaves it as it is, and forgets it. */
  drop(segment: Segment): void {
    this.#segments = this.#segments.filter((other) => other !== segment);
  }
}

import type { FileSystem } from '@millrace/platform';
import { checkpoint, readCheckpoint, type FileContent } from './checkpoint-file.ts';

interface EpochEntry {
  readonly epoch: number;
  readonly startOffset: number;
}

/** From which offset on which leader epoch wrote: how a consumer finds out that what it read was lost since. */
export class LeaderEpochs {
  readonly #path: string;
  #entries: EpochEntry[];

  private constructor(path: string, entries: EpochEntry[]) {
    this.#path = path;
    this.#entries = entries;
  }

  /** @throws `CorruptLogError` */
  static read(files: FileSystem, path: string): LeaderEpochs {
    const lines = readCheckpoint(files, path) ?? [];
    const entries = lines.map(([epoch, startOffset]) => ({ epoch: Number(epoch), startOffset: Number(startOffset) }));
    return new LeaderEpochs(path, entries);
  }

  /** −1: none has written. */
  get latest(): number {
    return this.#entries.at(-1)?.epoch ?? -1;
  }

  get oldest(): number {
    return this.#entries[0]?.epoch ?? -1;
  }

  /** `epoch` writes from `startOffset` on. Epochs that wrote nothing before it are forgotten. */
  assign(epoch: number, startOffset: number): void {
    if (epoch <= this.latest) return;
    this.truncateFromEnd(startOffset);
    this.#entries.push({ epoch, startOffset });
  }

  /** The epoch that wrote at `offset`; −1: unknown. */
  epochAt(offset: number): number {
    return this.#entries.findLast((entry) => entry.startOffset <= offset)?.epoch ?? -1;
  }

  /** Of the greatest epoch not above the one asked for: it, and where it ended. (−1, −1): unknown. */
  endOffsetFor(epoch: number, logEndOffset: number): { readonly leaderEpoch: number; readonly endOffset: number } {
    const latest = this.#entries.at(-1);
    if (latest === undefined || epoch < 0 || epoch > latest.epoch) return { leaderEpoch: -1, endOffset: -1 };
    if (epoch === latest.epoch) return { leaderEpoch: epoch, endOffset: logEndOffset };
    const higher = this.#entries.findIndex((entry) => entry.epoch > epoch);
    const endOffset = this.#entries[higher]!.startOffset;
    const floor = this.#entries[higher - 1];
    // Older than all we know: whatever it wrote ended where the oldest known begins.
    return { leaderEpoch: floor === undefined ? epoch : floor.epoch, endOffset };
  }

  /** The log now ends at `endOffset`. */
  truncateFromEnd(endOffset: number): void {
    this.#entries = this.#entries.filter((entry) => entry.startOffset < endOffset);
  }

  /** The log now starts at `startOffset`: the epoch that wrote there is the oldest. */
  truncateFromStart(startOffset: number): void {
    const first = this.#entries.findLastIndex((entry) => entry.startOffset <= startOffset);
    if (first < 0) return;
    const kept = this.#entries.slice(first);
    kept[0] = { epoch: kept[0]!.epoch, startOffset: Math.max(kept[0]!.startOffset, startOffset) };
    this.#entries = kept;
  }

  /** What the checkpoint is to hold. */
  toFile(): FileContent {
    return checkpoint(
      this.#path,
      this.#entries.map((entry) => [entry.epoch, entry.startOffset]),
    );
  }
}

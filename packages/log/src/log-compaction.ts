import type { Clock, FileSystem } from '@millrace/platform';
import { cleanableRange, type CleanableRange } from './cleanable.ts';
import type { CleanedSegment, CompactionOutput, CompactionResult, CompactionTask, Compactor } from './compaction.ts';
import type { LogConfig } from './log-config.ts';
import type { ProducerState } from './producer-state.ts';
import type { Segment } from './segment.ts';
import { dropCleaned, swapIn } from './swap-files.ts';

/** What a compaction needs of its log. */
export interface CompactedLog {
  readonly directory: string;
  readonly files: FileSystem;
  readonly clock: Clock;
  readonly producers: ProducerState;
  readonly config: () => LogConfig;
  readonly segments: () => readonly Segment[];
  readonly logStartOffset: () => number;
  readonly lastStableOffset: () => number;
  readonly isClosed: () => boolean;
  /** Runs after all work that was begun before, as the disk's: a failure is final. */
  readonly inBackground: (task: () => Promise<void>) => void;
  /** The new files have their names: readers are to use them. */
  readonly replaced: (sources: readonly Segment[], target: Segment) => void;
  readonly removeLater: (paths: readonly string[]) => void;
  readonly saveFirstDirtyOffset: (offset: number) => Promise<void>;
}

/** Compaction, seen from the log: what is due, and how the result takes the place of what was. */
export class LogCompaction {
  readonly #log: CompactedLog;
  #firstDirtyOffset: number;
  #isRunning = false;
  #isSwapping = false;

  constructor(log: CompactedLog, firstDirtyOffset: number) {
    this.#log = log;
    this.#firstDirtyOffset = firstDirtyOffset;
  }

  /** Files are being put in place: the log's segments must stay as they are. */
  get isSwapping(): boolean {
    return this.#isSwapping;
  }

  get dirtyRatio(): number | undefined {
    return this.#isRunning || this.#log.isClosed() ? undefined : this.#cleanable()?.dirtyRatio;
  }

  /** @param drained resolves when work in the background is done */
  async run(compactor: Compactor, drained: () => Promise<void>): Promise<CompactionResult> {
    const log = this.#log;
    const range = this.#isRunning ? undefined : this.#cleanable();
    if (range === undefined) return { bytesBefore: 0, bytesAfter: 0 };
    this.#isRunning = true;
    try {
      const output = await this.#outputOf(compactor, range);
      if (output === undefined) return { bytesBefore: 0, bytesAfter: 0 };
      const replaced = new Set(output.cleaned.flatMap((cleaned) => cleaned.sourceBaseOffsets));
      let bytesBefore = 0;
      for (const segment of range.segments) if (replaced.has(segment.baseOffset)) bytesBefore += segment.sizeBytes;
      let isComplete = true;
      for (const cleaned of output.cleaned) {
        log.inBackground(async () => {
          // One after the other, or a tombstone could go before what it deletes.
          if (isComplete) isComplete = await this.#swapIn(cleaned);
        });
      }
      log.inBackground(async () => {
        if (log.isClosed() || !isComplete) return;
        this.#firstDirtyOffset = output.cleanedUpTo;
        await log.saveFirstDirtyOffset(output.cleanedUpTo);
      });
      await drained();
      return { bytesBefore, bytesAfter: output.keptBytes };
    } finally {
      this.#isRunning = false;
      if (!log.isClosed()) dropCleaned(log.files, log.directory);
    }
  }

  /** undefined: retention took segments away before they were read. */
  async #outputOf(compactor: Compactor, range: CleanableRange): Promise<CompactionOutput | undefined> {
    try {
      return await compactor.run(this.#task(range));
    } catch (error) {
      const segments = this.#log.segments();
      if (range.segments.every((segment) => segments.includes(segment))) throw error;
      return undefined;
    }
  }

  #cleanable(): CleanableRange | undefined {
    const log = this.#log;
    return cleanableRange(log.segments(), {
      config: log.config(),
      nowMs: log.clock.now(),
      firstDirtyOffset: Math.max(this.#firstDirtyOffset, log.logStartOffset()),
      stableOffset: log.lastStableOffset(),
    });
  }

  #task(range: CleanableRange): CompactionTask {
    const log = this.#log;
    const config = log.config();
    return {
      directory: log.directory,
      segments: range.segments.map(({ baseOffset, sizeBytes }) => ({ baseOffset, sizeBytes })),
      firstDirtyOffset: range.firstDirtyOffset,
      endOffset: range.endOffset,
      aborted: log.segments().flatMap((segment) => segment.aborted()),
      producers: [...log.producers.entries()].map((entry) => ({
        producerId: entry.producerId,
        producerEpoch: entry.epoch,
        lastDataOffset: entry.batches.at(-1)?.lastOffset ?? -1,
      })),
      nowMs: log.clock.now(),
      deleteRetentionMs: config.deleteRetentionMs,
      segmentBytes: config.segmentBytes,
      indexIntervalBytes: config.indexIntervalBytes,
    };
  }

  /** False: the sources are not what they were, and stay. */
  async #swapIn(cleaned: CleanedSegment): Promise<boolean> {
    const { files, directory } = this.#log;
    if (this.#log.isClosed()) return false;
    const isSource = (segment: Segment): boolean => cleaned.sourceBaseOffsets.includes(segment.baseOffset);
    const sources = this.#log.segments().filter(isSource);
    if (sources.length < cleaned.sourceBaseOffsets.length) {
      // Retention was faster. What was made must go before the next swap: `finishSwaps` takes it for a sign to undo.
      dropCleaned(files, directory, cleaned.baseOffset);
      return false;
    }
    this.#isSwapping = true;
    try {
      const deleted = await swapIn(files, directory, { baseOffset: cleaned.baseOffset, sources }, (target) =>
        this.#log.replaced(sources, target),
      );
      for (const source of sources) source.close();
      this.#log.removeLater(deleted);
      return true;
    } finally {
      this.#isSwapping = false;
    }
  }
}

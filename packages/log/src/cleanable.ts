import type { LogConfig } from './log-config.ts';
import type { Segment } from './segment.ts';

/** What a compaction would look at. */
export interface CleanableRange {
  /** The log's leading segments, sealed and committed. */
  readonly segments: readonly Segment[];
  readonly firstDirtyOffset: number;
  readonly endOffset: number;
  /** Bytes that are new over all bytes; 1 if something has waited for longer than `max.compaction.lag.ms`. */
  readonly dirtyRatio: number;
}

/**
 * The segments that a compaction may touch: never the active one, none at or behind `stableOffset` (open transactions), none
 * with a record younger than `min.compaction.lag.ms`. undefined: nothing among them is new.
 */
export function cleanableRange(
  segments: readonly Segment[],
  state: {
    readonly config: LogConfig;
    readonly nowMs: number;
    readonly firstDirtyOffset: number;
    readonly stableOffset: number;
  },
): CleanableRange | undefined {
  const { minCompactionLagMs, maxCompactionLagMs } = state.config;
  let cleanBytes = 0;
  let dirtyBytes = 0;
  let isOverdue = false;
  let count = 0;
  for (; count < segments.length - 1; count++) {
    const segment = segments[count]!;
    const endOffset = segments[count + 1]!.baseOffset;
    if (endOffset > state.stableOffset) break;
    if (endOffset <= state.firstDirtyOffset) {
      cleanBytes += segment.sizeBytes;
      continue;
    }
    if (minCompactionLagMs > 0 && state.nowMs - segment.retentionTimestampMs < minCompactionLagMs) break;
    dirtyBytes += segment.sizeBytes;
    isOverdue ||= segment.isOlderThan(maxCompactionLagMs, state.nowMs);
  }
  if (dirtyBytes === 0) return undefined;
  return {
    segments: segments.slice(0, count),
    firstDirtyOffset: state.firstDirtyOffset,
    endOffset: segments[count]!.baseOffset,
    dirtyRatio: isOverdue ? 1 : dirtyBytes / (cleanBytes + dirtyBytes),
  };
}

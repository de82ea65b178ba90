import type { LogConfig } from './log-config.ts';
import type { Segment } from './segment.ts';

/**
 * How many leading segments are past retention, the active one included: by the newest record in each, then by what the log
 * holds beyond `retention.bytes`. Whole segments go, so up to a segment more than the limit stays; and none that reaches
 * beyond the high watermark.
 */
export function segmentsToDelete(
  segments: readonly Segment[],
  state: {
    readonly config: LogConfig;
    readonly nowMs: number;
    readonly highWatermark: number;
    readonly logEndOffset: number;
  },
): number {
  const { retentionMs, retentionBytes } = state.config;
  const mayGo = (index: number): boolean => {
    const next = segments[index + 1];
    if (next !== undefined) return next.baseOffset <= state.highWatermark;
    // The last: only if it holds something, and all of it is committed.
    return segments[index]!.sizeBytes > 0 && state.highWatermark === state.logEndOffset;
  };
  let count = 0;
  if (retentionMs >= 0) {
    while (count < segments.length && mayGo(count)) {
      if (state.nowMs - segments[count]!.retentionTimestampMs <= retentionMs) break;
      count++;
    }
  }
  if (retentionBytes >= 0) {
    let excessBytes = -retentionBytes;
    for (const segment of segments.slice(count)) excessBytes += segment.sizeBytes;
    while (count < segments.length && mayGo(count) && excessBytes - segments[count]!.sizeBytes >= 0) {
      excessBytes -= segments[count]!.sizeBytes;
      count++;
    }
  }
  return count;
}

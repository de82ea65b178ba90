import { RecordReader } from '@millrace/protocol';
import { scanBatches } from './batch-scan.ts';
import type { Segment } from './segment.ts';

export interface OffsetAndTimestamp {
  readonly offset: number;
  readonly timestampMs: number;
  readonly leaderEpoch: number;
}

interface OffsetRange {
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
}

/** The first record at or after a time: the first segment, then the first batch, that reaches it, opened. */
export async function offsetForTimestamp(
  segments: readonly Segment[],
  timestampMs: number,
  range: OffsetRange,
): Promise<OffsetAndTimestamp | null> {
  for (const segment of segments) {
    if (segment.largestTimestampMs < timestampMs) continue;
    if (segment.baseOffset >= range.to) return null;
    const from = Math.max(segment.timeIndex().offsetFor(timestampMs), range.from);
    const found = await findRecord(segment, from, timestampMs, range);
    if (found !== null) return found.offset < range.to ? found : null;
  }
  return null;
}

/** The first record with the greatest timestamp of the range. */
export async function offsetForMaxTimestamp(
  segments: readonly Segment[],
  range: OffsetRange,
): Promise<OffsetAndTimestamp | null> {
  const newestFirst = segments.toSorted((a, b) => b.largestTimestampMs - a.largestTimestampMs);
  for (const segment of newestFirst) {
    if (segment.largestTimestampMs < 0) return null;
    const found = await findRecord(segment, range.from, segment.largestTimestampMs, range);
    if (found !== null) return found;
  }
  return null;
}

async function findRecord(
  segment: Segment,
  fromOffset: number,
  timestampMs: number,
  range: OffsetRange,
): Promise<OffsetAndTimestamp | null> {
  const reader = new RecordReader();
  let found: OffsetAndTimestamp | null = null;
  const options = {
    from: segment.offsetIndex().positionFor(fromOffset - 1),
    to: segment.writtenBytes,
    checksCrc: false,
  };
  await segment.using((file) =>
    scanBatches(file, options, ({ header, bytes, start }) => {
      if (header.baseOffset >= range.to) return false;
      if (header.maxTimestamp < timestampMs || header.baseOffset + header.lastOffsetDelta < range.from) return true;
      reader.reset(bytes, start);
      while (reader.next()) {
        if (reader.timestampMs < timestampMs || reader.offset < range.from) continue;
        found = { offset: reader.offset, timestampMs: reader.timestampMs, leaderEpoch: header.partitionLeaderEpoch };
        return false;
      }
      return true;
    }),
  );
  return found;
}

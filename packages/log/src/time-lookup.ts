import { RecordReader } from '@millrace/protocol';
import { scanBatches } from './batch-scan.ts';
import { segmentIndex } from './segment-list.ts';
import type { Segment } from './segment.ts';

export interface OffsetAndTimestamp {
  readonly offset: number;
  readonly timestampMs: number;
  readonly leaderEpoch: number;
}

/** What a look-up needs of its log. */
export interface SearchedLog {
  /** Its segments now: retention and compaction may change them during a look-up. */
  readonly segments: () => readonly Segment[];
  /** Called before a segment is opened. */
  readonly visit: (segment: Segment) => void;
  /** The offsets that the caller may see. */
  readonly range: OffsetRange;
}

interface OffsetRange {
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
}

/** The first record at or after a time: the first segment, then the first batch, that reaches it, opened. */
export async function offsetForTimestamp(log: SearchedLog, timestampMs: number): Promise<OffsetAndTimestamp | null> {
  const { to } = log.range;
  for (let from = log.range.from; from < to;) {
    const segments = log.segments();
    const index = segmentIndex(segments, from);
    const segment = segments[index]!;
    if (segment.largestTimestampMs >= timestampMs) {
      log.visit(segment);
      const start = Math.max(segment.timeIndex().offsetFor(timestampMs), from);
      const found = await findRecord(segment, start, timestampMs, { from, to });
      if (found !== null) return found;
    }
    const next = segments[index + 1];
    if (next === undefined) return null;
    from = next.baseOffset;
  }
  return null;
}

/** The first record with the greatest timestamp of the range. */
export async function offsetForMaxTimestamp(log: SearchedLog): Promise<OffsetAndTimestamp | null> {
  const searched = new Set<number>();
  let newest: OffsetAndTimestamp | null = null;
  let newestMs = -1;
  for (;;) {
    let best: Segment | undefined;
    for (const segment of log.segments()) {
      if (searched.has(segment.baseOffset) || segment.largestTimestampMs < 0) continue;
      if (best === undefined || segment.largestTimestampMs > best.largestTimestampMs) best = segment;
    }
    if (best === undefined || best.largestTimestampMs <= newestMs) return newest;
    searched.add(best.baseOffset);
    log.visit(best);
    const found = await newestRecord(best, log.range, newestMs);
    if (found === null) continue;
    newest = found;
    newestMs = found.timestampMs;
  }
}

/** Where the index says; or, if that record is out of range or was compacted away, wherever it is. null: none is newer than `aboveMs`. */
async function newestRecord(segment: Segment, range: OffsetRange, aboveMs: number): Promise<OffsetAndTimestamp | null> {
  const { largestTimestampMs } = segment;
  const start = Math.max(segment.offsetOfLargestTimestamp, range.from);
  const found = await findRecord(segment, start, largestTimestampMs, range);
  if (found !== null) return found;
  let newest: OffsetAndTimestamp | null = null;
  let newestMs = aboveMs;
  await scanNewer(
    segment,
    range.from,
    range,
    () => newestMs,
    (record) => {
      newest = record;
      newestMs = record.timestampMs;
      return true;
    },
  );
  return newest;
}

async function findRecord(
  segment: Segment,
  fromOffset: number,
  timestampMs: number,
  range: OffsetRange,
): Promise<OffsetAndTimestamp | null> {
  let found: OffsetAndTimestamp | null = null;
  await scanNewer(
    segment,
    fromOffset,
    range,
    () => timestampMs - 1,
    (record) => {
      found = record;
      return false;
    },
  );
  return found;
}

/** Visits the records of a range that are newer than a time, from about an offset on, until `visit` gives false. */
async function scanNewer(
  segment: Segment,
  fromOffset: number,
  range: OffsetRange,
  newerThanMs: () => number,
  visit: (record: OffsetAndTimestamp) => boolean,
): Promise<void> {
  const reader = new RecordReader();
  const from = segment.offsetIndex().positionFor(fromOffset - 1);
  await segment.using((file) =>
    scanBatches(file, { from, to: segment.writtenBytes, checksCrc: false }, ({ header, bytes, start }) => {
      if (header.baseOffset >= range.to) return false;
      if (header.maxTimestamp <= newerThanMs() || header.baseOffset + header.lastOffsetDelta < range.from) return true;
      reader.reset(bytes, start);
      while (reader.next()) {
        const { offset, timestampMs } = reader;
        if (timestampMs <= newerThanMs() || offset < range.from || offset >= range.to) continue;
        if (!visit({ offset, timestampMs, leaderEpoch: header.partitionLeaderEpoch })) return false;
      }
      return true;
    }),
  );
}

import { segmentIndex } from './segment-list.ts';
import { findBatches } from './segment-reader.ts';
import type { Segment } from './segment.ts';

/** Whole batches of one segment or of several that follow each other. */
export interface SegmentsRead {
  readonly parts: Uint8Array[];
  readonly byteLength: number;
  /** Behind the last batch; the upper offset where nothing is left before it. */
  readonly endOffset: number;
  /** As they were when their bytes were read: which transactions were aborted goes with what was read. */
  readonly segments: readonly Segment[];
}

export interface SegmentsReadOptions {
  readonly offset: number;
  readonly upperOffset: number;
  readonly maxBytes: number;
  readonly minOneBatch: boolean;
  readonly indexIntervalBytes: number;
}

/**
 * Reads from files, on into the segments that follow until `maxBytes`: where they are small, one alone would make a fetch a
 * round trip per few batches. What is below `upperOffset` has been written.
 * @param current the log's segments now: retention and compaction may change them during a read
 * @param visit called before each segment is read
 */
export async function readSegments(
  current: () => readonly Segment[],
  options: SegmentsReadOptions,
  visit: (segment: Segment) => void,
): Promise<SegmentsRead> {
  const { upperOffset } = options;
  const parts: Uint8Array[] = [];
  let segments = current();
  let byteLength = 0;
  let endOffset = options.offset;
  for (let i = segmentIndex(segments, endOffset); i < segments.length; i++) {
    if (segments !== current() && !isStillThere(current(), segments[i]!)) {
      if (parts.length > 0) return { parts, byteLength, endOffset, segments };
      segments = current();
      i = segmentIndex(segments, endOffset);
    }
    const segment = segments[i]!;
    if (segment.baseOffset >= upperOffset) break;
    visit(segment);
    const maxBytes = options.maxBytes - byteLength;
    const minOneBatch = options.minOneBatch && parts.length === 0;
    const found = await findBatches(segment, { ...options, offset: endOffset, maxBytes, minOneBatch });
    if (found === null) continue; // compaction left nothing from here on in this segment
    if (found.bytes.length > 0) parts.push(found.bytes);
    byteLength += found.bytes.length;
    endOffset = found.endOffset;
    if (!found.isSegmentEnd || byteLength >= options.maxBytes) return { parts, byteLength, endOffset, segments };
  }
  return { parts, byteLength, endOffset: parts.length === 0 ? upperOffset : endOffset, segments };
}

function isStillThere(segments: readonly Segment[], segment: Segment): boolean {
  return segments[segmentIndex(segments, segment.baseOffset)] === segment;
}

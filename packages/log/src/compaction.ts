import type { FileSystem } from '@millrace/platform';
import { attributesOf, RecordReader, type BatchHeader } from '@millrace/protocol';
import { scanBatches, type ScannedBatch } from './batch-scan.ts';
import { CleanedTransactions } from './cleaned-transactions.ts';
import { readEndMarker } from './control-batch.ts';
import { CorruptLogError } from './errors.ts';
import { suffixes } from './file-names.ts';
import { KeyOffsetMap } from './key-offset-map.ts';
import { emptyBatch, KeptRecords, rebuildBatch } from './rebuilt-batch.ts';
import { Segment } from './segment.ts';
import type { AbortedTransactionEntry } from './txn-index.ts';

const maxInt32 = 0x7fff_ffff;
const writeBytes = 1_048_576;

/** Runs compactions: in a worker thread (`workerCompactor`), or inline for tests and simulations (`inlineCompactor`). */
export interface Compactor {
  run(task: CompactionTask): Promise<CompactionOutput>;
  close(): Promise<void>;
}

/** What a compaction needs to know of a log. Plain data: it crosses to another thread. */
export interface CompactionTask {
  readonly directory: string;
  /** Sealed and committed, from the log's first on. */
  readonly segments: readonly { readonly baseOffset: number; readonly sizeBytes: number }[];
  /** Behind the last compaction: records from here on may supersede others. */
  readonly firstDirtyOffset: number;
  /** Where the segments end. */
  readonly endOffset: number;
  /** Transactions aborted in or behind the segments. */
  readonly aborted: readonly AbortedTransactionEntry[];
  /** Producers the log remembers, and where their last batch of records ends; −1: only a marker is known, of that epoch. */
  readonly producers: readonly {
    readonly producerId: number;
    readonly producerEpoch: number;
    readonly lastDataOffset: number;
  }[];
  readonly nowMs: number;
  readonly deleteRetentionMs: number;
  readonly segmentBytes: number;
  readonly indexIntervalBytes: number;
}

/** A new segment, in `.cleaned` files, durable, that is to take the place of others. */
export interface CleanedSegment {
  readonly baseOffset: number;
  readonly sourceBaseOffsets: readonly number[];
}

export interface CompactionOutput {
  readonly cleaned: readonly CleanedSegment[];
  /** Up to where the keys fitted in memory: the next compaction begins there. */
  readonly cleanedUpTo: number;
  readonly keptBytes: number;
}

/** What `PartitionLog.compact` did: sizes of the segments looked at. */
export interface CompactionResult {
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

/**
 * Two passes, as Kafka's. The first notes the last offset of each key in what is new. The second copies all segments, without
 * the records that a later one of the same key supersedes, those of aborted transactions, and tombstones whose time has come.
 * Offsets never change.
 * @param pause awaited between segments, so that an inline compaction does not block its loop
 * @throws `CorruptLogError` for a damaged batch: the log cannot be compacted
 */
export async function compactSegments(
  files: FileSystem,
  task: CompactionTask,
  options: { readonly dedupeBufferBytes: number; readonly pause?: (() => Promise<void>) | undefined },
): Promise<CompactionOutput> {
  const sources = task.segments.map(({ baseOffset }) => Segment.existing(files, task.directory, baseOffset, 'read'));
  const map = new KeyOffsetMap(options.dedupeBufferBytes);
  try {
    const mapEndOffset = await noteKeys(sources, task, map);
    const pass = new CleaningPass(files, task, map, mapEndOffset);
    const cleaned: CleanedSegment[] = [];
    let keptBytes = 0;
    for (const group of groupsOf(sources, task, mapEndOffset)) {
      const target = await pass.clean(group);
      keptBytes += target.sizeBytes;
      cleaned.push({ baseOffset: target.baseOffset, sourceBaseOffsets: group.map((segment) => segment.baseOffset) });
      await options.pause?.();
    }
    return { cleaned, cleanedUpTo: mapEndOffset, keptBytes };
  } finally {
    for (const source of sources) source.close();
  }
}

/** Fills the map. Gives the offset behind the last record that it covers. */
async function noteKeys(sources: readonly Segment[], task: CompactionTask, map: KeyOffsetMap): Promise<number> {
  const transactions = new CleanedTransactions(task.aborted);
  const reader = new RecordReader();
  let endOffset = task.firstDirtyOffset;
  let isFull = false;
  for (const [i, segment] of sources.entries()) {
    const nextBase = sources[i + 1]?.baseOffset ?? task.endOffset;
    if (nextBase <= task.firstDirtyOffset) continue;
    const from = segment.offsetIndex().positionFor(task.firstDirtyOffset - 1);
    await walk(segment, from, ({ header, bytes, start }) => {
      const batchEnd = header.baseOffset + header.lastOffsetDelta + 1;
      if (batchEnd <= task.firstDirtyOffset) return true;
      if (!attributesOf.isControl(header.attributes) && !transactions.isAborted(header)) {
        reader.reset(bytes, start);
        while (reader.next()) {
          if (reader.key === null || reader.offset < task.firstDirtyOffset) continue;
          if (map.room === 0) {
            isFull = true;
            endOffset = reader.offset;
            return false;
          }
          map.set(reader.key, reader.offset);
        }
      }
      endOffset = batchEnd;
      return true;
    });
    if (isFull) break; // the next compaction begins there
    endOffset = nextBase;
  }
  return endOffset;
}

/** Neighbours that together fit one segment, up to the one in which the map ends. */
function groupsOf(sources: readonly Segment[], task: CompactionTask, mapEndOffset: number): Segment[][] {
  const groups: Segment[][] = [];
  let bytes = 0;
  for (const [i, segment] of sources.entries()) {
    if (segment.baseOffset >= mapEndOffset) break;
    const endOffset = sources[i + 1]?.baseOffset ?? task.endOffset;
    const group = groups.at(-1);
    const fits =
      group !== undefined &&
      bytes + segment.sizeBytes <= task.segmentBytes &&
      endOffset - group[0]!.baseOffset <= maxInt32;
    if (fits) group.push(segment);
    else groups.push([segment]);
    bytes = fits ? bytes + segment.sizeBytes : segment.sizeBytes;
  }
  return groups;
}

/** The second pass. Transactions reach over segments, so it is one for all groups. */
class CleaningPass {
  readonly #files: FileSystem;
  readonly #task: CompactionTask;
  readonly #map: KeyOffsetMap;
  readonly #mapEndOffset: number;
  readonly #transactions: CleanedTransactions;
  readonly #producers: ReadonlyMap<number, CompactionTask['producers'][number]>;
  readonly #reader: RecordReader = new RecordReader();
  readonly #kept: KeptRecords = new KeptRecords();

  constructor(files: FileSystem, task: CompactionTask, map: KeyOffsetMap, mapEndOffset: number) {
    this.#files = files;
    this.#task = task;
    this.#map = map;
    this.#mapEndOffset = mapEndOffset;
    this.#transactions = new CleanedTransactions(task.aborted);
    this.#producers = new Map(task.producers.map((producer) => [producer.producerId, producer]));
  }

  /** Copies a group into one new segment, and makes it durable under its `.cleaned` names. */
  async clean(group: readonly Segment[]): Promise<Segment> {
    const target = Segment.create(this.#files, this.#task.directory, group[0]!.baseOffset, suffixes.cleaned);
    try {
      for (const [i, source] of group.entries()) {
        const isLastSource = i === group.length - 1;
        await walk(source, 0, (batch) => {
          // The last batch of a group stays, empty if need be, so that the new segment reaches as far as those it replaces.
          const isLast = isLastSource && batch.position + batch.header.sizeBytes === source.sizeBytes;
          const bytes = this.#cleanBatch(batch, target, isLast);
          if (bytes === null) return true;
          const lastOffset = batch.header.baseOffset + batch.header.lastOffsetDelta;
          target.append(bytes, lastOffset, maxTimestampOf(bytes), this.#task.indexIntervalBytes);
          if (target.queuedBytes >= writeBytes) target.write();
          return true;
        });
      }
      target.write();
      target.seal();
      await target.sync();
      await target.syncIndexes();
    } finally {
      target.close();
    }
    return target;
  }

  /** What stays of a batch; null: nothing. */
  #cleanBatch(batch: ScannedBatch, target: Segment, isLast: boolean): Uint8Array | null {
    const { header } = batch;
    const isControl = attributesOf.isControl(header.attributes);
    const hasHorizon = attributesOf.hasDeleteHorizon(header.attributes);
    let discardsRecords = false;
    let startsHorizon = false;
    if (isControl) {
      const marker = readEndMarker(batch.bytes, batch.start);
      if (marker !== null) {
        const { isUnused, aborted } = this.#transactions.sawMarker(header, marker);
        if (aborted !== undefined) target.addAborted(aborted);
        discardsRecords = isUnused && hasHorizon && header.baseTimestamp <= this.#task.nowMs;
        startsHorizon = isUnused && !hasHorizon;
      }
    } else {
      discardsRecords = this.#transactions.sawBatch(header);
    }

    this.#kept.clear();
    if (!discardsRecords) {
      this.#reader.reset(batch.bytes, batch.start);
      while (this.#reader.next()) {
        if (!isControl && !this.#staysRecord(header, hasHorizon)) continue;
        this.#kept.add(this.#reader);
        if (!isControl && this.#reader.valueLength < 0 && !hasHorizon) startsHorizon = true;
      }
    }
    if (this.#kept.count === 0) {
      return isLast || this.#isLastOfProducer(header, isControl) ? emptyBatch(header) : null;
    }
    if (this.#kept.count === header.recordCount && !startsHorizon) {
      return batch.bytes.slice(batch.start, batch.start + header.sizeBytes);
    }
    let horizonMs = hasHorizon ? header.baseTimestamp : null;
    if (startsHorizon) horizonMs = this.#task.nowMs + this.#task.deleteRetentionMs;
    return rebuildBatch(header, this.#reader.bytes, this.#kept, horizonMs);
  }

  #staysRecord(header: BatchHeader, hasHorizon: boolean): boolean {
    const { offset, key, valueLength } = this.#reader;
    if (offset >= this.#mapEndOffset) return true;
    if (key === null || offset < this.#map.get(key)) return false;
    return valueLength >= 0 || !hasHorizon || this.#task.nowMs < header.baseTimestamp;
  }

  /** Recovery must find an active producer's last sequence, or at least its epoch. */
  #isLastOfProducer(header: BatchHeader, isControl: boolean): boolean {
    const producer = header.producerId < 0 ? undefined : this.#producers.get(header.producerId);
    if (producer === undefined) return false;
    if (producer.lastDataOffset < 0) return isControl && header.producerEpoch === producer.producerEpoch;
    return header.baseOffset + header.lastOffsetDelta === producer.lastDataOffset;
  }
}

/** Every batch of a segment. Unlike recovery, compaction must not stop at a damaged one and call the rest gone. */
async function walk(segment: Segment, from: number, visit: (batch: ScannedBatch) => boolean): Promise<void> {
  let stopped = false;
  const end = await scanBatches(segment.file(), { from, to: segment.sizeBytes, checksCrc: true }, (batch) => {
    stopped = !visit(batch);
    return !stopped;
  });
  if (!stopped && end < segment.sizeBytes) {
    throw new CorruptLogError(segment.path(suffixes.log), `The batch at position ${end} is damaged.`);
  }
}

function maxTimestampOf(bytes: Uint8Array): number {
  return Number(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigInt64(35));
}

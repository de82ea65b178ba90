import { memoryFileSystem, type FileSystem } from '@millrace/platform';
import { VirtualClock } from '@millrace/platform/simulated';
import { RecordBatchWriter, RecordReader, readBatchHeader, type CloseBatchOptions } from '@millrace/protocol';
import { GroupCommit, type FlushMode } from '../group-commit.ts';
import { defaultLogConfig, type LogConfig } from '../log-config.ts';
import type { ReadOptions, ReadResult } from '../log-types.ts';
import { PartitionLog } from '../partition-log.ts';
import { TailCache } from '../tail-cache.ts';

/** A record as tests write and read it: `key=value`, the value alone, or `key=` for a tombstone. */
export interface TestRecord {
  readonly key?: string | null | undefined;
  readonly value: string | null;
  readonly timestampMs?: number | undefined;
}

/** A batch as a client sends it. */
export function batch(records: readonly (string | TestRecord)[], options: CloseBatchOptions = {}): Uint8Array {
  const writer = new RecordBatchWriter();
  for (const record of records) {
    const { key, value, timestampMs } = typeof record === 'string' ? { key: null, value: record } : record;
    writer.append(timestampMs ?? 1000, bytesOrNull(key ?? null), bytesOrNull(value));
  }
  return new Uint8Array(writer.close(options));
}

function bytesOrNull(text: string | null): Uint8Array | null {
  return text === null ? null : Buffer.from(text);
}

export interface ReadRecord {
  readonly offset: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly timestampMs: number;
  readonly isControl: boolean;
  readonly producerId: number;
}

/** All records of whole batches. */
export function recordsOf(parts: readonly Uint8Array[]): ReadRecord[] {
  const records: ReadRecord[] = [];
  const reader = new RecordReader();
  for (const part of parts) {
    for (let position = 0; position < part.length;) {
      reader.reset(part, position);
      const header = readBatchHeader(part, position);
      while (reader.next()) {
        records.push({
          offset: reader.offset,
          key: reader.key === null ? null : Buffer.from(reader.key).toString(),
          value: reader.value === null ? null : Buffer.from(reader.value).toString(),
          timestampMs: reader.timestampMs,
          isControl: (header.attributes & 0x20) !== 0,
          producerId: header.producerId,
        });
      }
      position += header.sizeBytes;
    }
  }
  return records;
}

/** A log on a virtual clock, with all that it needs. */
export class LogHarness {
  readonly files: FileSystem;
  readonly clock: VirtualClock;
  readonly failures: Error[] = [];
  commits: GroupCommit;
  tailCache: TailCache;
  config: LogConfig;
  readonly topic: string;
  readonly directory: string;
  readonly topicId: string;
  readonly #flush: FlushMode;
  readonly #tailCacheBytes: number;

  constructor(
    options: {
      readonly files?: FileSystem | undefined;
      readonly config?: Partial<LogConfig> | undefined;
      readonly flush?: FlushMode | undefined;
      readonly tailCacheBytes?: number | undefined;
      readonly topic?: string | undefined;
      readonly directory?: string | undefined;
      readonly topicId?: string | undefined;
      readonly clock?: VirtualClock | undefined;
    } = {},
  ) {
    this.files = options.files ?? memoryFileSystem();
    this.clock = options.clock ?? new VirtualClock(1_000_000);
    this.config = { ...defaultLogConfig, ...options.config };
    this.topic = options.topic ?? 'orders';
    this.directory = options.directory ?? '/data/orders-0';
    this.topicId = options.topicId ?? 'AAAAAAAAAAAAAAAAAAAAAQ';
    this.#flush = options.flush ?? 'commit';
    this.#tailCacheBytes = options.tailCacheBytes ?? 1_048_576;
    this.commits = this.#newCommits();
    this.tailCache = new TailCache({ maxBytes: this.#tailCacheBytes });
  }

  /** As a broker that has just started would: with a commit and a cache of its own. */
  open(options: { readonly wasClosedCleanly?: boolean | undefined } = {}): Promise<PartitionLog> {
    this.commits = this.#newCommits();
    this.tailCache = new TailCache({ maxBytes: this.#tailCacheBytes });
    return PartitionLog.open({
      topic: this.topic,
      partition: 0,
      directory: this.directory,
      topicId: this.topicId,
      files: this.files,
      clock: this.clock,
      commits: this.commits,
      config: this.config,
      tailCache: this.tailCache,
      wasClosedCleanly: options.wasClosedCleanly ?? false,
    });
  }

  /** Lets the turn end and what it commits become durable. */
  async settle(): Promise<void> {
    await this.clock.advance(0);
    await this.clock.advance(0);
  }

  /** Appends, and waits until it is durable. */
  async append(log: PartitionLog, bytes: Uint8Array): Promise<number> {
    const { baseOffset, commit } = log.append(bytes, 'client');
    await Promise.all([commit.done, this.settle()]);
    return baseOffset;
  }

  /** Closes while the clock runs. */
  async close(log: PartitionLog): Promise<void> {
    await Promise.all([log.close(), this.settle()]);
  }

  #newCommits(): GroupCommit {
    return new GroupCommit({
      flush: this.#flush,
      clock: this.clock,
      onFailure: (error) => void this.failures.push(error),
    });
  }
}

/** Reads from an offset to the end, fetch by fetch. */
export async function readAll(
  log: PartitionLog,
  from: number = log.logStartOffset,
  options: Partial<ReadOptions> = {},
): Promise<ReadRecord[]> {
  const records: ReadRecord[] = [];
  for (let offset = from; ;) {
    const result: ReadResult = await log.read(offset, {
      maxBytes: 1_048_576,
      minOneBatch: true,
      isolation: 'read_uncommitted',
      ...options,
    });
    if (result.parts.length === 0) return records;
    records.push(...recordsOf(result.parts).filter((record) => record.offset >= offset));
    const last = result.parts.at(-1)!;
    let end = offset;
    for (let position = 0; position < last.length;) {
      const header = readBatchHeader(last, position);
      end = header.baseOffset + header.lastOffsetDelta + 1;
      position += header.sizeBytes;
    }
    offset = end;
  }
}

/** The values alone, in order. */
export async function values(log: PartitionLog): Promise<(string | null)[]> {
  return (await readAll(log)).filter((record) => !record.isControl).map((record) => record.value);
}

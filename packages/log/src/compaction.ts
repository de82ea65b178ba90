/** Runs compactions: in a worker thread (`workerCompactor`), or inline for tests and simulations. */
export interface Compactor {
  run(task: CompactionTask): Promise<CompactionOutput>;
  close(): Promise<void>;
}

/** What a compaction needs to know of a log. Plain data: it crosses to another thread. */
export interface CompactionTask {
  readonly directory: string;
}

export interface CompactionOutput {
  readonly keptBytes: number;
}

export interface CompactionResult {
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

import type { FileSystem } from '@millrace/platform';
import { checkpoint, replaceFiles, syncIfThere, writeDurably, type FileContent } from './checkpoint-file.ts';
import type { PartitionAt } from './errors.ts';
import { offsetOfFileName, segmentFileName, suffixes } from './file-names.ts';
import { encodeProducerSnapshot } from './producer-snapshot.ts';
import type { ProducerState } from './producer-state.ts';

/** Files of a log that belong to no one segment. */
export const checkpointNames = {
  leaderEpochs: 'leader-epoch-checkpoint',
  logStartOffset: 'log-start-offset-checkpoint',
  recoveryPoint: 'recovery-point-offset-checkpoint',
  cleanerOffset: 'cleaner-offset-checkpoint',
  metadata: 'partition.metadata',
} as const;

/** Writes a log's checkpoints and its snapshots of producers. */
export class LogCheckpoints {
  readonly #files: FileSystem;
  readonly #directory: string;
  readonly #at: PartitionAt;

  constructor(files: FileSystem, directory: string, at: PartitionAt) {
    this.#files = files;
    this.#directory = directory;
    this.#at = at;
  }

  /** What a checkpoint of this log alone holds. */
  offset(name: string, offset: number): FileContent {
    return checkpoint(`${this.#directory}/${name}`, [[this.#at.topic, this.#at.partition, offset]]);
  }

  /** Durable, each whole, when it resolves. */
  replace(contents: readonly FileContent[]): Promise<void> {
    return replaceFiles(this.#files, this.#directory, contents);
  }

  /** To the page cache: a snapshot that a crash damages is told by its CRC, and an older one used. */
  writeSnapshot(producers: ProducerState, offset: number): void {
    const file = this.#files.open(this.#snapshotPath(offset), 'write');
    try {
      file.truncate(0);
      file.writev([encodeProducerSnapshot([...producers.entries()])], 0);
    } finally {
      file.close();
    }
  }

  syncSnapshot(offset: number): Promise<void> {
    return syncIfThere(this.#files, this.#snapshotPath(offset));
  }

  writeSnapshotDurably(producers: ProducerState, offset: number): Promise<void> {
    return writeDurably(this.#files, this.#snapshotPath(offset), encodeProducerSnapshot([...producers.entries()]));
  }

  /** Removes snapshots of earlier closings, behind no segment. */
  removeSnapshotsExcept(offsets: ReadonlySet<number>): void {
    for (const name of this.#files.list(this.#directory)) {
      if (!name.endsWith(suffixes.snapshot) || offsets.has(offsetOfFileName(name) ?? -1)) continue;
      this.#files.remove(`${this.#directory}/${name}`);
    }
  }

  #snapshotPath(offset: number): string {
    return `${this.#directory}/${segmentFileName(offset, suffixes.snapshot)}`;
  }
}

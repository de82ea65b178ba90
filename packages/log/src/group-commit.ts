import type { Clock, Logger } from '@millrace/platform';
import type { PartitionLog } from './partition-log.ts';

/** `'commit'`: an append is answered when it is on disk. `'os'`: when it is in the page cache. `'interval:50'`: the latter, with a sync every 50 ms. */
export type FlushMode = 'commit' | 'os' | `interval:${number}`;

/** All that was appended, to any log, in one turn of the event loop: written together, synced together, seen together. */
export interface Commit {
  /**
   * Resolves when everything of this turn is written and durable (as the flush mode has it), and visible to consumers.
   * Rejects with `KafkaStorageError`: the disk failed, nothing of the turn is acknowledged.
   */
  readonly done: Promise<void>;
}

/**
 * Durability is one commit for the whole broker, not a property of a log. At the end of each turn every dirty log issues one
 * write, then one commit makes all of them durable. While it is under way, the next turns gather for the next commit.
 */
export declare class GroupCommit {
  constructor(options: {
    readonly flush: FlushMode;
    readonly clock: Clock;
    readonly logger?: Logger | undefined;
    /** Called once, when the disk has failed. The broker closes: no retry, as the kernel may have dropped the pages. */
    readonly onFailure: (error: Error) => void;
  });
  /** The commit that will cover what is appended now. Called by logs; schedules the turn's end. */
  enlist(log: PartitionLog): Commit;
  /** Resolves when all that was enlisted is durable. For closing. */
  drain(): Promise<void>;
}

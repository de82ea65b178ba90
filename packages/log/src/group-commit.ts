import { silentLogger, type Clock, type Logger } from '@millrace/platform';
import { KafkaStorageError } from './errors.ts';

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

/** What a log shows to the commit. Called in this order, once per commit. */
export interface CommitMember {
  /** Hands what is queued to the page cache. A throw is the disk's failure. */
  write(): void;
  /** Makes what was written durable. */
  sync(): Promise<void>;
  /** All that was written before the last `sync` (or, in the modes that do not wait for it, `write`) is committed. */
  committed(): void;
  /** Wakes readers. Every log of the commit has moved its high watermark by now. */
  announce(): void;
  /** The disk failed: the log closes. */
  fail(error: KafkaStorageError): void;
}

class PendingCommit implements Commit {
  readonly done: Promise<void>;
  readonly members: Set<CommitMember> = new Set();
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;

  constructor() {
    let settle: [() => void, (error: Error) => void];
    this.done = new Promise((resolve, reject) => (settle = [resolve, reject]));
    [this.resolve, this.reject] = settle!;
    // Whoever needs the disk awaits `done`; an append with acks=1 does not, and its rejection must not end the process:
    // `onFailure` tells of it.
    this.done.catch(() => {});
  }
}

/**
 * Durability is one commit for the whole broker, not a property of a log. At the end of each turn every dirty log issues one
 * write, then one commit makes all of them durable. While it is under way, the next turns gather for the next commit.
 */
export class GroupCommit {
  readonly #flush: FlushMode;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #onFailure: (error: Error) => void;
  readonly #intervalMs: number;
  #gathering: PendingCommit | undefined;
  #underWay: PendingCommit | undefined;
  #turnEndIsScheduled = false;
  #failure: KafkaStorageError | undefined;
  /** Interval mode: written, not yet synced. */
  #unsynced: Set<CommitMember> = new Set();
  #intervalSync: Promise<void> | undefined;

  constructor(options: {
    readonly flush: FlushMode;
    readonly clock: Clock;
    readonly logger?: Logger | undefined;
    /** Called once, when the disk has failed. The broker closes: no retry, as the kernel may have dropped the pages. */
    readonly onFailure: (error: Error) => void;
  }) {
    this.#flush = options.flush;
    this.#clock = options.clock;
    this.#logger = options.logger ?? silentLogger;
    this.#onFailure = options.onFailure;
    const interval = /^interval:(\d+)$/.exec(options.flush)?.[1];
    if (interval === undefined && options.flush !== 'commit' && options.flush !== 'os') {
      throw new RangeError(`flush is '${options.flush}': use 'commit', 'os' or 'interval:MS' with whole milliseconds`);
    }
    this.#intervalMs = Number(interval ?? 0);
  }

  /** Whether nothing but the logs themselves ever syncs. */
  get isUnsynced(): boolean {
    return this.#flush === 'os';
  }

  /** The disk's failure, if it has failed: nothing more is written. */
  get failure(): KafkaStorageError | undefined {
    return this.#failure;
  }

  /** The commit that will cover what is appended now. Called by logs; schedules the turn's end. */
  enlist(log: CommitMember): Commit {
    if (this.#failure !== undefined) throw this.#failure;
    const commit = (this.#gathering ??= new PendingCommit());
    commit.members.add(log);
    if (!this.#turnEndIsScheduled && this.#underWay === undefined) this.#scheduleTurnEnd();
    return commit;
  }

  /** Resolves when all that was enlisted is durable. For closing. @throws `KafkaStorageError` */
  async drain(): Promise<void> {
    while (this.#gathering !== undefined || this.#underWay !== undefined) {
      await (this.#gathering ?? this.#underWay)!.done;
    }
    if (this.#unsynced.size > 0 || this.#intervalSync !== undefined) await this.#syncInterval();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** A log's disk failed outside of a commit (a roll, a read of its own tail): the same as within. */
  fail(cause: unknown): KafkaStorageError {
    if (this.#failure !== undefined) return this.#failure;
    const error = new KafkaStorageError(
      `The disk failed: ${messageOf(cause)} Nothing that was not acknowledged may be counted on; the broker closes. ` +
        'Mend the disk and start again: recovery keeps all that was acknowledged.',
      {},
      cause,
    );
    this.#failure = error;
    this.#logger.error({ error }, 'the disk failed');
    const pending = [this.#underWay, this.#gathering].filter((commit) => commit !== undefined);
    this.#gathering = undefined;
    this.#underWay = undefined;
    const members = new Set([...this.#unsynced, ...pending.flatMap((commit) => [...commit.members])]);
    this.#unsynced.clear();
    for (const member of members) member.fail(error);
    for (const commit of pending) commit.reject(error);
    this.#onFailure(error);
    return error;
  }

  #scheduleTurnEnd(): void {
    this.#turnEndIsScheduled = true;
    this.#clock.defer(() => {
      this.#turnEndIsScheduled = false;
      if (this.#failure === undefined && this.#underWay === undefined) this.#endTurn();
    });
  }

  #endTurn(): void {
    const commit = this.#gathering;
    if (commit === undefined) return;
    this.#gathering = undefined;
    this.#underWay = commit;
    try {
      for (const member of commit.members) member.write();
    } catch (error) {
      this.fail(error);
      return;
    }
    if (this.#flush === 'commit') {
      void this.#syncAll(commit.members).then(() => this.#finish(commit));
      return;
    }
    if (this.#flush !== 'os') {
      if (this.#unsynced.size === 0) this.#clock.after(this.#intervalMs, () => void this.#syncInterval());
      for (const member of commit.members) this.#unsynced.add(member);
    }
    this.#finish(commit);
  }

  /** Never rejects: a failure ends everything. */
  async #syncAll(members: ReadonlySet<CommitMember>): Promise<void> {
    try {
      if (members.size === 1) for (const member of members) await member.sync();
      else await Promise.all([...members].map((member) => member.sync()));
    } catch (error) {
      this.fail(error);
    }
  }

  #finish(commit: PendingCommit): void {
    if (this.#underWay !== commit) return; // failed meanwhile
    this.#underWay = undefined;
    for (const member of commit.members) member.committed();
    for (const member of commit.members) member.announce();
    commit.resolve();
    // What gathered during the sync goes at once, unless this turn's end is still to come.
    if (this.#gathering !== undefined && !this.#turnEndIsScheduled) this.#endTurnSoon();
  }

  #endTurnSoon(): void {
    // Answers that this commit set free bring new appends in this very turn: they belong to the next commit as well.
    this.#scheduleTurnEnd();
  }

  async #syncInterval(): Promise<void> {
    while (this.#intervalSync !== undefined) await this.#intervalSync; // the next may be another's as well
    const members = this.#unsynced;
    if (members.size === 0) return;
    this.#unsynced = new Set();
    this.#intervalSync = this.#syncAll(members);
    await this.#intervalSync;
    this.#intervalSync = undefined;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

import assert from 'node:assert/strict';
import type { BytesConsumer, FetchedRecords, TopicPartitionOffset } from '@millrace/client/bytes';

/** Part of a log to be read into a store. */
export interface Replay {
  readonly topic: string;
  readonly partition: number;
  readonly fromOffset: number;
  /** The replay is complete when all before this offset is applied. */
  readonly untilOffset: number;
  /** Go on after that, until stopped: global tables follow their topic. Default false. */
  readonly isFollowing?: boolean | undefined;
  /** Called with each fetch, in order, and awaited: a slow store slows the reader. Records from `untilOffset` on are not to be applied, unless it is followed. */
  readonly apply: (fetched: FetchedRecords) => void | Promise<void>;
}

interface ActiveReplay extends Replay {
  nextOffset: number;
  isComplete: boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Reads changelogs into stores: all that an instance restores or follows at a time, through one consumer outside any group.
 * It runs beside the processing loop, so tasks that are ready do not wait for those that are not.
 */
export class ChangelogReader {
  readonly #consumer: BytesConsumer;
  readonly #onFailure: (error: unknown) => void;
  readonly #replays = new Map<string, ActiveReplay>();
  #isClosed = false;
  #closedBy: unknown;
  #isReading = false;

  /**
   * @param consumer without a group, `read_committed`, `autoOffsetReset: 'none'`; closed with the reader
   * @param onFailure the reader has stopped; its replays are rejected, those that follow a log have nobody else to tell
   */
  constructor(consumer: BytesConsumer, onFailure: (error: unknown) => void) {
    this.#consumer = consumer;
    this.#onFailure = onFailure;
  }

  /** Resolves when `untilOffset` is reached; at once, if there is nothing to read. Rejects if it is stopped before. */
  replay(replay: Replay): Promise<void> {
    const id = idOf(replay);
    assert(!this.#replays.has(id), `${id} is replayed once at a time`);
    if (replay.fromOffset >= replay.untilOffset && replay.isFollowing !== true) return Promise.resolve();
    if (this.#isClosed) return Promise.reject(this.#closedBy as Error);
    return new Promise((resolve, reject) => {
      const isComplete = replay.fromOffset >= replay.untilOffset;
      if (isComplete) resolve();
      this.#replays.set(id, { ...replay, nextOffset: replay.fromOffset, isComplete, resolve, reject });
      this.#assign();
    });
  }

  /** Does nothing where nothing is replayed. `reason`: what an incomplete replay rejects with. */
  stop(topic: string, partition: number, reason: unknown): void {
    const id = idOf({ topic, partition });
    const replay = this.#replays.get(id);
    if (replay === undefined) return;
    this.#replays.delete(id);
    replay.reject(reason);
    this.#assign();
  }

  /** In the logs that are followed, and not read yet. */
  get lagRecords(): number {
    let lag = 0;
    for (const replay of this.#replays.values()) {
      lag += Math.max(0, (this.#consumer.endOffset(replay) ?? replay.untilOffset) - replay.nextOffset);
    }
    return lag;
  }

  async close(reason: unknown): Promise<void> {
    this.#isClosed = true;
    this.#closedBy = reason;
    this.#fail(reason);
    await this.#consumer.close();
  }

  #assign(): void {
    if (this.#isClosed) return;
    const positions: TopicPartitionOffset[] = [...this.#replays.values()].map(({ topic, partition, nextOffset }) => ({
      topic,
      partition,
      offset: nextOffset,
    }));
    this.#consumer.assign(positions);
    if (!this.#isReading && positions.length > 0) {
      this.#isReading = true;
      void this.#read();
    }
  }

  async #read(): Promise<void> {
    try {
      while (this.#replays.size > 0 && !this.#isClosed) {
        const fetched = await this.#consumer.poll(pollMs);
        if (fetched !== null) await this.#take(fetched);
      }
    } catch (error) {
      if (this.#isClosed) return;
      this.#fail(error);
      this.#onFailure(error);
    } finally {
      this.#isReading = false;
    }
  }

  async #take(fetched: FetchedRecords): Promise<void> {
    const replay = this.#replays.get(idOf(fetched));
    if (replay === undefined || fetched.firstOffset !== replay.nextOffset) return; // from before the last assign
    await replay.apply(fetched);
    if (this.#replays.get(idOf(fetched)) !== replay) return; // stopped meanwhile
    replay.nextOffset = fetched.nextOffset;
    if (replay.nextOffset < replay.untilOffset || replay.isComplete) return;
    replay.isComplete = true;
    replay.resolve();
    if (replay.isFollowing === true) return;
    this.#replays.delete(idOf(fetched));
    this.#assign();
  }

  #fail(error: unknown): void {
    const replays = [...this.#replays.values()];
    this.#replays.clear();
    for (const replay of replays) replay.reject(error);
  }
}

/** How long a poll waits for data. Nothing hangs on it: fetches wake it. */
const pollMs = 1000;

function idOf({ topic, partition }: { readonly topic: string; readonly partition: number }): string {
  return `${topic}-${partition}`;
}

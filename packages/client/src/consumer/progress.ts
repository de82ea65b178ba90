import type { TopicPartitionId, TopicPartitionOffset } from '../bytes/types.ts';
import type { Position } from '../positions.ts';

/** The batch a loop is in. */
interface Current {
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly Position[];
  readonly lastOffset: number;
}

interface PartitionProgress extends TopicPartitionId {
  /** Offset after what is done. */
  done: number;
  /** Offset after what was handed out. */
  handedOut: number;
  hasUncommitted: boolean;
}

/**
 * What a loop has been given and what it has done with: asking for the next says that the last is done. Kept up by batch; within
 * a batch only an index moves.
 */
export class Progress {
  readonly #partitions = new Map<string, PartitionProgress>();
  #current: Current | undefined;
  /** Records of the current batch that were handed out. */
  #index = 0;
  #isWhole = false;

  /** The batch that is handed out next: as a whole, or by `next`. */
  begin(batch: Current, isWhole: boolean): void {
    this.#current = batch;
    this.#index = isWhole ? batch.records.length : 0;
    this.#isWhole = isWhole;
  }

  /** The next record of the current batch, the one before being done; undefined: all of them are. */
  next(): Position | undefined {
    const current = this.#current;
    if (current === undefined) return undefined;
    const record = current.records[this.#index];
    if (record === undefined) this.batchDone();
    else this.#index++;
    return record;
  }

  /** The loop asks for more, and is to wait: the record in hand is done. */
  recordDone(): void {
    const current = this.#current;
    if (current === undefined || this.#index === 0) return;
    const { topic, partition, records } = current;
    if (this.#index === records.length) this.batchDone();
    else this.#setDone({ topic, partition }, records[this.#index - 1]!.offset + 1);
  }

  /** What is left of the current batch is not handed out; gives back where that begins, if it is of this partition. */
  cut({ topic, partition }: TopicPartitionId): number | undefined {
    const current = this.#current;
    if (current?.topic !== topic || current.partition !== partition) return undefined;
    const next = current.records[this.#index];
    if (next === undefined) return undefined;
    this.#current = { ...current, records: current.records.slice(0, this.#index), lastOffset: next.offset - 1 };
    return next.offset;
  }

  /** The loop asks for more than the current batch: all of it is done. */
  batchDone(): void {
    const current = this.#current;
    if (current === undefined) return;
    this.#current = undefined;
    this.#setDone(current, current.lastOffset + 1);
  }

  /** There was nothing for the loop up to here. */
  skipped({ topic, partition, offset }: Position): void {
    this.#setDone({ topic, partition }, offset);
  }

  /** The loop goes on elsewhere: that is what the group should know (as Kafka has it). */
  sought({ topic, partition, offset }: Position): void {
    if (this.#current?.topic === topic && this.#current.partition === partition) this.#current = undefined;
    this.#setDone({ topic, partition }, offset);
  }

  /** Offset after what was handed out of a partition. */
  handedOut({ topic, partition }: TopicPartitionId): number | undefined {
    this.#noteCurrent();
    return this.#partitions.get(keyOf(topic, partition))?.handedOut;
  }

  allHandedOut(): TopicPartitionOffset[] {
    this.#noteCurrent();
    return [...this.#partitions.values()].map(({ topic, partition, handedOut }) => ({
      topic,
      partition,
      offset: handedOut,
    }));
  }

  /** What is done and not committed yet; it counts as committed now. */
  takeDone(of?: readonly TopicPartitionId[]): TopicPartitionOffset[] {
    this.#noteCurrent();
    const wanted = of && new Set(of.map(({ topic, partition }) => keyOf(topic, partition)));
    const taken: TopicPartitionOffset[] = [];
    for (const [key, progress] of this.#partitions) {
      if (!progress.hasUncommitted || (wanted && !wanted.has(key))) continue;
      progress.hasUncommitted = false;
      taken.push({ topic: progress.topic, partition: progress.partition, offset: progress.done });
    }
    return taken;
  }

  /** They were not committed after all. */
  giveBack(offsets: readonly TopicPartitionOffset[]): void {
    for (const { topic, partition } of offsets) {
      const progress = this.#partitions.get(keyOf(topic, partition));
      if (progress !== undefined) progress.hasUncommitted = true;
    }
  }

  drop(partitions: readonly TopicPartitionId[]): void {
    for (const { topic, partition } of partitions) {
      this.#partitions.delete(keyOf(topic, partition));
      if (this.#current?.topic === topic && this.#current.partition === partition) this.#current = undefined;
    }
  }

  /** Within the current batch the record in hand is not done, those before it are. */
  #noteCurrent(): void {
    const current = this.#current;
    if (current === undefined || this.#index === 0) return;
    const { topic, partition, records, lastOffset } = current;
    const inHand = records[this.#index - 1]!.offset;
    const progress = this.#progressOf(topic, partition, records[0]!.offset);
    progress.handedOut = this.#index === records.length ? lastOffset + 1 : inHand + 1;
    if (!this.#isWhole && inHand > progress.done) {
      progress.done = inHand;
      progress.hasUncommitted = true;
    }
  }

  #setDone({ topic, partition }: TopicPartitionId, offset: number): void {
    const progress = this.#progressOf(topic, partition, offset);
    progress.done = offset;
    progress.handedOut = offset;
    progress.hasUncommitted = true;
  }

  #progressOf(topic: string, partition: number, offset: number): PartitionProgress {
    const key = keyOf(topic, partition);
    let progress = this.#partitions.get(key);
    if (progress === undefined) {
      progress = { topic, partition, done: offset, handedOut: offset, hasUncommitted: false };
      this.#partitions.set(key, progress);
    }
    return progress;
  }
}

function keyOf(topic: string, partition: number): string {
  return `${partition}/${topic}`;
}

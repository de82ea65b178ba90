import type { BatchHeader } from '@millrace/protocol';
import { attributesOf } from '@millrace/protocol';
import {
  InvalidProducerEpochError,
  InvalidTxnStateError,
  OutOfOrderSequenceError,
  TransactionCoordinatorFencedError,
  type PartitionAt,
} from './errors.ts';
import type { AbortedTransactionEntry } from './txn-index.ts';

/** Batches remembered per producer: what a producer may have in flight and send again. */
const rememberedBatches = 5;
const maxSequence = 0x7fff_ffff;

interface BatchRecord {
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly firstOffset: number;
  readonly lastOffset: number;
  readonly timestampMs: number;
}

/** What the log knows of one producer. */
export interface ProducerEntry {
  readonly producerId: number;
  epoch: number;
  /** Of the coordinator that ended its last transaction; −1: none. */
  coordinatorEpoch: number;
  lastTimestampMs: number;
  /** −1: no transaction is open. */
  currentTxnFirstOffset: number;
  /** Oldest first, at most five, all of `epoch`. */
  batches: BatchRecord[];
}

/** A batch that is in the log already. */
export interface DuplicateBatch {
  readonly firstOffset: number;
  readonly lastOffset: number;
  readonly timestampMs: number;
}

/** What a control batch says. */
export interface EndMarker {
  readonly isCommit: boolean;
  readonly coordinatorEpoch: number;
}

interface CompletedTransaction {
  readonly firstOffset: number;
  readonly lastOffset: number;
}

/**
 * Idempotent and transactional producers of one log: which batch must come next, which were here already, which
 * transactions are open, and from where on consumers of committed records may not read yet.
 */
export class ProducerState {
  readonly #at: PartitionAt;
  readonly #producers: Map<number, ProducerEntry> = new Map();
  /** First offsets of open transactions by producer, in the order of their offsets: the oldest is first. */
  readonly #open: Map<number, number> = new Map();
  /** Ended, but the marker is not durable yet: a crash may open them again. */
  #undecided: CompletedTransaction[] = [];

  constructor(at: PartitionAt) {
    this.#at = at;
  }

  get size(): number {
    return this.#producers.size;
  }

  entries(): IterableIterator<ProducerEntry> {
    return this.#producers.values();
  }

  get(producerId: number): ProducerEntry | undefined {
    return this.#producers.get(producerId);
  }

  /** From here on, transactions are open or their end is not durable; undefined: none is. */
  get firstUnstableOffset(): number | undefined {
    let first: number | undefined;
    for (const firstOpen of this.#open.values()) {
      first = firstOpen;
      break;
    }
    // They are in the order of their ends.
    for (const { firstOffset } of this.#undecided) {
      if (first === undefined || firstOffset < first) first = firstOffset;
    }
    return first;
  }

  /** The high watermark has moved: ends of transactions before it are final. */
  highWatermarkMoved(highWatermark: number): void {
    if (this.#undecided.length === 0) return;
    this.#undecided = this.#undecided.filter((transaction) => transaction.lastOffset >= highWatermark);
  }

  /**
   * Whether a batch of records may be appended. Gives the batch it repeats, if it does: same epoch, and exactly the
   * sequences of one of the last five.
   * @throws `InvalidProducerEpochError`, `OutOfOrderSequenceError`, `InvalidTxnStateError`
   */
  check(header: BatchHeader, checksSequence: boolean): DuplicateBatch | undefined {
    const entry = this.#producers.get(header.producerId);
    if (entry === undefined) return undefined; // lost to retention or never seen: any sequence begins (KIP-360)
    const { producerId, producerEpoch, baseSequence } = header;
    if (checksSequence && producerEpoch === entry.epoch) {
      const lastSequence = addSequence(baseSequence, header.recordCount - 1);
      for (const batch of entry.batches) {
        if (batch.firstSequence === baseSequence && batch.lastSequence === lastSequence) return batch;
      }
    }
    if (producerEpoch < entry.epoch) {
      throw new InvalidProducerEpochError(this.#at, { producerId, producerEpoch, currentEpoch: entry.epoch });
    }
    if (checksSequence) {
      const isNewEpoch = producerEpoch !== entry.epoch;
      const lastSequence = isNewEpoch ? -1 : (entry.batches.at(-1)?.lastSequence ?? -1);
      if (baseSequence !== addSequence(lastSequence, 1)) {
        throw new OutOfOrderSequenceError(this.#at, { producerId, sequence: baseSequence, lastSequence });
      }
    }
    if (entry.currentTxnFirstOffset >= 0 && !attributesOf.isTransactional(header.attributes)) {
      throw new InvalidTxnStateError(this.#at, producerId);
    }
    return undefined;
  }

  /** A batch of records was appended, or is read again during recovery. */
  append(header: BatchHeader, baseOffset: number, timestampMs: number): void {
    const entry = this.#entryFor(header.producerId, header.producerEpoch);
    const lastOffset = baseOffset + header.lastOffsetDelta;
    entry.batches.push({
      firstSequence: header.baseSequence,
      // By offsets: compaction lessens the count, and keeps the last offset delta.
      lastSequence: header.baseSequence < 0 ? -1 : addSequence(header.baseSequence, header.lastOffsetDelta),
      firstOffset: baseOffset,
      lastOffset,
      timestampMs,
    });
    if (entry.batches.length > rememberedBatches) entry.batches.shift();
    entry.lastTimestampMs = timestampMs;
    if (attributesOf.isTransactional(header.attributes) && entry.currentTxnFirstOffset < 0) {
      entry.currentTxnFirstOffset = baseOffset;
      this.#open.set(header.producerId, baseOffset);
    }
  }

  /** @throws `InvalidProducerEpochError`, `TransactionCoordinatorFencedError` */
  checkMarker(producerId: number, producerEpoch: number, coordinatorEpoch: number): void {
    const entry = this.#producers.get(producerId);
    if (entry === undefined) return;
    if (producerEpoch < entry.epoch) {
      throw new InvalidProducerEpochError(this.#at, { producerId, producerEpoch, currentEpoch: entry.epoch });
    }
    if (coordinatorEpoch < entry.coordinatorEpoch) {
      throw new TransactionCoordinatorFencedError(this.#at, {
        producerId,
        coordinatorEpoch,
        currentEpoch: entry.coordinatorEpoch,
      });
    }
  }

  /** A marker was appended. Gives the entry for the index of aborted transactions, if it ended one by aborting. */
  appendMarker(
    header: BatchHeader,
    marker: EndMarker,
    offset: number,
    timestampMs: number,
  ): AbortedTransactionEntry | undefined {
    const { producerId } = header;
    const entry = this.#entryFor(producerId, header.producerEpoch);
    const firstOffset = entry.currentTxnFirstOffset;
    entry.currentTxnFirstOffset = -1;
    entry.coordinatorEpoch = marker.coordinatorEpoch;
    entry.lastTimestampMs = timestampMs;
    this.#open.delete(producerId);
    if (firstOffset < 0) return undefined; // a marker alone: nothing was written here
    this.#undecided.push({ firstOffset, lastOffset: offset });
    if (marker.isCommit) return undefined;
    let lastStableOffset = offset + 1;
    for (const firstOpen of this.#open.values()) {
      lastStableOffset = firstOpen;
      break;
    }
    return { producerId, firstOffset, lastOffset: offset, lastStableOffset };
  }

  /** Forgets producers that were silent for long and have no transaction open. */
  expire(nowMs: number, expirationMs: number): void {
    for (const entry of this.#producers.values()) {
      const isIdle = nowMs - entry.lastTimestampMs >= expirationMs;
      if (isIdle && entry.currentTxnFirstOffset < 0) this.#producers.delete(entry.producerId);
    }
  }

  /** Takes in what a snapshot holds. */
  restore(entries: readonly ProducerEntry[]): void {
    this.#producers.clear();
    this.#open.clear();
    this.#undecided = [];
    for (const entry of entries) this.#producers.set(entry.producerId, entry);
    const open = entries.filter((entry) => entry.currentTxnFirstOffset >= 0);
    open.sort((a, b) => a.currentTxnFirstOffset - b.currentTxnFirstOffset);
    for (const entry of open) this.#open.set(entry.producerId, entry.currentTxnFirstOffset);
  }

  #entryFor(producerId: number, epoch: number): ProducerEntry {
    let entry = this.#producers.get(producerId);
    if (entry === undefined) {
      entry = {
        producerId,
        epoch,
        coordinatorEpoch: -1,
        lastTimestampMs: -1,
        currentTxnFirstOffset: -1,
        batches: [],
      };
      this.#producers.set(producerId, entry);
    } else if (entry.epoch !== epoch) {
      entry.epoch = epoch;
      entry.batches = [];
    }
    return entry;
  }
}

/** Sequences wrap from 2³¹ − 1 to 0. */
export function addSequence(sequence: number, count: number): number {
  const sum = sequence + count;
  return sum > maxSequence ? sum - maxSequence - 1 : sum;
}

import assert from 'node:assert/strict';
import { addToSequence, type ProducerBatch, type ProducerIdentity } from './producer-batch.ts';

/**
 * The batches of one partition, in order, and the rules that keep the order and write nothing twice:
 *
 *     open → sealed → inFlight (up to five) → acknowledged
 *                        ↓   ↑ one by one, when nothing is in flight
 *                       retries
 *
 * A batch whose answer was lost goes again with the sequence it had: the broker knows it by that. Where a batch before it has
 * failed for good there is a gap, and the broker refuses those behind it (OUT_OF_ORDER_SEQUENCE_NUMBER); only once each of
 * them was refused, so that the broker surely has none, do they get new sequences.
 */
export class PartitionQueue {
  readonly topic: string;
  readonly partition: number;
  open: ProducerBatch | undefined;
  readonly sealed: ProducerBatch[] = [];
  readonly retries: ProducerBatch[] = [];
  readonly inFlight: ProducerBatch[] = [];
  /** Nothing is sent before this, by the monotonic clock. */
  mutedUntilMs = 0;
  /** Since when the cluster has not known this partition. */
  unknownSinceMs: number | undefined;
  /** Offset after the last acknowledged record. */
  ackedEndOffset: number | undefined;
  readonly #maxInFlight: number;
  #inFlightLeader = -1;
  #identity: ProducerIdentity | undefined;
  #nextSequence = 0;
  #ackedSequenceEnd = 0;
  /** The broker knows this identity. */
  #hasAcked = false;
  #lastAckedOrder = -1;
  /** `refused`: the broker surely lacks a batch. `unknown`: nobody knows; only a new epoch helps. */
  #gap: 'none' | 'refused' | 'unknown' = 'none';
  #nextOrder = 0;

  constructor(topic: string, partition: number, maxInFlight: number) {
    this.topic = topic;
    this.partition = partition;
    this.#maxInFlight = maxInFlight;
  }

  /** Only a higher epoch than this one can go on from here. */
  needsEpochAfter(identity: ProducerIdentity | undefined): boolean {
    if (this.#gap !== 'unknown' || this.#identity !== identity || this.inFlight.length > 0) return false;
    return !this.retries.some((batch) => batch.isOutcomeUnknown);
  }

  get hasUnsettled(): boolean {
    return this.open !== undefined || this.sealed.length > 0 || this.retries.length > 0 || this.inFlight.length > 0;
  }

  get hasUnsent(): boolean {
    return this.open !== undefined || this.sealed.length > 0 || this.retries.length > 0;
  }

  seal(): void {
    if (this.open === undefined) return;
    this.sealed.push(this.open);
    this.open = undefined;
  }

  /**
   * The next batch to send to `leader`, moved to `inFlight` with its sequence; undefined: none may go now.
   * @param isDue whether the open batch has waited long enough
   */
  take(
    leader: number,
    nowMs: number,
    identity: ProducerIdentity | undefined,
    isDue: (open: ProducerBatch) => boolean,
  ): ProducerBatch | undefined {
    if (nowMs < this.mutedUntilMs) return undefined;
    const hasInFlight = this.inFlight.length > 0;
    if (hasInFlight && (this.retries.length > 0 || this.#gap !== 'none' || this.#inFlightLeader !== leader)) {
      return undefined;
    }
    if (this.inFlight.length >= this.#inFlightLimit(identity)) return undefined;
    const isRetry = this.retries.length > 0;
    const batch = this.retries[0] ?? this.sealed[0] ?? (this.open && isDue(this.open) ? this.open : undefined);
    if (batch === undefined) return undefined;
    if (identity !== undefined) {
      if (!this.#mendSequences(identity)) return undefined;
      if (!isRetry) {
        if (this.#identity !== identity && !this.#adopt(identity)) return undefined;
        batch.stamp(identity, this.#nextSequence);
        this.#nextSequence = addToSequence(this.#nextSequence, batch.recordCount);
      }
    }
    if (isRetry) this.retries.shift();
    else if (this.sealed.length > 0) this.sealed.shift();
    else this.open = undefined;
    if (batch.order === -1) batch.order = this.#nextOrder++;
    batch.attemptCount++;
    this.inFlight.push(batch);
    this.#inFlightLeader = leader;
    return batch;
  }

  acknowledged(batch: ProducerBatch, baseOffset: number): void {
    this.#landed(batch);
    if (batch.identity === this.#identity) this.#hasAcked = true;
    if (baseOffset !== -1) {
      this.ackedEndOffset = Math.max(this.ackedEndOffset ?? 0, baseOffset + batch.recordCount);
    }
    // One that was sent again is acknowledged after those behind it.
    if (batch.order < this.#lastAckedOrder) return;
    this.#lastAckedOrder = batch.order;
    this.#ackedSequenceEnd = addToSequence(batch.baseSequence, batch.recordCount);
    // The broker took a later one: what we did not know of has been written.
    if (this.#gap === 'unknown') this.#gap = 'none';
  }

  /** It goes again. `isOutcomeUnknown`: the broker may have it. */
  retry(batch: ProducerBatch, isOutcomeUnknown: boolean): void {
    this.#landed(batch);
    batch.isOutcomeUnknown ||= isOutcomeUnknown;
    this.#enqueueRetry(batch);
  }

  /** The broker does not expect this sequence, so it does not have the batch. It goes again, behind those before it. */
  outOfSequence(batch: ProducerBatch): void {
    this.#landed(batch);
    batch.isOutcomeUnknown = false;
    if (this.isFirst(batch)) {
      // We know of a gap in front of it, or else the broker has lost what it knew of us.
      if (batch.baseSequence === this.#ackedSequenceEnd) this.#gap = 'unknown';
      else if (this.#gap === 'none') this.#gap = 'refused';
    }
    this.#enqueueRetry(batch);
  }

  /** Whether nothing that was sent before it is on its way, or to be sent again. */
  isFirst(batch: ProducerBatch): boolean {
    return ![...this.inFlight, ...this.retries].some((other) => other.order < batch.order);
  }

  /** The broker's producer state is of another epoch or gone. */
  epochRefused(batch: ProducerBatch): void {
    this.#landed(batch);
    batch.isOutcomeUnknown = false;
    this.#gap = 'unknown';
    this.#enqueueRetry(batch);
  }

  /** Its halves go instead: with sequences of their own, so the ones behind keep theirs. */
  replace(batch: ProducerBatch, halves: readonly ProducerBatch[]): void {
    this.#landed(batch);
    for (const half of halves) this.#enqueueRetry(half);
  }

  /** It will never be sent (again). Wherever it is, it leaves the queue. */
  drop(batch: ProducerBatch, isOutcomeUnknown: boolean): void {
    if (this.open === batch) this.open = undefined;
    for (const list of [this.sealed, this.retries, this.inFlight]) {
      const i = list.indexOf(batch);
      if (i !== -1) list.splice(i, 1);
    }
    if (batch.identity === undefined) return;
    if (isOutcomeUnknown || batch.isOutcomeUnknown) this.#gap = 'unknown';
    else if (this.#gap === 'none') this.#gap = 'refused';
  }

  unsettled(): ProducerBatch[] {
    const batches = [...this.inFlight, ...this.retries, ...this.sealed];
    if (this.open !== undefined) batches.push(this.open);
    return batches;
  }

  /**
   * A broker takes any sequence of a producer that it does not know. So a first batch goes alone: were it refused, by a leader
   * that is only just being elected, those behind it would be written in front of it. (Observed with Apache Kafka 4.4.)
   */
  #inFlightLimit(identity: ProducerIdentity | undefined): number {
    return identity === undefined || this.#hasAcked ? this.#maxInFlight : 1;
  }

  #landed(batch: ProducerBatch): void {
    const i = this.inFlight.indexOf(batch);
    assert(i !== -1, 'an answer belongs to a batch in flight');
    this.inFlight.splice(i, 1);
  }

  #enqueueRetry(batch: ProducerBatch): void {
    let i = this.retries.length;
    while (i > 0 && this.retries[i - 1]!.order > batch.order) i--;
    this.retries.splice(i, 0, batch);
  }

  /** False: not before the epoch has risen. */
  #mendSequences(identity: ProducerIdentity): boolean {
    if (this.#gap === 'none' || this.inFlight.length > 0) return true;
    // The broker may have one of these: sent as they were, it answers for each.
    if (this.retries.some((batch) => batch.isOutcomeUnknown)) return true;
    if (this.#identity !== identity) {
      this.#identity = identity;
      this.#hasAcked = false;
      this.#ackedSequenceEnd = 0;
    } else if (this.#gap === 'unknown') {
      return false;
    }
    let sequence = this.#ackedSequenceEnd;
    for (const batch of this.retries) {
      batch.stamp(identity, sequence);
      sequence = addToSequence(sequence, batch.recordCount);
    }
    this.#nextSequence = sequence;
    this.#gap = 'none';
    return true;
  }

  /** A new epoch begins at 0, once nothing of the old one is on its way. */
  #adopt(identity: ProducerIdentity): boolean {
    if (this.inFlight.length > 0) return false;
    this.#identity = identity;
    this.#hasAcked = false;
    this.#nextSequence = 0;
    this.#ackedSequenceEnd = 0;
    this.#gap = 'none';
    return true;
  }
}

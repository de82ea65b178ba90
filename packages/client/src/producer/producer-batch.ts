import { crc32c, RecordReader, type CompressionType, type RecordBatchWriter } from '@millrace/protocol';

/** Who writes, to the broker: the epoch rises when the broker must forget sequence numbers (KIP-360). */
export interface ProducerIdentity {
  readonly producerId: number;
  readonly epoch: number;
}

/** Told when a batch is acknowledged or has failed. */
export interface BatchListener {
  batchSettled(batch: ProducerBatch): void;
}

/** Records of one partition that travel together: open, then sealed, then in flight, then settled. */
export class ProducerBatch {
  readonly topic: string;
  readonly partition: number;
  /** Monotonic. */
  readonly createdAtMs: number;
  recordCount = 0;
  /** Counted against the buffer's limit, until settled. */
  bufferedBytes = 0;
  /** Place among the batches of the partition; the halves of a split batch share their parent's width. */
  order = -1;
  orderWidth = 1;
  identity: ProducerIdentity | undefined;
  baseSequence = -1;
  /** Sent once with no answer: the broker may have it, so it may only be sent again as it was. */
  isOutcomeUnknown = false;
  attemptCount = 0;
  /** Of the first record; −1 where the broker does not say (`acks` 0, a duplicate it no longer remembers). */
  baseOffset = -1;
  isSettled = false;
  error: Error | undefined;
  /** Why it was tried again. */
  lastError: Error | undefined;
  halves: readonly [ProducerBatch, ProducerBatch] | undefined;
  readonly #listeners: BatchListener[] = [];
  #writer: RecordBatchWriter | undefined;
  #encoded: Uint8Array | undefined;
  #isStamped = true;

  constructor(topic: string, partition: number, createdAtMs: number, writer: RecordBatchWriter) {
    this.topic = topic;
    this.partition = partition;
    this.createdAtMs = createdAtMs;
    this.#writer = writer;
  }

  get writer(): RecordBatchWriter {
    return this.#writer!;
  }

  get encodedBytes(): number {
    return this.#encoded?.length ?? this.#writer?.sizeBytes ?? 0;
  }

  /** The last one is likely asked for again and again: a call's records mostly share a batch. */
  listen(listener: BatchListener): boolean {
    if (this.#listeners.at(-1) === listener) return false;
    this.#listeners.push(listener);
    return true;
  }

  stamp(identity: ProducerIdentity, baseSequence: number): void {
    if (this.baseSequence === baseSequence && this.identity === identity) return;
    this.identity = identity;
    this.baseSequence = baseSequence;
    this.#isStamped = false;
  }

  /** The batch's bytes, made once; the writer is free again. Later stamps are patched in. */
  encode(
    compression: CompressionType,
    isTransactional: boolean,
    release: (writer: RecordBatchWriter) => void,
  ): Uint8Array {
    if (this.#encoded === undefined) {
      const writer = this.#writer!;
      this.#encoded = writer.close({
        compression,
        producerId: this.identity?.producerId,
        producerEpoch: this.identity?.epoch,
        baseSequence: this.identity === undefined ? undefined : this.baseSequence,
        isTransactional,
      });
      this.#writer = undefined;
      release(writer);
    } else if (!this.#isStamped) {
      // Bytes that were handed to a socket, or to a broker in this process, must not change. (A Buffer's own slice copies nothing.)
      this.#encoded = Uint8Array.prototype.slice.call(this.#encoded);
      patchIdentity(this.#encoded, this.identity!, this.baseSequence);
    }
    this.#isStamped = true;
    return this.#encoded;
  }

  /** Two batches with the same records, sequences and place; this one settles when both have. */
  split(newWriter: () => RecordBatchWriter): readonly [ProducerBatch, ProducerBatch] {
    const reader = new RecordReader();
    reader.reset(this.#encoded!, 0);
    const firstCount = this.recordCount >> 1;
    const half = (count: number, place: number, sequence: number): ProducerBatch => {
      const batch = new ProducerBatch(this.topic, this.partition, this.createdAtMs, newWriter());
      for (let i = 0; i < count && reader.next(); i++) {
        batch.writer.append(
          reader.timestampMs,
          reader.key,
          reader.value,
          reader.headerCount === 0 ? undefined : reader.headers(),
        );
      }
      batch.recordCount = count;
      batch.bufferedBytes = Math.floor((this.bufferedBytes * count) / this.recordCount);
      batch.orderWidth = this.orderWidth / 2;
      batch.order = this.order + place * batch.orderWidth;
      if (this.identity !== undefined) batch.stamp(this.identity, sequence);
      batch.listen({ batchSettled: () => this.#halfSettled() });
      return batch;
    };
    const first = half(firstCount, 0, this.baseSequence);
    const second = half(this.recordCount - firstCount, 1, addToSequence(this.baseSequence, firstCount));
    // What the halves lost to rounding.
    second.bufferedBytes = this.bufferedBytes - first.bufferedBytes;
    this.halves = [first, second];
    this.#encoded = undefined;
    return this.halves;
  }

  settle(error: Error | undefined, baseOffset: number = -1): void {
    this.isSettled = true;
    this.error = error;
    this.baseOffset = baseOffset;
    this.#encoded = undefined;
    for (const listener of this.#listeners) listener.batchSettled(this);
  }

  /** Where the record at this place in the batch went. */
  offsetOf(recordIndex: number): number {
    if (this.halves !== undefined) {
      const [first, second] = this.halves;
      return recordIndex < first.recordCount
        ? first.offsetOf(recordIndex)
        : second.offsetOf(recordIndex - first.recordCount);
    }
    return this.baseOffset === -1 ? -1 : this.baseOffset + recordIndex;
  }

  #halfSettled(): void {
    const [first, second] = this.halves!;
    if (first.isSettled && second.isSettled) this.settle(first.error ?? second.error, first.offsetOf(0));
  }
}

/** Sequence numbers wrap from 2^31 − 1 to 0. */
export function addToSequence(sequence: number, count: number): number {
  return (sequence + count) % 2 ** 31;
}

/** Where the batch header keeps what `patchIdentity` changes, and what the CRC covers. */
const at = { crc: 17, attributes: 21, producerId: 43, producerEpoch: 51, baseSequence: 53 } as const;

function patchIdentity(batch: Uint8Array, identity: ProducerIdentity, baseSequence: number): void {
  const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength);
  view.setInt32(at.producerId, Math.floor(identity.producerId / 2 ** 32));
  view.setUint32(at.producerId + 4, identity.producerId >>> 0);
  view.setInt16(at.producerEpoch, identity.epoch);
  view.setInt32(at.baseSequence, baseSequence);
  view.setUint32(at.crc, crc32c(batch, at.attributes));
}

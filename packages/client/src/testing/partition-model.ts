import { errorCodes, readBatchHeader, RecordReader } from '@millrace/protocol';

interface SeenBatch {
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly baseOffset: number;
}

/** A partition as Kafka keeps it, as far as idempotent producers see: the oracle of their tests. */
export class PartitionModel {
  /** Values as text, by offset. */
  readonly values: string[] = [];
  #producerId = -1;
  #epoch = -1;
  /** The last five. */
  #seen: SeenBatch[] = [];

  /** Appends a batch, unless it is a duplicate or out of order: `ProducerAppendInfo`'s rules. */
  append(batch: Uint8Array): { readonly errorCode: number; readonly baseOffset: number } {
    const header = readBatchHeader(batch, 0);
    const { producerId, producerEpoch, baseSequence, recordCount } = header;
    const lastSequence = (baseSequence + recordCount - 1) % 2 ** 31;
    if (producerId !== -1) {
      const isKnown = producerId === this.#producerId;
      if (isKnown && producerEpoch < this.#epoch)
        return { errorCode: errorCodes.INVALID_PRODUCER_EPOCH, baseOffset: -1 };
      if (isKnown && producerEpoch === this.#epoch) {
        const duplicate = this.#seen.find((b) => b.firstSequence === baseSequence && b.lastSequence === lastSequence);
        if (duplicate !== undefined) return { errorCode: errorCodes.NONE, baseOffset: duplicate.baseOffset };
        const expected = (this.#seen.at(-1)!.lastSequence + 1) % 2 ** 31;
        if (baseSequence !== expected) return { errorCode: errorCodes.OUT_OF_ORDER_SEQUENCE_NUMBER, baseOffset: -1 };
      } else {
        if (isKnown && baseSequence !== 0)
          return { errorCode: errorCodes.OUT_OF_ORDER_SEQUENCE_NUMBER, baseOffset: -1 };
        this.#seen = [];
      }
      this.#producerId = producerId;
      this.#epoch = producerEpoch;
    }
    const baseOffset = this.values.length;
    this.#seen = [...this.#seen.slice(-4), { firstSequence: baseSequence, lastSequence, baseOffset }];
    const reader = new RecordReader();
    reader.reset(batch, 0);
    while (reader.next()) this.values.push(Buffer.from(reader.value!).toString());
    return { errorCode: errorCodes.NONE, baseOffset };
  }

  /** As retention does that has deleted all of a producer's batches. */
  forgetProducers(): void {
    this.#producerId = -1;
    this.#epoch = -1;
    this.#seen = [];
  }
}

import type { Position } from '../positions.ts';
import type { BatchListener, ProducerBatch } from './producer-batch.ts';

/** One call of `send`: its records' places, and the promise that all are acknowledged. */
export class SendCall implements BatchListener {
  readonly settled: Promise<readonly Position[]>;
  readonly #batches: ProducerBatch[] = [];
  readonly #indexes: number[] = [];
  /** Batches not settled, and one for the call itself until it is sealed. */
  #left = 1;
  #error: Error | undefined;
  #resolve!: (positions: readonly Position[]) => void;
  #reject!: (error: Error) => void;

  constructor() {
    this.settled = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** The call's next record is the last one of `batch`. */
  add(batch: ProducerBatch): void {
    this.#batches.push(batch);
    this.#indexes.push(batch.recordCount - 1);
    if (batch.listen(this)) this.#left++;
  }

  /** No more records come. With an error, the call fails: when what was added is settled. */
  seal(error?: Error): void {
    this.#error ??= error;
    this.#countDown();
  }

  batchSettled(batch: ProducerBatch): void {
    this.#error ??= batch.error;
    this.#countDown();
  }

  #countDown(): void {
    if (--this.#left > 0) return;
    if (this.#error !== undefined) return this.#reject(this.#error);
    this.#resolve(
      this.#batches.map((batch, i) => ({
        topic: batch.topic,
        partition: batch.partition,
        offset: batch.offsetOf(this.#indexes[i]!),
      })),
    );
  }
}

/** Where producer ids come from. Ids are unique for the life of the data directory. */
export interface ProducerIds {
  /** A fresh id. Waits where a new block of ids must be made durable first; mostly resolves at once. */
  next(): Promise<number>;
}

const blockSize = 1000;

/** Gives out ids from blocks that were made durable before: a crash loses the rest of a block, and never gives an id twice. */
export class ProducerIdBlocks implements ProducerIds {
  readonly #reserve: (nextProducerId: number) => Promise<void>;
  #next: number;
  #end: number;
  #reserving: Promise<void> | undefined;

  /**
   * @param firstFree no id from here on was given out
   * @param reserve makes durable that ids below its argument may be given out
   */
  constructor(firstFree: number, reserve: (nextProducerId: number) => Promise<void>) {
    this.#next = firstFree;
    this.#end = firstFree;
    this.#reserve = reserve;
  }

  async next(): Promise<number> {
    while (this.#next >= this.#end) await (this.#reserving ??= this.#reserveBlock());
    return this.#next++;
  }

  async #reserveBlock(): Promise<void> {
    const end = this.#end + blockSize;
    try {
      await this.#reserve(end);
      this.#end = end;
    } finally {
      this.#reserving = undefined;
    }
  }
}

/** Where producer ids come from. Ids are unique for the life of the data directory. */
export interface ProducerIds {
  /** A fresh id. Waits where a new block of ids must be made durable first; mostly resolves at once. */
  next(): Promise<number>;
}

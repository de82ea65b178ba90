/** How a producer batches, retries and waits. Names and defaults are Kafka's unless said otherwise. */
export interface ProducerOptions {
  /** Default `'all'`. */
  readonly acks?: 'all' | 1 | 0 | undefined;
  /** Default true: retries never double a record. */
  readonly enableIdempotence?: boolean | undefined;
  /** Wait this long for a batch to fill. Default 0: what one turn of the event loop sends goes together. */
  readonly lingerMs?: number | undefined;
  /** Default 1 MiB. */
  readonly batchSizeBytes?: number | undefined;
  /** `send` waits when this much is unacknowledged. Default 32 MiB. */
  readonly bufferMemoryBytes?: number | undefined;
  readonly compressionType?: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd' | undefined;
  /** A send not acknowledged by then fails. Default 120 000. */
  readonly deliveryTimeoutMs?: number | undefined;
}

export interface TransactionalProducerOptions extends Omit<ProducerOptions, 'acks' | 'enableIdempotence'> {
  /** A second producer with this id fences the first. */
  readonly transactionalId: string;
  /** Default 60 000. */
  readonly transactionTimeoutMs?: number | undefined;
}

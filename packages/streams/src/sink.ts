import type { RecordHeaders } from '@millrace/serde';
import { MillraceError } from '@millrace/platform';

/**
 * How a replay is kept from doubling an effect. `'transactional'`: rows and position in one transaction of the target.
 * `'guarded'`: each row holds its position, and an older one does not overwrite it. `'idempotency-key'`: the target knows the
 * key of what it has served.
 */
export type SinkTier = 'transactional' | 'guarded' | 'idempotency-key';

/**
 * A description; nothing is opened before a task owns a partition, and in the test driver nothing ever (see `written`).
 *
 * `flush` comes before the commit of offsets, so after a crash the target may be ahead, and what it has is skipped. That is
 * right only if the same input gives the same output again. Behind a merge, a stream join, `mapAsync`, the wall clock it does
 * not: `build()` asks for `.repartition({ name })` before such a sink, and the results are then fixed on that topic.
 */
export interface Sink<in K, in V> {
  readonly name: string;
  readonly tier: SinkTier;
  open(task: SinkTask): Promise<SinkWriter<K, V>>;
}

/** One source partition, for as long as this instance owns it. */
export interface SinkTask {
  readonly applicationId: string;
  readonly topic: string;
  readonly partition: number;
  /**
   * Grows whenever the partition changes hands: a target that can refuses a smaller one. A whole number below 2^53, and no count:
   * where the group has forgotten the last one (its offsets were reset, or have expired) it goes on from the clock.
   */
  readonly epoch: number;
  /** Aborts when the partition is taken away. */
  readonly signal: AbortSignal;
}

/** Called in order, never two calls at once. */
export interface SinkWriter<in K, in V> {
  /** The first source offset whose effects the target does not have; what comes before is not sent. undefined: it cannot tell. */
  readonly nextOffset: number | undefined;
  /**
   * What it rejects with is a refusal of the records, for the node's policy to deal with, except for errors with the code `FENCED`
   * (another owner has the partition) or `SINK_POSITION_LOST`: no record is let go for them.
   * @throws {SinkBusyError} input pauses, and the same batch comes again
   */
  write(batch: SinkBatch<K, V>): Promise<void>;
  /** Resolves when all that was written is durable in the target. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** Results of the source records from `firstOffset` to `lastOffset`: all of them, in order. */
export interface SinkBatch<out K, out V> {
  readonly firstOffset: number;
  readonly lastOffset: number;
  readonly records: readonly SinkRecord<K, V>[];
}

/** One result. */
export interface SinkRecord<out K, out V> {
  readonly key: K;
  readonly value: V;
  readonly timestampMs: number;
  readonly headers: RecordHeaders;
  /** Of the source record; `ordinal` counts its results in this sink. The two are the same after a replay, so they make a good key. */
  readonly offset: number;
  readonly ordinal: number;
}

/** The target takes no more for now (`cause`: why): input pauses, and the same batch comes again after `retryAfterMs`. */
export class SinkBusyError extends MillraceError {
  readonly code = 'SINK_BUSY';
  readonly retryAfterMs: number;
  constructor(options: { readonly retryAfterMs: number; readonly cause?: unknown }) {
    const { retryAfterMs, cause } = options;
    const reason = cause instanceof Error ? `: ${cause.message}` : '';
    super(`The sink is busy${reason}. Input pauses, and the batch is written again in ${retryAfterMs} ms.`, {
      context: { retryAfterMs },
      retriable: true,
      cause,
    });
    this.retryAfterMs = retryAfterMs;
  }
}

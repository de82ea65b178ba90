import { delay, isMillraceError, type Clock } from '@millrace/platform';
import type { SinkBatch, SinkBusyError, SinkRecord, SinkWriter } from '../sink.ts';

/** One source partition's way into a sink: collects, writes in order, one call at a time, and is flushed before a commit. */
export class SinkOutput {
  readonly #writer: SinkWriter<unknown, unknown>;
  readonly #options: SinkOutputOptions;
  /** Results below it are in the target already: computed again after a crash, then dropped. */
  readonly #skipBefore: number;
  #records: Row[] = [];
  /** First source offset not covered by a batch yet. */
  #firstOffset: number;
  #isDirty = false;

  /** @param firstOffset where the source partition goes on */
  constructor(writer: SinkWriter<unknown, unknown>, firstOffset: number, options: SinkOutputOptions) {
    this.#writer = writer;
    this.#options = options;
    this.#skipBefore = writer.nextOffset ?? 0;
    this.#firstOffset = Math.max(firstOffset, this.#skipBefore);
  }

  /** Results that wait to be written. */
  get size(): number {
    return this.#records.length;
  }

  add(record: Row): void {
    if (record.offset >= this.#skipBefore) this.#records.push(record);
  }

  /** Writes what has been collected, as the results of all source records below `endOffset`. */
  async write(endOffset: number): Promise<void> {
    if (this.#records.length === 0) return;
    const records = this.#records;
    this.#records = [];
    const batch = { firstOffset: this.#firstOffset, lastOffset: endOffset - 1, records };
    this.#firstOffset = endOffset;
    this.#isDirty = true;
    try {
      await this.#tryWrite(batch);
    } catch (error) {
      if (this.#options.onRefused === undefined || !this.#isOfRecords(error)) throw error;
      await this.#writeOneByOne(batch, this.#options.onRefused);
    }
  }

  /** Resolves when all that was written is durable in the target. */
  async flush(endOffset: number): Promise<void> {
    await this.write(endOffset);
    if (!this.#isDirty) return;
    await this.#writer.flush();
    this.#isDirty = false;
  }

  close(): Promise<void> {
    return this.#writer.close();
  }

  /**
   * A batch was refused and the policy lets records go: find out which. The results of one source record stay together, and
   * ranges touch, so that a target which checks its position sees neither a replay nor a gap.
   */
  async #writeOneByOne(batch: Batch, onRefused: (record: Row, error: unknown) => void): Promise<void> {
    const { records } = batch;
    let firstOffset = batch.firstOffset;
    for (let from = 0; from < records.length;) {
      let to = from + 1;
      while (to < records.length && records[to]!.offset === records[from]!.offset) to++;
      const lastOffset = to < records.length ? records[to]!.offset - 1 : batch.lastOffset;
      const results = records.slice(from, to);
      try {
        await this.#tryWrite({ firstOffset, lastOffset, records: results });
        firstOffset = lastOffset + 1;
      } catch (error) {
        if (!this.#isOfRecords(error)) throw error;
        for (const result of results) onRefused(result, error);
      }
      from = to;
    }
  }

  /** Whether a policy may deal with it: it would be wrong to let records go for what befalls each of them alike. */
  #isOfRecords(error: unknown): boolean {
    return !this.#options.signal.aborted && !(isMillraceError(error) && ofTarget.has(error.code));
  }

  async #tryWrite(batch: Batch): Promise<void> {
    const { clock, signal, retry } = this.#options;
    let hasTold = false;
    for (let attempt = 0; ;) {
      signal.throwIfAborted();
      try {
        return await this.#writer.write(batch);
      } catch (error) {
        const busyMs = retryAfterOf(error);
        if (busyMs !== undefined) {
          if (!hasTold) this.#options.onBusy?.(error);
          hasTold = true;
          await delay(clock, busyMs, signal);
          continue; // busy is no failure: it is waited for as long as it takes
        }
        if (!this.#isOfRecords(error)) throw error;
        const backoffMs = retry?.(error, attempt++);
        if (backoffMs === undefined) throw error;
        await delay(clock, backoffMs, signal);
      }
    }
  }
}

export interface SinkOutputOptions {
  readonly clock: Clock;
  /** Aborts when the partition is taken away, or the app's time to close is up: nothing is waited for any more. */
  readonly signal: AbortSignal;
  /** The node's retry policy: how long until the next attempt; undefined: no more. */
  readonly retry?: ((error: unknown, attempt: number) => number | undefined) | undefined;
  /** The target takes nothing for now: called once a batch. */
  readonly onBusy?: ((error: unknown) => void) | undefined;
  /** The node's policy lets a record go that the target refuses. undefined: the app fails. */
  readonly onRefused?: ((record: Row, error: unknown) => void) | undefined;
}

type Row = SinkRecord<unknown, unknown>;
type Batch = SinkBatch<unknown, unknown>;

/** Another owner has the partition; the target has lost what it had. The session ends, and the next one opens the sink anew. */
const ofTarget: ReadonlySet<string> = new Set(['FENCED', 'SINK_POSITION_LOST']);

/** Read from the error's code rather than by its class, of which two copies may be installed. */
function retryAfterOf(error: unknown): number | undefined {
  return isMillraceError(error, 'SINK_BUSY') ? (error as SinkBusyError).retryAfterMs : undefined;
}

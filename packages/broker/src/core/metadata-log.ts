import { PartitionLog, type LogOptions } from '@millrace/log';
import { RecordBatchWriter } from '@millrace/protocol';
import {
  decodeMetadataKey,
  decodeMetadataValue,
  encodeMetadataKey,
  encodeMetadataValue,
  type MetadataKey,
  type MetadataValue,
} from './metadata-records.ts';
import { readRecords } from './read-records.ts';

/**
 * The cluster metadata as an event-sourced, compacted log: every change is a record with the subject's new state, and the state
 * in memory is what the records add up to.
 */
export class MetadataLog {
  readonly log: PartitionLog;
  readonly #options: Pick<LogOptions, 'clock'>;
  readonly #writer: RecordBatchWriter = new RecordBatchWriter();

  private constructor(log: PartitionLog, options: Pick<LogOptions, 'clock'>) {
    this.log = log;
    this.#options = options;
  }

  /** Opens the log and hands over all its records, in order; a value of null ends its subject. @throws `CorruptLogError`, `FileSystemError` */
  static async open(
    options: LogOptions,
    replay: (key: MetadataKey, value: MetadataValue | null) => void,
  ): Promise<MetadataLog> {
    const log = await PartitionLog.open(options);
    try {
      await readRecords(log, (reader) => {
        const key = reader.key === null ? undefined : decodeMetadataKey(reader.key);
        if (key === undefined) return; // of a later version
        const value = reader.value === null ? null : decodeMetadataValue(reader.value);
        if (value !== undefined) replay(key, value);
      });
      return new MetadataLog(log, options);
    } catch (error) {
      await log
        .close()
        .catch((closing: unknown) => options.logger?.error({ error: closing }, 'closing the log failed'));
      throw error;
    }
  }

  /** Resolves when all the changes are durable: they are one batch, so all or none. @throws `KafkaStorageError` */
  append(changes: readonly (readonly [key: MetadataKey, value: MetadataValue | null])[]): Promise<void> {
    this.#writer.reset();
    for (const [key, value] of changes) {
      const encoded = value === null ? null : encodeMetadataValue(value);
      this.#writer.append(this.#options.clock.now(), encodeMetadataKey(key), encoded);
    }
    return this.log.append(this.#writer.close({}), 'coordinator').commit.done;
  }
}

import {
  attributesOf,
  RecordBatchWriter,
  RecordReader,
  setLogAppendTime,
  validateBatch,
  type BatchHeader,
  type CompressionType,
} from '@millrace/protocol';
import {
  BatchTooLargeError,
  InvalidRecordError,
  InvalidTimestampError,
  RecordListTooLargeError,
  type PartitionAt,
  type RecordError,
} from './errors.ts';
import type { LogConfig } from './log-config.ts';

/** Who appends. Control batches only from the coordinator; `'coordinator'` also skips sequence checks. */
export type AppendOrigin = 'client' | 'coordinator';

/** A batch that may be appended, as it will be stored but for its offset and epoch. */
export interface ValidBatch {
  readonly bytes: Uint8Array;
  readonly header: BatchHeader;
  readonly maxTimestampMs: number;
  /** −1 unless the topic has LogAppendTime. */
  readonly logAppendTimeMs: number;
}

/** At most this many records at fault are named: a response must stay small. */
const maxRecordErrors = 100;

/**
 * Looks at a batch's 61-byte header and its CRC; at its records only where the topic asks for it: keys when compacted,
 * timestamps when bounded below, a compression of its own. So `maxTimestamp` and the record count are the producer's word,
 * where Kafka recomputes them: measured, decoding costs ten times what all the rest does.
 */
export class BatchValidator {
  readonly #at: PartitionAt;
  #reader: RecordReader | undefined;
  #writer: RecordBatchWriter | undefined;

  constructor(at: PartitionAt) {
    this.#at = at;
  }

  /** The size, before anything is computed from the bytes. */
  checkSize(batchBytes: number, config: LogConfig): void {
    if (batchBytes > config.maxMessageBytes) throw new BatchTooLargeError(this.#at, batchBytes, config.maxMessageBytes);
    if (batchBytes > config.segmentBytes) throw new RecordListTooLargeError(this.#at, batchBytes, config.segmentBytes);
  }

  /** Size, CRC, and the rules for the header's fields. @throws as `PartitionLog.append` does */
  checkHeader(bytes: Uint8Array, origin: AppendOrigin, config: LogConfig): BatchHeader {
    this.checkSize(bytes.length, config);
    const header = validateBatch(bytes, 0);
    if (header.sizeBytes !== bytes.length) {
      throw new InvalidRecordError(
        this.#at,
        `${bytes.length} bytes were sent, and its length says ${header.sizeBytes}. Send exactly one batch per partition.`,
      );
    }
    if (header.recordCount <= 0 || header.recordCount !== header.lastOffsetDelta + 1) {
      throw new InvalidRecordError(
        this.#at,
        `it counts ${header.recordCount} records, and its last offset delta is ${header.lastOffsetDelta}. ` +
          'Offsets in a batch run from 0 without gaps.',
      );
    }
    if (origin === 'client') this.#checkClientHeader(header);
    return header;
  }

  /** Timestamps and keys; then the batch as the topic wants it stored. */
  prepare(bytes: Uint8Array, header: BatchHeader, origin: AppendOrigin, config: LogConfig, nowMs: number): ValidBatch {
    const isControl = attributesOf.isControl(header.attributes);
    if (origin === 'client' && !isControl) this.#checkRecords(bytes, header, config, nowMs);
    const wanted = compressionFor(config, header.attributes);
    let stored = bytes;
    let storedHeader = header;
    if (!isControl && wanted !== attributesOf.compression(header.attributes)) {
      stored = this.#recompress(bytes, header, wanted);
      this.checkSize(stored.length, config);
      storedHeader = validateBatch(stored, 0);
    }
    if (config.messageTimestampType === 'CreateTime') {
      return { bytes: stored, header: storedHeader, maxTimestampMs: storedHeader.maxTimestamp, logAppendTimeMs: -1 };
    }
    setLogAppendTime(stored, 0, nowMs);
    return { bytes: stored, header: storedHeader, maxTimestampMs: nowMs, logAppendTimeMs: nowMs };
  }

  #checkClientHeader(header: BatchHeader): void {
    if (header.baseOffset !== 0) {
      throw new InvalidRecordError(this.#at, `its base offset is ${header.baseOffset}; a client sends 0.`);
    }
    if (attributesOf.isControl(header.attributes)) {
      throw new InvalidRecordError(this.#at, 'a client may not write control records.');
    }
    if (attributesOf.isLogAppendTime(header.attributes)) {
      throw new InvalidTimestampError(this.#at, 'a client may not set the timestamp type LogAppendTime.');
    }
    if (header.producerId >= 0 && (header.baseSequence < 0 || header.producerEpoch < 0)) {
      throw new InvalidRecordError(
        this.#at,
        `producer ${header.producerId} sent epoch ${header.producerEpoch} and sequence ${header.baseSequence}; both begin at 0.`,
      );
    }
    if (header.producerId < 0 && attributesOf.isTransactional(header.attributes)) {
      throw new InvalidRecordError(this.#at, 'a transactional batch needs a producer id.');
    }
  }

  #checkRecords(bytes: Uint8Array, header: BatchHeader, config: LogConfig, nowMs: number): void {
    const checksKeys = config.cleanupPolicy !== 'delete';
    const hasTimeBounds = config.messageTimestampType === 'CreateTime';
    const latestMs = hasTimeBounds ? nowMs + config.messageTimestampAfterMaxMs : Infinity;
    const earliestMs = hasTimeBounds ? nowMs - config.messageTimestampBeforeMaxMs : -Infinity;
    const mayBeEarly = earliestMs > 0;
    if (!checksKeys && !mayBeEarly && header.maxTimestamp <= latestMs) return;

    const reader = (this.#reader ??= new RecordReader());
    reader.reset(bytes, 0);
    const keyErrors: RecordError[] = [];
    const timeErrors: RecordError[] = [];
    for (let index = 0; reader.next(); index++) {
      if (checksKeys && reader.keyLength < 0 && keyErrors.length < maxRecordErrors) {
        keyErrors.push({ index, message: 'A record for a compacted topic needs a key.' });
      }
      const time = reader.timestampMs;
      if (time === -1 || (time >= earliestMs && time <= latestMs)) continue; // -1: the record has no timestamp
      if (timeErrors.length < maxRecordErrors) {
        timeErrors.push({
          index,
          message: `Its timestamp ${time} is outside of ${earliestMs} to ${latestMs} (message.timestamp.before.max.ms, message.timestamp.after.max.ms).`,
        });
      }
    }
    if (keyErrors.length > 0) {
      throw new InvalidRecordError(this.#at, 'records for a compacted topic need keys.', keyErrors);
    }
    if (timeErrors.length > 0) {
      throw new InvalidTimestampError(this.#at, 'timestamps are outside of the bounds of the topic.', timeErrors);
    }
    if (header.maxTimestamp > latestMs) {
      throw new InvalidTimestampError(this.#at, `its largest timestamp ${header.maxTimestamp} is after ${latestMs}.`);
    }
  }

  #recompress(bytes: Uint8Array, header: BatchHeader, compression: CompressionType): Uint8Array {
    const reader = (this.#reader ??= new RecordReader());
    const writer = (this.#writer ??= new RecordBatchWriter());
    reader.reset(bytes, 0);
    writer.reset();
    while (reader.next()) writer.append(reader.timestampMs, reader.key, reader.value, reader.headers());
    if (writer.recordCount !== header.recordCount) {
      throw new InvalidRecordError(
        this.#at,
        `it holds ${writer.recordCount} records, and its header counts ${header.recordCount}.`,
      );
    }
    return writer.close({
      compression,
      producerId: header.producerId,
      producerEpoch: header.producerEpoch,
      baseSequence: header.baseSequence,
      isTransactional: attributesOf.isTransactional(header.attributes),
    });
  }
}

function compressionFor(config: LogConfig, attributes: number): CompressionType {
  if (config.compressionType === 'producer') return attributesOf.compression(attributes);
  return config.compressionType === 'uncompressed' ? 'none' : config.compressionType;
}

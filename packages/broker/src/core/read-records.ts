import type { PartitionLog } from '@millrace/log';
import { readBatchHeader, RecordReader } from '@millrace/protocol';

const readBytes = 1024 * 1024;

/**
 * Walks all records of a log, from its start to its end, durable or not: how internal logs are loaded at start. The visitor gets
 * one reader, moved on from record to record: copy what you keep. Control batches are visited as the records that they are.
 */
export async function readRecords(log: PartitionLog, visit: (record: RecordReader) => void): Promise<void> {
  const reader = new RecordReader();
  let offset = log.logStartOffset;
  while (offset < log.logEndOffset) {
    const result = await log.read(offset, { maxBytes: readBytes, minOneBatch: true, isolation: 'log_end' });
    if (result.byteLength === 0) return;
    for (const part of result.parts) {
      for (let position = 0; position < part.length;) {
        const header = readBatchHeader(part, position);
        reader.reset(part, position);
        while (reader.next()) if (reader.offset >= offset) visit(reader);
        offset = header.baseOffset + header.lastOffsetDelta + 1;
        position += header.sizeBytes;
      }
    }
  }
}

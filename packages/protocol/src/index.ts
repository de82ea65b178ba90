export { compress, decompress, prepareCompression, type CompressionType } from './compression/compression.ts';
export { crc32c } from './crc32c.ts';
export {
  decodeMessage,
  decodeRequest,
  decodeRequestHeader,
  decodeResponse,
  encodeMessage,
  encodeRequest,
  encodeResponse,
  FrameSplitter,
  type OutgoingFrame,
  type RequestHeader,
  type RequestInput,
  type RequestOf,
  type ResponseInput,
  type ResponseOf,
} from './frames.ts';
export type { InProcessChannel, InProcessEndpoint } from './in-process.ts';
export * as apis from './messages/index.ts';
export {
  attributesOf,
  batchHeaderBytes,
  readBatchHeader,
  RecordBatchWriter,
  RecordReader,
  setBaseOffset,
  setLogAppendTime,
  setPartitionLeaderEpoch,
  validateBatch,
  type BatchHeader,
  type CloseBatchOptions,
  type HeaderEntry,
} from './records/batch.ts';
export type { ApiSchema, Decoded, Encodable, Field, MessageSchema, PrimitiveType, VersionRange } from './schema.ts';

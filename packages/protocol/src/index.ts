export {
  compress,
  decompress,
  prepareCompression,
  prepareDecompression,
  type CompressionType,
} from './compression/compression.ts';
export type { VersionBounds } from './codec/versions.ts';
export { crc32c } from './crc32c.ts';
export { errorCodes, errorInfo, type ErrorInfo, type ErrorName } from './error-codes.ts';
export {
  CorruptBatchError,
  ProtocolError,
  UnsupportedCompressionError,
  UnsupportedFieldError,
  UnsupportedMagicError,
  UnsupportedVersionError,
} from './errors.ts';
export { FrameSplitter } from './frame-splitter.ts';
export {
  apiOf,
  decodeMessage,
  decodeRequest,
  decodeRequestHeader,
  decodeResponse,
  encodeMessage,
  encodeRequest,
  encodeResponse,
  latestVersion,
  messageVersion,
  versionRange,
  type OutgoingFrame,
  type RequestHeader,
  type RequestInput,
  type RequestOf,
  type ResponseInput,
  type ResponseOf,
} from './frames.ts';
export { createInProcessPair, type InProcessChannel, type InProcessEndpoint } from './in-process.ts';
export * as apis from './messages/index.ts';
export * as recordSchemas from './record-schemas/index.ts';
export {
  attributesOf,
  batchHeaderBytes,
  readBatchHeader,
  setBaseOffset,
  setLogAppendTime,
  setPartitionLeaderEpoch,
  validateBatch,
  type BatchHeader,
} from './records/batch.ts';
export {
  endTransactionRecord,
  transactionMarkerOf,
  type EndTransactionRecord,
  type TransactionMarker,
} from './records/control-record.ts';
export { RecordBatchWriter, type CloseBatchOptions } from './records/record-batch-writer.ts';
export { RecordReader, type HeaderEntry } from './records/record-reader.ts';
export type { ApiSchema, Decoded, Encodable, Field, MessageSchema, PrimitiveType, VersionRange } from './schema.ts';

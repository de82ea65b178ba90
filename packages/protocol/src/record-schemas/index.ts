/** What Kafka keeps in records and in the metadata of groups, as schemas. Each is written with its version in front. */
export { offsetCommitKey, offsetCommitValue, groupMetadataKey, groupMetadataValue } from './consumer-offsets.ts';
export { controlRecordType, endTxnMarker } from './control-records.ts';
export { transactionLogKey, transactionLogValue } from './transaction-state.ts';
export { consumerProtocolSubscription, consumerProtocolAssignment } from './consumer-protocol.ts';

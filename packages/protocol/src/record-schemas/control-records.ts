/** Key of a record in a control batch. Type 0 is abort, 1 commit; 2 and above belong to KRaft. */
export const controlRecordType = {
  name: 'ControlRecordType',
  validVersions: '0',
  flexibleVersions: 'none',
  fields: [{ name: 'type', type: 'int16', versions: '0+' }],
} as const;

/** Value of the record that ends a transaction (KIP-98). */
export const endTxnMarker = {
  name: 'EndTxnMarker',
  validVersions: '0',
  flexibleVersions: 'none',
  fields: [{ name: 'coordinatorEpoch', type: 'int32', versions: '0+' }],
} as const;

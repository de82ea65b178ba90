/** Key of a transactional id in `__transaction_state`. */
export const transactionLogKey = {
  name: 'TransactionLogKey',
  validVersions: '0',
  flexibleVersions: 'none',
  fields: [{ name: 'transactionalId', type: 'string', versions: '0' }],
} as const;

/**
 * State of a transactional id in `__transaction_state`. Version 1 is flexible and adds the producer ids before and
 * after (KIP-890).
 */
export const transactionLogValue = {
  name: 'TransactionLogValue',
  validVersions: '0-1',
  flexibleVersions: '1+',
  fields: [
    { name: 'producerId', type: 'int64', versions: '0+' },
    { name: 'previousProducerId', type: 'int64', versions: '1+', tag: 0, taggedVersions: '1+', default: -1 },
    { name: 'nextProducerId', type: 'int64', versions: '1+', tag: 1, taggedVersions: '1+', default: -1 },
    { name: 'producerEpoch', type: 'int16', versions: '0+' },
    { name: 'transactionTimeoutMs', type: 'int32', versions: '0+' },
    { name: 'transactionStatus', type: 'int8', versions: '0+' },
    {
      name: 'transactionPartitions',
      type: [
        { name: 'topic', type: 'string', versions: '0+' },
        { name: 'partitionIds', type: 'int32', isArray: true, versions: '0+' },
      ],
      isArray: true,
      versions: '0+',
      nullable: '0+',
    },
    { name: 'transactionLastUpdateTimestampMs', type: 'int64', versions: '0+' },
    { name: 'transactionStartTimestampMs', type: 'int64', versions: '0+' },
    { name: 'clientTransactionVersion', type: 'int16', versions: '1+', tag: 2, taggedVersions: '1+' },
  ],
} as const;

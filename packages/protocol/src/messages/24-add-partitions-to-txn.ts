/** AddPartitionsToTxn. Version 3 is flexible, 4 takes several transactions, from brokers (KIP-890). */
export const addPartitionsToTxn = {
  key: 24,
  name: 'AddPartitionsToTxn',
  request: {
    name: 'AddPartitionsToTxnRequest',
    validVersions: '0-5',
    flexibleVersions: '3+',
    fields: [
      {
        name: 'transactions',
        type: [
          { name: 'transactionalId', type: 'string', versions: '4+' },
          { name: 'producerId', type: 'int64', versions: '4+' },
          { name: 'producerEpoch', type: 'int16', versions: '4+' },
          { name: 'verifyOnly', type: 'bool', versions: '4+' },
          {
            name: 'topics',
            type: [
              { name: 'name', type: 'string', versions: '0+' },
              { name: 'partitions', type: 'int32', isArray: true, versions: '0+' },
            ],
            isArray: true,
            versions: '4+',
          },
        ],
        isArray: true,
        versions: '4+',
      },
      { name: 'v3AndBelowTransactionalId', type: 'string', versions: '0-3' },
      { name: 'v3AndBelowProducerId', type: 'int64', versions: '0-3' },
      { name: 'v3AndBelowProducerEpoch', type: 'int16', versions: '0-3' },
      {
        name: 'v3AndBelowTopics',
        type: [
          { name: 'name', type: 'string', versions: '0+' },
          { name: 'partitions', type: 'int32', isArray: true, versions: '0+' },
        ],
        isArray: true,
        versions: '0-3',
      },
    ],
  },
  response: {
    name: 'AddPartitionsToTxnResponse',
    validVersions: '0-5',
    flexibleVersions: '3+',
    fields: [
      { name: 'throttleTimeMs', type: 'int32', versions: '0+' },
      { name: 'errorCode', type: 'int16', versions: '4+', ignorable: true },
      {
        name: 'resultsByTransaction',
        type: [
          { name: 'transactionalId', type: 'string', versions: '4+' },
          {
            name: 'topicResults',
            type: [
              { name: 'name', type: 'string', versions: '0+' },
              {
                name: 'resultsByPartition',
                type: [
                  { name: 'partitionIndex', type: 'int32', versions: '0+' },
                  { name: 'partitionErrorCode', type: 'int16', versions: '0+' },
                ],
                isArray: true,
                versions: '0+',
              },
            ],
            isArray: true,
            versions: '4+',
          },
        ],
        isArray: true,
        versions: '4+',
      },
      {
        name: 'resultsByTopicV3AndBelow',
        type: [
          { name: 'name', type: 'string', versions: '0+' },
          {
            name: 'resultsByPartition',
            type: [
              { name: 'partitionIndex', type: 'int32', versions: '0+' },
              { name: 'partitionErrorCode', type: 'int16', versions: '0+' },
            ],
            isArray: true,
            versions: '0+',
          },
        ],
        isArray: true,
        versions: '0-3',
      },
    ],
  },
} as const;

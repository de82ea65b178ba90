/**
 * Produce. Version 3 is the first with transactions and record batches of magic 2 (KIP-98), 5 answers the log
 * start offset, 7 allows zstd (KIP-110), 8 answers errors per record (KIP-467), 9 is flexible, 10 answers who
 * leads now (KIP-951), 11 and 12 admit transactions of version 2 (KIP-890) in the same layout.
 */
export const produce = {
  key: 0,
  name: 'Produce',
  request: {
    name: 'ProduceRequest',
    validVersions: '0-12',
    flexibleVersions: '9+',
    fields: [
      { name: 'transactionalId', type: 'string', versions: '3+', nullable: '3+', default: null },
      { name: 'acks', type: 'int16', versions: '0+' },
      { name: 'timeoutMs', type: 'int32', versions: '0+' },
      {
        name: 'topicData',
        type: [
          { name: 'name', type: 'string', versions: '0+' },
          {
            name: 'partitionData',
            type: [
              { name: 'index', type: 'int32', versions: '0+' },
              { name: 'records', type: 'records', versions: '0+', nullable: '0+' },
            ],
            isArray: true,
            versions: '0+',
          },
        ],
        isArray: true,
        versions: '0+',
      },
    ],
  },
  response: {
    name: 'ProduceResponse',
    validVersions: '0-12',
    flexibleVersions: '9+',
    fields: [
      {
        name: 'responses',
        type: [
          { name: 'name', type: 'string', versions: '0+' },
          {
            name: 'partitionResponses',
            type: [
              { name: 'index', type: 'int32', versions: '0+' },
              { name: 'errorCode', type: 'int16', versions: '0+' },
              { name: 'baseOffset', type: 'int64', versions: '0+' },
              { name: 'logAppendTimeMs', type: 'int64', versions: '2+', default: -1, ignorable: true },
              { name: 'logStartOffset', type: 'int64', versions: '5+', default: -1, ignorable: true },
              {
                name: 'recordErrors',
                type: [
                  { name: 'batchIndex', type: 'int32', versions: '8+' },
                  { name: 'batchIndexErrorMessage', type: 'string', versions: '8+', nullable: '8+', default: null },
                ],
                isArray: true,
                versions: '8+',
                ignorable: true,
              },
              { name: 'errorMessage', type: 'string', versions: '8+', nullable: '8+', default: null, ignorable: true },
              {
                name: 'currentLeader',
                type: [
                  { name: 'leaderId', type: 'int32', versions: '10+', default: -1 },
                  { name: 'leaderEpoch', type: 'int32', versions: '10+', default: -1 },
                ],
                versions: '10+',
                tag: 0,
                taggedVersions: '10+',
              },
            ],
            isArray: true,
            versions: '0+',
          },
        ],
        isArray: true,
        versions: '0+',
      },
      { name: 'throttleTimeMs', type: 'int32', versions: '1+', ignorable: true },
      {
        name: 'nodeEndpoints',
        type: [
          { name: 'nodeId', type: 'int32', versions: '10+' },
          { name: 'host', type: 'string', versions: '10+' },
          { name: 'port', type: 'int32', versions: '10+' },
          { name: 'rack', type: 'string', versions: '10+', nullable: '10+', default: null },
        ],
        isArray: true,
        versions: '10+',
        tag: 0,
        taggedVersions: '10+',
      },
    ],
  },
} as const;

/**
 * ListOffsets. Version 1 answers one offset and its timestamp instead of a list, 2 adds the isolation level, 4 the
 * leader epoch (KIP-320), 6 is flexible, 7 finds the largest timestamp (KIP-734), 8 and 9 the local and the tiered
 * log (KIP-405, KIP-1005), 10 adds a timeout.
 */
export const listOffsets = {
  key: 2,
  name: 'ListOffsets',
  request: {
    name: 'ListOffsetsRequest',
    validVersions: '0-10',
    flexibleVersions: '6+',
    fields: [
      { name: 'replicaId', type: 'int32', versions: '0+' },
      { name: 'isolationLevel', type: 'int8', versions: '2+' },
      {
        name: 'topics',
        type: [
          { name: 'name', type: 'string', versions: '0+' },
          {
            name: 'partitions',
            type: [
              { name: 'partitionIndex', type: 'int32', versions: '0+' },
              { name: 'currentLeaderEpoch', type: 'int32', versions: '4+', default: -1, ignorable: true },
              { name: 'timestamp', type: 'int64', versions: '0+', isClamped: true },
              { name: 'maxNumOffsets', type: 'int32', versions: '0', default: 1 },
            ],
            isArray: true,
            versions: '0+',
          },
        ],
        isArray: true,
        versions: '0+',
      },
      { name: 'timeoutMs', type: 'int32', versions: '10+', ignorable: true },
    ],
  },
  response: {
    name: 'ListOffsetsResponse',
    validVersions: '0-10',
    flexibleVersions: '6+',
    fields: [
      { name: 'throttleTimeMs', type: 'int32', versions: '2+', ignorable: true },
      {
        name: 'topics',
        type: [
          { name: 'name', type: 'string', versions: '0+' },
          {
            name: 'partitions',
            type: [
              { name: 'partitionIndex', type: 'int32', versions: '0+' },
              { name: 'errorCode', type: 'int16', versions: '0+' },
              { name: 'oldStyleOffsets', type: 'int64', isArray: true, versions: '0' },
              { name: 'timestamp', type: 'int64', versions: '1+', default: -1 },
              { name: 'offset', type: 'int64', versions: '1+', default: -1 },
              { name: 'leaderEpoch', type: 'int32', versions: '4+', default: -1 },
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
} as const;

/**
 * OffsetForLeaderEpoch. Version 1 answers the epoch, 2 takes the current leader epoch (KIP-320), 3 the replica id,
 * 4 is flexible.
 */
export const offsetForLeaderEpoch = {
  key: 23,
  name: 'OffsetForLeaderEpoch',
  request: {
    name: 'OffsetForLeaderEpochRequest',
    validVersions: '0-4',
    flexibleVersions: '4+',
    fields: [
      { name: 'replicaId', type: 'int32', versions: '3+', default: -2, ignorable: true },
      {
        name: 'topics',
        type: [
          { name: 'topic', type: 'string', versions: '0+' },
          {
            name: 'partitions',
            type: [
              { name: 'partition', type: 'int32', versions: '0+' },
              { name: 'currentLeaderEpoch', type: 'int32', versions: '2+', default: -1, ignorable: true },
              { name: 'leaderEpoch', type: 'int32', versions: '0+' },
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
    name: 'OffsetForLeaderEpochResponse',
    validVersions: '0-4',
    flexibleVersions: '4+',
    fields: [
      { name: 'throttleTimeMs', type: 'int32', versions: '2+', ignorable: true },
      {
        name: 'topics',
        type: [
          { name: 'topic', type: 'string', versions: '0+' },
          {
            name: 'partitions',
            type: [
              { name: 'errorCode', type: 'int16', versions: '0+' },
              { name: 'partition', type: 'int32', versions: '0+' },
              { name: 'leaderEpoch', type: 'int32', versions: '1+', default: -1, ignorable: true },
              { name: 'endOffset', type: 'int64', versions: '0+', default: -1 },
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

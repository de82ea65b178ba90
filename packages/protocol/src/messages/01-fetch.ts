/**
 * Fetch. Version 4 adds the isolation level (KIP-98), 5 the log start offset, 7 sessions (KIP-227), 9 the leader
 * epoch (KIP-320), 10 allows zstd, 11 is fetching from followers (KIP-392), 12 is flexible, 13 names topics by id
 * (KIP-516), 15 moves the replica's state to a tag (KIP-903), 16 answers leaders' endpoints (KIP-951), 17 adds the
 * replica's directory (KIP-853).
 */
export const fetch = {
  key: 1,
  name: 'Fetch',
  request: {
    name: 'FetchRequest',
    validVersions: '0-17',
    flexibleVersions: '12+',
    fields: [
      {
        name: 'clusterId',
        type: 'string',
        versions: '12+',
        nullable: '12+',
        tag: 0,
        taggedVersions: '12+',
        default: null,
        ignorable: true,
      },
      { name: 'replicaId', type: 'int32', versions: '0-14', default: -1 },
      {
        name: 'replicaState',
        type: [
          { name: 'replicaId', type: 'int32', versions: '15+', default: -1 },
          { name: 'replicaEpoch', type: 'int64', versions: '15+', default: -1 },
        ],
        versions: '15+',
        tag: 1,
        taggedVersions: '15+',
      },
      { name: 'maxWaitMs', type: 'int32', versions: '0+' },
      { name: 'minBytes', type: 'int32', versions: '0+' },
      { name: 'maxBytes', type: 'int32', versions: '3+', default: 2147483647, ignorable: true },
      { name: 'isolationLevel', type: 'int8', versions: '4+', ignorable: true },
      { name: 'sessionId', type: 'int32', versions: '7+', ignorable: true },
      { name: 'sessionEpoch', type: 'int32', versions: '7+', default: -1, ignorable: true },
      {
        name: 'topics',
        type: [
          { name: 'topic', type: 'string', versions: '0-12', ignorable: true },
          { name: 'topicId', type: 'uuid', versions: '13+', ignorable: true },
          {
            name: 'partitions',
            type: [
              { name: 'partition', type: 'int32', versions: '0+' },
              { name: 'currentLeaderEpoch', type: 'int32', versions: '9+', default: -1, ignorable: true },
              { name: 'fetchOffset', type: 'int64', versions: '0+', isClamped: true },
              { name: 'lastFetchedEpoch', type: 'int32', versions: '12+', default: -1 },
              { name: 'logStartOffset', type: 'int64', versions: '5+', default: -1, ignorable: true },
              { name: 'partitionMaxBytes', type: 'int32', versions: '0+' },
              {
                name: 'replicaDirectoryId',
                type: 'uuid',
                versions: '17+',
                tag: 0,
                taggedVersions: '17+',
                ignorable: true,
              },
            ],
            isArray: true,
            versions: '0+',
          },
        ],
        isArray: true,
        versions: '0+',
      },
      {
        name: 'forgottenTopicsData',
        type: [
          { name: 'topic', type: 'string', versions: '7-12', ignorable: true },
          { name: 'topicId', type: 'uuid', versions: '13+', ignorable: true },
          { name: 'partitions', type: 'int32', isArray: true, versions: '7+' },
        ],
        isArray: true,
        versions: '7+',
      },
      { name: 'rackId', type: 'string', versions: '11+', ignorable: true },
    ],
  },
  response: {
    name: 'FetchResponse',
    validVersions: '0-17',
    flexibleVersions: '12+',
    fields: [
      { name: 'throttleTimeMs', type: 'int32', versions: '1+', ignorable: true },
      { name: 'errorCode', type: 'int16', versions: '7+', ignorable: true },
      { name: 'sessionId', type: 'int32', versions: '7+' },
      {
        name: 'responses',
        type: [
          { name: 'topic', type: 'string', versions: '0-12', ignorable: true },
          { name: 'topicId', type: 'uuid', versions: '13+', ignorable: true },
          {
            name: 'partitions',
            type: [
              { name: 'partitionIndex', type: 'int32', versions: '0+' },
              { name: 'errorCode', type: 'int16', versions: '0+' },
              { name: 'highWatermark', type: 'int64', versions: '0+' },
              { name: 'lastStableOffset', type: 'int64', versions: '4+', default: -1, ignorable: true },
              { name: 'logStartOffset', type: 'int64', versions: '5+', default: -1, ignorable: true },
              {
                name: 'divergingEpoch',
                type: [
                  { name: 'epoch', type: 'int32', versions: '12+', default: -1 },
                  { name: 'endOffset', type: 'int64', versions: '12+', default: -1 },
                ],
                versions: '12+',
                tag: 0,
                taggedVersions: '12+',
              },
              {
                name: 'currentLeader',
                type: [
                  { name: 'leaderId', type: 'int32', versions: '12+', default: -1 },
                  { name: 'leaderEpoch', type: 'int32', versions: '12+', default: -1 },
                ],
                versions: '12+',
                tag: 1,
                taggedVersions: '12+',
              },
              {
                name: 'snapshotId',
                type: [
                  { name: 'endOffset', type: 'int64', versions: '0+', default: -1 },
                  { name: 'epoch', type: 'int32', versions: '0+', default: -1 },
                ],
                versions: '12+',
                tag: 2,
                taggedVersions: '12+',
              },
              {
                name: 'abortedTransactions',
                type: [
                  { name: 'producerId', type: 'int64', versions: '4+' },
                  { name: 'firstOffset', type: 'int64', versions: '4+' },
                ],
                isArray: true,
                versions: '4+',
                nullable: '4+',
                ignorable: true,
              },
              { name: 'preferredReadReplica', type: 'int32', versions: '11+', default: -1 },
              { name: 'records', type: 'records', versions: '0+', nullable: '0+' },
            ],
            isArray: true,
            versions: '0+',
          },
        ],
        isArray: true,
        versions: '0+',
      },
      {
        name: 'nodeEndpoints',
        type: [
          { name: 'nodeId', type: 'int32', versions: '16+' },
          { name: 'host', type: 'string', versions: '16+' },
          { name: 'port', type: 'int32', versions: '16+' },
          { name: 'rack', type: 'string', versions: '16+', nullable: '16+', default: null },
        ],
        isArray: true,
        versions: '16+',
        tag: 0,
        taggedVersions: '16+',
      },
    ],
  },
} as const;

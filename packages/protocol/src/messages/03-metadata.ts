/**
 * Metadata. Version 1 adds the controller, racks and all topics by null, 2 the cluster id, 4 asks before creating
 * topics, 5 offline replicas, 7 leader epochs (KIP-320), 8 authorized operations (KIP-430), 9 is flexible, 10 adds
 * topic ids and 12 asks by them (KIP-516), 13 answers an error of the whole (KIP-1102).
 */
export const metadata = {
  key: 3,
  name: 'Metadata',
  request: {
    name: 'MetadataRequest',
    validVersions: '0-13',
    flexibleVersions: '9+',
    fields: [
      {
        name: 'topics',
        type: [
          { name: 'topicId', type: 'uuid', versions: '10+', ignorable: true },
          { name: 'name', type: 'string', versions: '0+', nullable: '10+' },
        ],
        isArray: true,
        versions: '0+',
        nullable: '1+',
      },
      { name: 'allowAutoTopicCreation', type: 'bool', versions: '4+', default: true },
      { name: 'includeClusterAuthorizedOperations', type: 'bool', versions: '8-10' },
      { name: 'includeTopicAuthorizedOperations', type: 'bool', versions: '8+' },
    ],
  },
  response: {
    name: 'MetadataResponse',
    validVersions: '0-13',
    flexibleVersions: '9+',
    fields: [
      { name: 'throttleTimeMs', type: 'int32', versions: '3+', ignorable: true },
      {
        name: 'brokers',
        type: [
          { name: 'nodeId', type: 'int32', versions: '0+' },
          { name: 'host', type: 'string', versions: '0+' },
          { name: 'port', type: 'int32', versions: '0+' },
          { name: 'rack', type: 'string', versions: '1+', nullable: '1+', default: null, ignorable: true },
        ],
        isArray: true,
        versions: '0+',
      },
      { name: 'clusterId', type: 'string', versions: '2+', nullable: '2+', default: null, ignorable: true },
      { name: 'controllerId', type: 'int32', versions: '1+', default: -1, ignorable: true },
      {
        name: 'topics',
        type: [
          { name: 'errorCode', type: 'int16', versions: '0+' },
          { name: 'name', type: 'string', versions: '0+', nullable: '12+' },
          { name: 'topicId', type: 'uuid', versions: '10+', ignorable: true },
          { name: 'isInternal', type: 'bool', versions: '1+', ignorable: true },
          {
            name: 'partitions',
            type: [
              { name: 'errorCode', type: 'int16', versions: '0+' },
              { name: 'partitionIndex', type: 'int32', versions: '0+' },
              { name: 'leaderId', type: 'int32', versions: '0+' },
              { name: 'leaderEpoch', type: 'int32', versions: '7+', default: -1, ignorable: true },
              { name: 'replicaNodes', type: 'int32', isArray: true, versions: '0+' },
              { name: 'isrNodes', type: 'int32', isArray: true, versions: '0+' },
              { name: 'offlineReplicas', type: 'int32', isArray: true, versions: '5+', ignorable: true },
            ],
            isArray: true,
            versions: '0+',
          },
          { name: 'topicAuthorizedOperations', type: 'int32', versions: '8+', default: -2147483648 },
        ],
        isArray: true,
        versions: '0+',
      },
      { name: 'clusterAuthorizedOperations', type: 'int32', versions: '8-10', default: -2147483648 },
      { name: 'errorCode', type: 'int16', versions: '13+', ignorable: true },
    ],
  },
} as const;

/**
 * JoinGroup. Version 1 adds the rebalance timeout, 4 makes members come back with their id (KIP-394), 5 adds the
 * instance id of static members (KIP-345), 6 is flexible, 7 answers the protocol type (KIP-559), 8 takes a reason
 * (KIP-800), 9 lets the leader skip assignment (KIP-814).
 */
export const joinGroup = {
  key: 11,
  name: 'JoinGroup',
  request: {
    name: 'JoinGroupRequest',
    validVersions: '0-9',
    flexibleVersions: '6+',
    fields: [
      { name: 'groupId', type: 'string', versions: '0+' },
      { name: 'sessionTimeoutMs', type: 'int32', versions: '0+' },
      { name: 'rebalanceTimeoutMs', type: 'int32', versions: '1+', default: -1, ignorable: true },
      { name: 'memberId', type: 'string', versions: '0+' },
      { name: 'groupInstanceId', type: 'string', versions: '5+', nullable: '5+', default: null },
      { name: 'protocolType', type: 'string', versions: '0+' },
      {
        name: 'protocols',
        type: [
          { name: 'name', type: 'string', versions: '0+' },
          { name: 'metadata', type: 'bytes', versions: '0+' },
        ],
        isArray: true,
        versions: '0+',
      },
      { name: 'reason', type: 'string', versions: '8+', nullable: '8+', default: null, ignorable: true },
    ],
  },
  response: {
    name: 'JoinGroupResponse',
    validVersions: '0-9',
    flexibleVersions: '6+',
    fields: [
      { name: 'throttleTimeMs', type: 'int32', versions: '2+', ignorable: true },
      { name: 'errorCode', type: 'int16', versions: '0+' },
      { name: 'generationId', type: 'int32', versions: '0+', default: -1 },
      { name: 'protocolType', type: 'string', versions: '7+', nullable: '7+', default: null, ignorable: true },
      { name: 'protocolName', type: 'string', versions: '0+', nullable: '7+' },
      { name: 'leader', type: 'string', versions: '0+' },
      { name: 'skipAssignment', type: 'bool', versions: '9+' },
      { name: 'memberId', type: 'string', versions: '0+' },
      {
        name: 'members',
        type: [
          { name: 'memberId', type: 'string', versions: '0+' },
          { name: 'groupInstanceId', type: 'string', versions: '5+', nullable: '5+', default: null, ignorable: true },
          { name: 'metadata', type: 'bytes', versions: '0+' },
        ],
        isArray: true,
        versions: '0+',
      },
    ],
  },
} as const;

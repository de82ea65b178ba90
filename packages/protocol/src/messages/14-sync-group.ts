/**
 * SyncGroup. Version 3 adds the instance id of static members (KIP-345), 4 is flexible, 5 the protocol's type and
 * name (KIP-559).
 */
export const syncGroup = {
  key: 14,
  name: 'SyncGroup',
  request: {
    name: 'SyncGroupRequest',
    validVersions: '0-5',
    flexibleVersions: '4+',
    fields: [
      { name: 'groupId', type: 'string', versions: '0+' },
      { name: 'generationId', type: 'int32', versions: '0+' },
      { name: 'memberId', type: 'string', versions: '0+' },
      { name: 'groupInstanceId', type: 'string', versions: '3+', nullable: '3+', default: null },
      { name: 'protocolType', type: 'string', versions: '5+', nullable: '5+', default: null, ignorable: true },
      { name: 'protocolName', type: 'string', versions: '5+', nullable: '5+', default: null, ignorable: true },
      {
        name: 'assignments',
        type: [
          { name: 'memberId', type: 'string', versions: '0+' },
          { name: 'assignment', type: 'bytes', versions: '0+' },
        ],
        isArray: true,
        versions: '0+',
      },
    ],
  },
  response: {
    name: 'SyncGroupResponse',
    validVersions: '0-5',
    flexibleVersions: '4+',
    fields: [
      { name: 'throttleTimeMs', type: 'int32', versions: '1+', ignorable: true },
      { name: 'errorCode', type: 'int16', versions: '0+' },
      { name: 'protocolType', type: 'string', versions: '5+', nullable: '5+', default: null, ignorable: true },
      { name: 'protocolName', type: 'string', versions: '5+', nullable: '5+', default: null, ignorable: true },
      { name: 'assignment', type: 'bytes', versions: '0+' },
    ],
  },
} as const;

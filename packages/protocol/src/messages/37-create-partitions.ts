/** CreatePartitions. Version 2 is flexible, 3 may be refused by quotas (KIP-599). */
export const createPartitions = {
  key: 37,
  name: 'CreatePartitions',
  request: {
    name: 'CreatePartitionsRequest',
    validVersions: '0-3',
    flexibleVersions: '2+',
    fields: [
      {
        name: 'topics',
        type: [
          { name: 'name', type: 'string', versions: '0+' },
          { name: 'count', type: 'int32', versions: '0+' },
          {
            name: 'assignments',
            type: [{ name: 'brokerIds', type: 'int32', isArray: true, versions: '0+' }],
            isArray: true,
            versions: '0+',
            nullable: '0+',
          },
        ],
        isArray: true,
        versions: '0+',
      },
      { name: 'timeoutMs', type: 'int32', versions: '0+' },
      { name: 'validateOnly', type: 'bool', versions: '0+' },
    ],
  },
  response: {
    name: 'CreatePartitionsResponse',
    validVersions: '0-3',
    flexibleVersions: '2+',
    fields: [
      { name: 'throttleTimeMs', type: 'int32', versions: '0+' },
      {
        name: 'results',
        type: [
          { name: 'name', type: 'string', versions: '0+' },
          { name: 'errorCode', type: 'int16', versions: '0+' },
          { name: 'errorMessage', type: 'string', versions: '0+', nullable: '0+', default: null },
        ],
        isArray: true,
        versions: '0+',
      },
    ],
  },
} as const;

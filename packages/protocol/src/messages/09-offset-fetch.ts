/**
 * OffsetFetch. Version 2 fetches all topics by null and answers an error of the whole, 5 leader epochs (KIP-320),
 * 6 is flexible, 7 can demand stable offsets (KIP-447), 8 asks for several groups (KIP-709), 9 takes member epochs
 * (KIP-848).
 */
export const offsetFetch = {
  key: 9,
  name: 'OffsetFetch',
  request: {
    name: 'OffsetFetchRequest',
    validVersions: '0-9',
    flexibleVersions: '6+',
    fields: [
      { name: 'groupId', type: 'string', versions: '0-7' },
      {
        name: 'topics',
        type: [
          { name: 'name', type: 'string', versions: '0-7' },
          { name: 'partitionIndexes', type: 'int32', isArray: true, versions: '0-7' },
        ],
        isArray: true,
        versions: '0-7',
        nullable: '2-7',
      },
      {
        name: 'groups',
        type: [
          { name: 'groupId', type: 'string', versions: '8+' },
          { name: 'memberId', type: 'string', versions: '9+', nullable: '9+', default: null, ignorable: true },
          { name: 'memberEpoch', type: 'int32', versions: '9+', default: -1, ignorable: true },
          {
            name: 'topics',
            type: [
              { name: 'name', type: 'string', versions: '8+' },
              { name: 'partitionIndexes', type: 'int32', isArray: true, versions: '8+' },
            ],
            isArray: true,
            versions: '8+',
            nullable: '8+',
          },
        ],
        isArray: true,
        versions: '8+',
      },
      { name: 'requireStable', type: 'bool', versions: '7+' },
    ],
  },
  response: {
    name: 'OffsetFetchResponse',
    validVersions: '0-9',
    flexibleVersions: '6+',
    fields: [
      { name: 'throttleTimeMs', type: 'int32', versions: '3+', ignorable: true },
      {
        name: 'topics',
        type: [
          { name: 'name', type: 'string', versions: '0-7' },
          {
            name: 'partitions',
            type: [
              { name: 'partitionIndex', type: 'int32', versions: '0-7' },
              { name: 'committedOffset', type: 'int64', versions: '0-7' },
              { name: 'committedLeaderEpoch', type: 'int32', versions: '5-7', default: -1, ignorable: true },
              { name: 'metadata', type: 'string', versions: '0-7', nullable: '0-7' },
              { name: 'errorCode', type: 'int16', versions: '0-7' },
            ],
            isArray: true,
            versions: '0-7',
          },
        ],
        isArray: true,
        versions: '0-7',
      },
      { name: 'errorCode', type: 'int16', versions: '2-7', ignorable: true },
      {
        name: 'groups',
        type: [
          { name: 'groupId', type: 'string', versions: '8+' },
          {
            name: 'topics',
            type: [
              { name: 'name', type: 'string', versions: '8+' },
              {
                name: 'partitions',
                type: [
                  { name: 'partitionIndex', type: 'int32', versions: '8+' },
                  { name: 'committedOffset', type: 'int64', versions: '8+' },
                  { name: 'committedLeaderEpoch', type: 'int32', versions: '8+', default: -1, ignorable: true },
                  { name: 'metadata', type: 'string', versions: '8+', nullable: '8+' },
                  { name: 'errorCode', type: 'int16', versions: '8+' },
                ],
                isArray: true,
                versions: '8+',
              },
            ],
            isArray: true,
            versions: '8+',
          },
          { name: 'errorCode', type: 'int16', versions: '8+' },
        ],
        isArray: true,
        versions: '8+',
      },
    ],
  },
} as const;

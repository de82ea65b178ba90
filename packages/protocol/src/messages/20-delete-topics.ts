/** DeleteTopics. Version 4 is flexible, 5 answers error messages (KIP-599), 6 names topics by id (KIP-516). */
export const deleteTopics = {
  key: 20,
  name: 'DeleteTopics',
  request: {
    name: 'DeleteTopicsRequest',
    validVersions: '0-6',
    flexibleVersions: '4+',
    fields: [
      {
        name: 'topics',
        type: [
          { name: 'name', type: 'string', versions: '6+', nullable: '6+', default: null },
          { name: 'topicId', type: 'uuid', versions: '6+' },
        ],
        isArray: true,
        versions: '6+',
      },
      { name: 'topicNames', type: 'string', isArray: true, versions: '0-5', ignorable: true },
      { name: 'timeoutMs', type: 'int32', versions: '0+' },
    ],
  },
  response: {
    name: 'DeleteTopicsResponse',
    validVersions: '0-6',
    flexibleVersions: '4+',
    fields: [
      { name: 'throttleTimeMs', type: 'int32', versions: '1+', ignorable: true },
      {
        name: 'responses',
        type: [
          { name: 'name', type: 'string', versions: '0+', nullable: '6+' },
          { name: 'topicId', type: 'uuid', versions: '6+', ignorable: true },
          { name: 'errorCode', type: 'int16', versions: '0+' },
          { name: 'errorMessage', type: 'string', versions: '5+', nullable: '5+', default: null, ignorable: true },
        ],
        isArray: true,
        versions: '0+',
      },
    ],
  },
} as const;

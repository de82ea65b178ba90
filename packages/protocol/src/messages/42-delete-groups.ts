/** DeleteGroups. Version 2 is flexible. */
export const deleteGroups = {
  key: 42,
  name: 'DeleteGroups',
  request: {
    name: 'DeleteGroupsRequest',
    validVersions: '0-2',
    flexibleVersions: '2+',
    fields: [{ name: 'groupsNames', type: 'string', isArray: true, versions: '0+' }],
  },
  response: {
    name: 'DeleteGroupsResponse',
    validVersions: '0-2',
    flexibleVersions: '2+',
    fields: [
      { name: 'throttleTimeMs', type: 'int32', versions: '0+' },
      {
        name: 'results',
        type: [
          { name: 'groupId', type: 'string', versions: '0+' },
          { name: 'errorCode', type: 'int16', versions: '0+' },
        ],
        isArray: true,
        versions: '0+',
      },
    ],
  },
} as const;

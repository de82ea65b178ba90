/** ListGroups. Version 3 is flexible, 4 filters by state (KIP-518), 5 by type (KIP-848). */
export const listGroups = {
  key: 16,
  name: 'ListGroups',
  request: {
    name: 'ListGroupsRequest',
    validVersions: '0-5',
    flexibleVersions: '3+',
    fields: [
      { name: 'statesFilter', type: 'string', isArray: true, versions: '4+' },
      { name: 'typesFilter', type: 'string', isArray: true, versions: '5+' },
    ],
  },
  response: {
    name: 'ListGroupsResponse',
    validVersions: '0-5',
    flexibleVersions: '3+',
    fields: [
      { name: 'throttleTimeMs', type: 'int32', versions: '1+', ignorable: true },
      { name: 'errorCode', type: 'int16', versions: '0+' },
      {
        name: 'groups',
        type: [
          { name: 'groupId', type: 'string', versions: '0+' },
          { name: 'protocolType', type: 'string', versions: '0+' },
          { name: 'groupState', type: 'string', versions: '4+', ignorable: true },
          { name: 'groupType', type: 'string', versions: '5+', ignorable: true },
        ],
        isArray: true,
        versions: '0+',
      },
    ],
  },
} as const;

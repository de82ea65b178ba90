/**
 * DescribeGroups. Version 3 adds authorized operations (KIP-430), 4 the instance id of static members (KIP-345), 5
 * is flexible, 6 answers error messages (KIP-1043).
 */
export const describeGroups = {
  key: 15,
  name: 'DescribeGroups',
  request: {
    name: 'DescribeGroupsRequest',
    validVersions: '0-6',
    flexibleVersions: '5+',
    fields: [
      { name: 'groups', type: 'string', isArray: true, versions: '0+' },
      { name: 'includeAuthorizedOperations', type: 'bool', versions: '3+' },
    ],
  },
  response: {
    name: 'DescribeGroupsResponse',
    validVersions: '0-6',
    flexibleVersions: '5+',
    fields: [
      { name: 'throttleTimeMs', type: 'int32', versions: '1+', ignorable: true },
      {
        name: 'groups',
        type: [
          { name: 'errorCode', type: 'int16', versions: '0+' },
          { name: 'errorMessage', type: 'string', versions: '6+', nullable: '6+', default: null, ignorable: true },
          { name: 'groupId', type: 'string', versions: '0+' },
          { name: 'groupState', type: 'string', versions: '0+' },
          { name: 'protocolType', type: 'string', versions: '0+' },
          { name: 'protocolData', type: 'string', versions: '0+' },
          {
            name: 'members',
            type: [
              { name: 'memberId', type: 'string', versions: '0+' },
              {
                name: 'groupInstanceId',
                type: 'string',
                versions: '4+',
                nullable: '4+',
                default: null,
                ignorable: true,
              },
              { name: 'clientId', type: 'string', versions: '0+' },
              { name: 'clientHost', type: 'string', versions: '0+' },
              { name: 'memberMetadata', type: 'bytes', versions: '0+' },
              { name: 'memberAssignment', type: 'bytes', versions: '0+' },
            ],
            isArray: true,
            versions: '0+',
          },
          { name: 'authorizedOperations', type: 'int32', versions: '3+', default: -2147483648 },
        ],
        isArray: true,
        versions: '0+',
      },
    ],
  },
} as const;

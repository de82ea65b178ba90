/** LeaveGroup. Version 3 takes several members (KIP-345), 4 is flexible, 5 takes a reason (KIP-800). */
export const leaveGroup = {
  key: 13,
  name: 'LeaveGroup',
  request: {
    name: 'LeaveGroupRequest',
    validVersions: '0-5',
    flexibleVersions: '4+',
    fields: [
      { name: 'groupId', type: 'string', versions: '0+' },
      { name: 'memberId', type: 'string', versions: '0-2' },
      {
        name: 'members',
        type: [
          { name: 'memberId', type: 'string', versions: '3+' },
          { name: 'groupInstanceId', type: 'string', versions: '3+', nullable: '3+', default: null },
          { name: 'reason', type: 'string', versions: '5+', nullable: '5+', default: null, ignorable: true },
        ],
        isArray: true,
        versions: '3+',
      },
    ],
  },
  response: {
    name: 'LeaveGroupResponse',
    validVersions: '0-5',
    flexibleVersions: '4+',
    fields: [
      { name: 'throttleTimeMs', type: 'int32', versions: '1+', ignorable: true },
      { name: 'errorCode', type: 'int16', versions: '0+' },
      {
        name: 'members',
        type: [
          { name: 'memberId', type: 'string', versions: '3+' },
          { name: 'groupInstanceId', type: 'string', versions: '3+', nullable: '3+' },
          { name: 'errorCode', type: 'int16', versions: '3+' },
        ],
        isArray: true,
        versions: '3+',
      },
    ],
  },
} as const;

/**
 * What a member of protocol type `consumer` subscribes to. Version 1 adds what it owns (KIP-429), 2 the
 * generation, 3 the rack (KIP-881).
 */
export const consumerProtocolSubscription = {
  name: 'ConsumerProtocolSubscription',
  validVersions: '0-3',
  flexibleVersions: 'none',
  fields: [
    { name: 'topics', type: 'string', isArray: true, versions: '0+' },
    { name: 'userData', type: 'bytes', versions: '0+', nullable: '0+', default: null },
    {
      name: 'ownedPartitions',
      type: [
        { name: 'topic', type: 'string', versions: '1+' },
        { name: 'partitions', type: 'int32', isArray: true, versions: '1+' },
      ],
      isArray: true,
      versions: '1+',
      ignorable: true,
    },
    { name: 'generationId', type: 'int32', versions: '2+', default: -1, ignorable: true },
    { name: 'rackId', type: 'string', versions: '3+', nullable: '3+', default: null, ignorable: true },
  ],
} as const;

/** What the leader of protocol type `consumer` assigns to a member. The versions share one layout. */
export const consumerProtocolAssignment = {
  name: 'ConsumerProtocolAssignment',
  validVersions: '0-3',
  flexibleVersions: 'none',
  fields: [
    {
      name: 'assignedPartitions',
      type: [
        { name: 'topic', type: 'string', versions: '0+' },
        { name: 'partitions', type: 'int32', isArray: true, versions: '0+' },
      ],
      isArray: true,
      versions: '0+',
    },
    { name: 'userData', type: 'bytes', versions: '0+', nullable: '0+', default: null },
  ],
} as const;

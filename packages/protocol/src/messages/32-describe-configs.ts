/**
 * DescribeConfigs. Version 1 answers sources and synonyms (KIP-226), 3 types and documentation (KIP-569), 4 is
 * flexible.
 */
export const describeConfigs = {
  key: 32,
  name: 'DescribeConfigs',
  request: {
    name: 'DescribeConfigsRequest',
    validVersions: '0-4',
    flexibleVersions: '4+',
    fields: [
      {
        name: 'resources',
        type: [
          { name: 'resourceType', type: 'int8', versions: '0+' },
          { name: 'resourceName', type: 'string', versions: '0+' },
          { name: 'configurationKeys', type: 'string', isArray: true, versions: '0+', nullable: '0+' },
        ],
        isArray: true,
        versions: '0+',
      },
      { name: 'includeSynonyms', type: 'bool', versions: '1+' },
      { name: 'includeDocumentation', type: 'bool', versions: '3+' },
    ],
  },
  response: {
    name: 'DescribeConfigsResponse',
    validVersions: '0-4',
    flexibleVersions: '4+',
    fields: [
      { name: 'throttleTimeMs', type: 'int32', versions: '0+' },
      {
        name: 'results',
        type: [
          { name: 'errorCode', type: 'int16', versions: '0+' },
          { name: 'errorMessage', type: 'string', versions: '0+', nullable: '0+' },
          { name: 'resourceType', type: 'int8', versions: '0+' },
          { name: 'resourceName', type: 'string', versions: '0+' },
          {
            name: 'configs',
            type: [
              { name: 'name', type: 'string', versions: '0+' },
              { name: 'value', type: 'string', versions: '0+', nullable: '0+' },
              { name: 'readOnly', type: 'bool', versions: '0+' },
              { name: 'isDefault', type: 'bool', versions: '0' },
              { name: 'configSource', type: 'int8', versions: '1+', default: -1, ignorable: true },
              { name: 'isSensitive', type: 'bool', versions: '0+' },
              {
                name: 'synonyms',
                type: [
                  { name: 'name', type: 'string', versions: '1+' },
                  { name: 'value', type: 'string', versions: '1+', nullable: '0+' },
                  { name: 'source', type: 'int8', versions: '1+' },
                ],
                isArray: true,
                versions: '1+',
                ignorable: true,
              },
              { name: 'configType', type: 'int8', versions: '3+', ignorable: true },
              { name: 'documentation', type: 'string', versions: '3+', nullable: '0+', ignorable: true },
            ],
            isArray: true,
            versions: '0+',
          },
        ],
        isArray: true,
        versions: '0+',
      },
    ],
  },
} as const;

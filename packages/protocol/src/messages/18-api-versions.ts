/**
 * ApiVersions. Version 3 is flexible, names the client's software (KIP-511) and answers features (KIP-584); 4 may
 * answer features of version 0. Its response header never has tags, as the client does not know our versions yet.
 */
export const apiVersions = {
  key: 18,
  name: 'ApiVersions',
  request: {
    name: 'ApiVersionsRequest',
    validVersions: '0-4',
    flexibleVersions: '3+',
    fields: [
      { name: 'clientSoftwareName', type: 'string', versions: '3+', ignorable: true },
      { name: 'clientSoftwareVersion', type: 'string', versions: '3+', ignorable: true },
    ],
  },
  response: {
    name: 'ApiVersionsResponse',
    validVersions: '0-4',
    flexibleVersions: '3+',
    fields: [
      { name: 'errorCode', type: 'int16', versions: '0+' },
      {
        name: 'apiKeys',
        type: [
          { name: 'apiKey', type: 'int16', versions: '0+' },
          { name: 'minVersion', type: 'int16', versions: '0+' },
          { name: 'maxVersion', type: 'int16', versions: '0+' },
        ],
        isArray: true,
        versions: '0+',
      },
      { name: 'throttleTimeMs', type: 'int32', versions: '1+', ignorable: true },
      {
        name: 'supportedFeatures',
        type: [
          { name: 'name', type: 'string', versions: '3+' },
          { name: 'minVersion', type: 'int16', versions: '3+' },
          { name: 'maxVersion', type: 'int16', versions: '3+' },
        ],
        isArray: true,
        versions: '3+',
        tag: 0,
        taggedVersions: '3+',
        ignorable: true,
      },
      {
        name: 'finalizedFeaturesEpoch',
        type: 'int64',
        versions: '3+',
        tag: 1,
        taggedVersions: '3+',
        default: -1,
        ignorable: true,
      },
      {
        name: 'finalizedFeatures',
        type: [
          { name: 'name', type: 'string', versions: '3+' },
          { name: 'maxVersionLevel', type: 'int16', versions: '3+' },
          { name: 'minVersionLevel', type: 'int16', versions: '3+' },
        ],
        isArray: true,
        versions: '3+',
        tag: 2,
        taggedVersions: '3+',
        ignorable: true,
      },
      { name: 'zkMigrationReady', type: 'bool', versions: '3+', tag: 3, taggedVersions: '3+', ignorable: true },
    ],
  },
} as const;

/**
 * SaslHandshake. Version 1 has its tokens wrapped in SaslAuthenticate (KIP-152); after version 0 they follow bare.
 */
export const saslHandshake = {
  key: 17,
  name: 'SaslHandshake',
  request: {
    name: 'SaslHandshakeRequest',
    validVersions: '0-1',
    flexibleVersions: 'none',
    fields: [{ name: 'mechanism', type: 'string', versions: '0+' }],
  },
  response: {
    name: 'SaslHandshakeResponse',
    validVersions: '0-1',
    flexibleVersions: 'none',
    fields: [
      { name: 'errorCode', type: 'int16', versions: '0+' },
      { name: 'mechanisms', type: 'string', isArray: true, versions: '0+' },
    ],
  },
} as const;

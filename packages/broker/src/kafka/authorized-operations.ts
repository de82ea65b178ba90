/** Sets of operations as bits, 1 << the operation's code (KIP-430). Without an authorizer, everybody may do everything. */
const operation = {
  read: 3,
  write: 4,
  create: 5,
  delete: 6,
  alter: 7,
  describe: 8,
  clusterAction: 9,
  describeConfigs: 10,
  alterConfigs: 11,
  idempotentWrite: 12,
} as const;

const bitsOf = (...names: readonly (keyof typeof operation)[]): number =>
  names.reduce((bits, name) => bits | (1 << operation[name]), 0);

export const topicOperations: number = bitsOf(
  'read',
  'write',
  'create',
  'delete',
  'alter',
  'describe',
  'describeConfigs',
  'alterConfigs',
);

export const groupOperations: number = bitsOf('read', 'delete', 'describe', 'describeConfigs', 'alterConfigs');

export const clusterOperations: number = bitsOf(
  'create',
  'alter',
  'describe',
  'clusterAction',
  'describeConfigs',
  'alterConfigs',
  'idempotentWrite',
);

/** What the field holds where nobody asked. */
export const notAsked: number = -2_147_483_648;

/**
 * `@millrace/client/testing`: what must hold between this client and a cluster, as cases that any test runner can run.
 *
 *     for (const clientCase of clientCases) it(clientCase.name, () => runClientCase(clientCase, 'localhost:9092'));
 */
import { adminCases } from './admin-cases.ts';
import type { ClientCase } from './client-case.ts';
import { consumingCases } from './consuming-cases.ts';
import { groupCases } from './group-cases.ts';
import { producingCases } from './producing-cases.ts';
import { transactionCases } from './transaction-cases.ts';

export { ClientCaseContext, runClientCase, type ClientCase } from './client-case.ts';

/** Each takes seconds at most, and needs nothing of the others. */
export const clientCases: readonly ClientCase[] = [
  ...adminCases,
  ...producingCases,
  ...consumingCases,
  ...groupCases,
  ...transactionCases,
];

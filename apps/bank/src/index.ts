/** The bank, for programs that run it inside themselves. */
export { account } from './account.ts';
export type { AccountEvent, Balance, Transfer } from './contracts.ts';
export { startService, type Service, type ServiceOptions } from './service.ts';

import { errorCodes } from './error-codes.ts';

/** Clients older than the error PRODUCER_FENCED (KIP-588) are told INVALID_PRODUCER_EPOCH, and do the same about it. */
export function fencedAsEpoch(errorCode: number): number {
  return errorCode === errorCodes.PRODUCER_FENCED ? errorCodes.INVALID_PRODUCER_EPOCH : errorCode;
}

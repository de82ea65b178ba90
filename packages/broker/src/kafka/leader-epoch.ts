import type { PartitionLog } from '@millrace/log';
import { errorCodes } from './error-codes.ts';

/** KIP-320: what a client believes to be the leader's epoch, against what it is. −1: it does not say. */
export function checkLeaderEpoch(log: PartitionLog, currentLeaderEpoch: number): number {
  if (currentLeaderEpoch === -1 || currentLeaderEpoch === log.leaderEpoch) return errorCodes.NONE;
  return currentLeaderEpoch < log.leaderEpoch ? errorCodes.FENCED_LEADER_EPOCH : errorCodes.UNKNOWN_LEADER_EPOCH;
}

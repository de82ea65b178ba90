import { MillraceError } from '@millrace/platform';

/** The steps of a commit, in order. A crash can be put before any of them. */
export type CommitStep = 'drain' | 'flushSinks' | 'flushProducer' | 'sendOffsets' | 'commit' | 'writeStores';

/** What the process dies of that `crashBefore` has put there. */
export class SimulatedCrashError extends MillraceError {
  readonly code = 'SIMULATED_CRASH';
  constructor(step: CommitStep) {
    super(`The process died before the step '${step}' of a commit, as crashBefore has asked. Call restart().`, {
      context: { step },
    });
  }
}

import { delay, isMillraceError, type Clock, type Logger } from '@millrace/platform';
import { ClosedError, RedisError } from './errors.ts';

/** How long until the next attempt: 25 ms, doubled up to a second. */
export function backoffMs(attempt: number): number {
  return Math.min(25 * 2 ** Math.min(attempt - 1, 6), 1000);
}

/**
 * Refusals that pass, with nothing applied. Redis 7 wraps an error inside a script: its name comes first all the same. MISCONF: it
 * cannot save, as on a full disk, and takes no writes until it can.
 */
export function isPassing(error: unknown): boolean {
  return error instanceof Error && passing.test(error.message);
}

const passing = /^(OOM|BUSY|LOADING|TRYAGAIN|MASTERDOWN|CLUSTERDOWN|READONLY|NOREPLICAS|MISCONF)\b/;

/**
 * Goes on through refusals that pass. Commands of a lost connection wait in the driver.
 * @param what whose command it is, for messages
 * @throws {ClosedError} closed meanwhile
 * @throws {RedisError} refused for good
 */
export async function persistently<T>(
  what: string,
  command: () => Promise<T>,
  { clock, logger, signal }: { readonly clock: Clock; readonly logger: Logger; readonly signal: AbortSignal },
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    if (signal.aborted) throw new ClosedError(what);
    try {
      return await command();
    } catch (error) {
      if (signal.aborted) throw new ClosedError(what);
      if (isMillraceError(error)) throw error;
      if (!isPassing(error)) throw new RedisError(what, error);
      logger.warn({ store: what, error }, 'Redis cannot answer now');
      await delay(clock, backoffMs(attempt), signal);
    }
  }
}

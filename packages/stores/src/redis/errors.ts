import { MillraceError } from '@millrace/platform';

/** Redis may evict keys of ours: state would vanish behind our back. Nothing was opened. */
export class EvictionEnabledError extends MillraceError {
  readonly code = 'EVICTION_ENABLED';
  constructor(url: string, policy: string) {
    super(
      `Redis at ${url} has maxmemory-policy ${policy}, which may evict state at any time. ` +
        'Set it to noeviction (or a volatile-* policy: our keys have no TTL), or use another Redis for state.',
      { context: { url, policy } },
    );
  }
}

/** Another instance has taken the partition over. Nothing was changed. */
export class StoreFencedError extends MillraceError {
  readonly code = 'FENCED';
  constructor(key: string, epoch: number, storedEpoch: number) {
    super(
      `The store ${key} belongs to an owner of epoch ${storedEpoch}, this one has ${epoch}. ` +
        'The partition has moved: leave it, and join the group again.',
      { context: { key, epoch, storedEpoch }, retriable: true },
    );
  }
}

/** While the store was scanned its data was lost, or taken over: what was seen is not the whole of it. */
export class StoreStaleError extends MillraceError {
  readonly code = 'STORE_STALE';
  constructor(key: string, reason: string) {
    super(
      `The store ${key} changed while it was scanned: ${reason}. It is brought back from its changelog; try again.`,
      {
        context: { key, reason },
        retriable: true,
      },
    );
  }
}

/** Redis refused a command for a reason that waiting does not cure. */
export class RedisError extends MillraceError {
  readonly code = 'REDIS_ERROR';
  constructor(key: string, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(`Redis refused a command on ${key}: ${reason}. Look at the server's log and the user's permissions.`, {
      context: { key, reason },
      cause,
    });
  }
}

/** What was to be read did not come in time. */
export class ViewTimeoutError extends MillraceError {
  readonly code = 'VIEW_TIMEOUT';
  constructor(what: string, timeoutMs: number) {
    super(`${what} within ${timeoutMs} ms. Try again, or raise timeoutMs.`, {
      context: { timeoutMs },
      retriable: true,
    });
  }
}

/** There is no such store in this Redis, or not one that this version can read. */
export class StoreNotFoundError extends MillraceError {
  readonly code = 'STORE_NOT_FOUND';
  constructor(applicationId: string, store: string, reason: string) {
    super(`Cannot read the store ${store} of ${applicationId}: ${reason}.`, { context: { applicationId, store } });
  }
}

/** A store, a view or its connection is closed. */
export class ClosedError extends MillraceError {
  readonly code = 'CLOSED';
  constructor(what: string) {
    super(`${what} is closed. Open it again.`, { context: { what } });
  }
}

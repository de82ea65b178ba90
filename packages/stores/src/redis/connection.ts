import type { Logger } from '@millrace/platform';
import { Redis } from 'ioredis';
import { EvictionEnabledError } from './errors.ts';

/**
 * A connection as the protocol needs it:
 * - commands wait for a lost connection and are sent again (`maxRetriesPerRequest: null`, `autoResendUnfulfilledCommands`): all
 *   of ours may run twice, and switched off, commands in flight would never settle (ioredis 6.0);
 * - no `commandTimeout`: it would reject commands that may yet run;
 * - no automatic pipelining: commands keep the order in which they were called, which read marks are checked against;
 * - a primary that was demoted (READONLY) is left, and the command sent again to whoever answers at that address.
 */
export function connect(url: string, logger: Logger): Redis {
  const redis = new Redis(url, {
    maxRetriesPerRequest: null,
    autoResendUnfulfilledCommands: true,
    enableAutoPipelining: false,
    lazyConnect: true,
    retryStrategy: (times) => Math.min(25 * 2 ** Math.min(times, 7), 2000),
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 2 : false),
  });
  // Without a listener ioredis would throw. Attempts go on, and commands wait.
  redis.on('error', (error: Error) => {
    logger.warn({ url: displayUrl(url), error: error.message }, 'no connection to Redis: trying again');
  });
  return redis;
}

/** The url without its password, for messages. */
export function displayUrl(url: string): string {
  const parsed = new URL(url);
  if (parsed.password !== '') parsed.password = '***';
  return parsed.href;
}

/**
 * Refuses a Redis that may evict our keys. By INFO, as hosted Redis often bars CONFIG.
 * @throws {EvictionEnabledError} for an `allkeys-*` policy, also while `maxmemory` is 0: it can be set at any time
 */
export async function refuseEviction(redis: Redis, url: string): Promise<void> {
  const info = await redis.info('memory');
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1] ?? 'unknown';
  if (policy !== 'noeviction' && !policy.startsWith('volatile-')) {
    throw new EvictionEnabledError(displayUrl(url), policy);
  }
}

import { createRequire } from 'node:module';
import type { Logger } from '@millrace/platform';
import type * as Pino from 'pino';

const levels: readonly string[] = ['debug', 'info', 'warn', 'error', 'silent'];

/**
 * pino's lines on standard error, but pino is loaded with the first line that passes the level: at `warn` a start has none,
 * and pino takes 9 of the 150 ms from the command to `listening on`.
 */
export function lazyLogger(level: string): Logger {
  const threshold = levels.indexOf(level);
  let pino: Logger | undefined;
  const logger = (): Logger => (pino ??= loadPino(level));
  return {
    debug(context, message) {
      if (threshold <= 0) logger().debug(context, message);
    },
    info(context, message) {
      if (threshold <= 1) logger().info(context, message);
    },
    warn(context, message) {
      if (threshold <= 2) logger().warn(context, message);
    },
    error(context, message) {
      if (threshold <= 3) logger().error(context, message);
    },
  };
}

/** By `require`, as a line cannot wait for an import: it may be the last before the process ends. */
function loadPino(level: string): Logger {
  const { pino } = createRequire(import.meta.url)('pino') as typeof Pino;
  return pino({ level: level as Pino.LevelWithSilent }, process.stderr);
}

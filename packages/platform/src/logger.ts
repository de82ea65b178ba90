/** Where a package tells what it does. pino and console both fit. */
export interface Logger {
  debug(context: object, message: string): void;
  info(context: object, message: string): void;
  warn(context: object, message: string): void;
  error(context: object, message: string): void;
}

/** Says nothing: the default everywhere. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };

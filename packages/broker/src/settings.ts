import type { FlushMode } from '@millrace/log';
import { resolve } from 'node:path';
import type { BrokerOptions, Listener } from './broker-options.ts';
import { InvalidConfigError } from './core/errors.ts';
import type { Endpoint } from './server/server.ts';

const defaultTailCacheBytes = 64 * 1024 * 1024;
const greatestPort = 65_535;
/** What a timer can wait. */
const longestIntervalMs = 2 ** 31 - 1;

/** What a broker is opened with: defaults filled in, and looked through before anything is touched. */
export interface Settings {
  /** Absolute: a later `process.chdir` must not lead elsewhere. undefined: in memory. */
  readonly directory: string | undefined;
  readonly endpoints: readonly Endpoint[];
  readonly flush: FlushMode;
  readonly tailCacheMaxBytes: number;
}

/** @throws {InvalidConfigError} */
export function settingsOf(options: BrokerOptions): Settings {
  const { data, listen = [], flush = 'commit', tailCacheMaxBytes = defaultTailCacheBytes } = options;
  if (typeof data !== 'string' || data === '') {
    throw new InvalidConfigError('data', data, "a directory, or 'memory'");
  }
  if (!isFlushMode(flush)) {
    const expected = `'commit', 'os', or 'interval:MS' with whole milliseconds from 1 to ${longestIntervalMs}`;
    throw new InvalidConfigError('flush', flush, expected);
  }
  if (!(tailCacheMaxBytes >= 0)) {
    throw new InvalidConfigError('tailCacheMaxBytes', tailCacheMaxBytes, 'a number of bytes, at least 0');
  }
  const isInMemory = data === 'memory';
  return {
    directory: isInMemory ? undefined : resolve(data),
    endpoints: ([listen].flat() as readonly Listener[]).map(endpointOf),
    flush: isInMemory ? 'os' : flush,
    tailCacheMaxBytes,
  };
}

function isFlushMode(flush: string): boolean {
  if (flush === 'commit' || flush === 'os') return true;
  const intervalMs = Number(/^interval:(\d+)$/.exec(flush)?.[1]);
  return intervalMs >= 1 && intervalMs <= longestIntervalMs;
}

function endpointOf(listener: Listener): Endpoint {
  const { port, host = '127.0.0.1', advertised, tls } = listener;
  if (!isPort(port) && port !== 0) {
    throw new InvalidConfigError('listen.port', port, `a whole number from 0 (any free port) to ${greatestPort}`);
  }
  return { port, host, advertised: advertised === undefined ? asItListens(host) : parseAdvertised(advertised), tls };
}

/** As Kafka, which starts with no `advertised.listeners` that nobody could connect to. */
function asItListens(host: string): Endpoint['advertised'] {
  if (!isEveryAddress(host)) return { host, port: undefined };
  const expected = `the name or address by which clients reach this machine, as the host ${JSON.stringify(host)} stands for all it has`;
  throw new InvalidConfigError('listen.advertised', undefined, expected);
}

/** `broker.example`, `broker.example:9093`, `[::1]`, `[::1]:9093`. */
function parseAdvertised(text: string): Endpoint['advertised'] {
  const groups = /^(?:\[(?<bracketed>[^\]\s]+)\]|(?<plain>[^:/[\]\s]+))(?::(?<port>\d+))?$/.exec(text)?.groups;
  const host = groups?.['bracketed'] ?? groups?.['plain'];
  const port = groups?.['port'] === undefined ? undefined : Number(groups['port']);
  if (host !== undefined && !isEveryAddress(host) && (port === undefined || isPort(port))) return { host, port };
  const expected = `HOST, HOST:PORT or [IPV6]:PORT that clients can connect to, with a port from 1 to ${greatestPort}`;
  throw new InvalidConfigError('listen.advertised', text, expected);
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= greatestPort;
}

/** '', `0.0.0.0`, `::`, and their other spellings. */
function isEveryAddress(host: string): boolean {
  return /^[0.:]*$/.test(host);
}

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createSecureContext } from 'node:tls';
import { Broker, type BrokerOptions } from '@millrace/broker';
import { PortInUseError } from '@millrace/platform';
import { readPem } from '../cluster.ts';
import { UsageError } from '../errors.ts';
import { lazyLogger } from '../lazy-logger.ts';

export interface BrokerCommandOptions {
  readonly data: string;
  readonly host: string;
  readonly port: number;
  readonly advertised?: string;
  readonly httpPort?: number;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly flush: string;
  readonly config?: string;
  readonly logLevel: string;
}

/** Prints `listening on HOST:PORT` when ready. SIGTERM and Ctrl-C close cleanly; a second one does not wait. */
export async function runBroker(options: BrokerCommandOptions): Promise<void> {
  const stopping = new AbortController();
  process.on('SIGTERM', stop).on('SIGINT', stop);
  function stop(): void {
    if (stopping.signal.aborted) process.exit(1);
    stopping.abort();
  }

  let failure: Error | undefined;
  const broker = await Broker.open({
    data: options.data,
    listen: { host: options.host, port: options.port, advertised: options.advertised, tls: tlsOf(options) },
    flush: options.flush as BrokerOptions['flush'],
    config: options.config === undefined ? undefined : readConfig(options.config),
    logger: lazyLogger(options.logLevel),
    onFailure(error) {
      failure = error;
      stopping.abort();
    },
  });
  try {
    const http = options.httpPort === undefined ? undefined : await serveHttp(broker, options.host, options.httpPort);
    process.stdout.write(`listening on ${broker.address}\n`);
    if (!stopping.signal.aborted) await once(stopping.signal, 'abort');
    http?.close();
    http?.closeAllConnections();
  } finally {
    await broker.close();
  }
  if (failure !== undefined) throw failure; // the disk has failed: the exit code says so
}

/** @throws `USAGE` */
function tlsOf({ tlsCert, tlsKey }: BrokerCommandOptions): { cert: Buffer; key: Buffer } | undefined {
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined) {
    throw new UsageError('TLS takes both --tls-cert and --tls-key');
  }
  const tls = { cert: readPem(tlsCert, '--tls-cert'), key: readPem(tlsKey, '--tls-key') };
  try {
    createSecureContext(tls);
  } catch (error) {
    throw new UsageError(`--tls-cert ${tlsCert} and --tls-key ${tlsKey} cannot be used: ${(error as Error).message}`);
  }
  return tls;
}

function readConfig(path: string): Record<string, string | number | boolean> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new UsageError(`Cannot read the configs in ${path}: ${(error as Error).message}`);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new UsageError(`${path} must hold a JSON object of configs, such as {"log.retention.ms": 86400000}`);
  }
  return parsed as Record<string, string | number | boolean>;
}

/** Says on standard error where it is, since port 0 is any: standard output has the broker's line alone. */
async function serveHttp(broker: Broker, host: string, port: number): Promise<Server> {
  const { createServer } = await import('node:http');
  const server = createServer((request, response) => {
    if (request.url === '/metrics') {
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(broker.metrics().prometheus());
    } else if (request.url === '/health') {
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"status":"ok"}\n');
    } else {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('/metrics or /health\n');
    }
  });
  return await new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(error.code === 'EADDRINUSE' ? new PortInUseError(host, port, error) : error);
    });
    server.listen(port, host, () => {
      const { port: bound } = server.address() as AddressInfo;
      process.stderr.write(`metrics at http://${host.includes(':') ? `[${host}]` : host}:${bound}/metrics\n`);
      resolve(server);
    });
  });
}

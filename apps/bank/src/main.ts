/** `npm start -w @millrace/bank -- [options]` */
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { isMillraceError } from '@millrace/client';
import { startService, type ServiceOptions } from './service.ts';

const usage = `Usage: npm start -w @millrace/bank -- [options]

  --store memory|redis://HOST:PORT  where state and read models are kept (default redis://127.0.0.1:6379)
  --broker HOST:PORT                use that broker instead of one in this process
  --data DIR                        the embedded broker's directory (default .millrace-bank)
  --broker-port N                   where the embedded broker listens (default 9092)
  --port N                          HTTP (default 8080)`;

class UsageError extends Error {}

function portOf(option: string, text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port;
  throw new UsageError(`--${option} takes a number from 0 to 65535, not ${text}`);
}

function storeOf(text: string): string {
  if (text === 'memory' || /^rediss?:\/\/./.test(text)) return text;
  throw new UsageError(`--store takes memory or redis://HOST:PORT, not ${text}`);
}

/** What is waited for is said once, not with each attempt. */
function waiting(): ServiceOptions['logger'] {
  let last = '';
  const say = (context: object, message: string): void => {
    if (message !== last) console.error(message, context);
    last = message;
  };
  return { debug() {}, info() {}, warn: say, error: say };
}

try {
  const { values } = parseArgs({
    options: {
      store: { type: 'string', default: 'redis://127.0.0.1:6379' },
      broker: { type: 'string' },
      data: { type: 'string', default: '.millrace-bank' },
      'broker-port': { type: 'string', default: '9092' },
      port: { type: 'string', default: '8080' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(usage);
  } else {
    await using service = await startService({
      broker: values.broker,
      dataDirectory: values.data,
      brokerPort: portOf('broker-port', values['broker-port']),
      store: storeOf(values.store),
      httpPort: portOf('port', values.port),
      logger: waiting(),
    });
    console.log(`the bank is open at ${service.url}, its log at ${service.brokerAddress}`);
    const stopping = new AbortController();
    process.once('SIGINT', () => stopping.abort()).once('SIGTERM', () => stopping.abort());
    await Promise.race([service.done, once(stopping.signal, 'abort')]);
  }
} catch (error) {
  const { code = '' } = error as { readonly code?: string };
  if (error instanceof UsageError || code.startsWith('ERR_PARSE_ARGS'))
    console.error(`${(error as Error).message}\n\n${usage}`);
  else console.error(isMillraceError(error) ? `${error.code}: ${error.message}` : error);
  process.exitCode = 1;
}

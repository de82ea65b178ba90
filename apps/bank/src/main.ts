/** `npm start -w @millrace/bank -- [options]` */
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { isMillraceError } from '@millrace/client';
import { startService } from './service.ts';

const usage = `Usage: npm start -w @millrace/bank -- [options]

  --store memory|redis://HOST:PORT  where state and read models are kept (default redis://127.0.0.1:6379)
  --broker HOST:PORT                use that broker instead of one in this process
  --data DIR                        the embedded broker's directory (default .millrace-bank)
  --broker-port N                   where the embedded broker listens (default 9092)
  --port N                          HTTP (default 8080)`;

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
      brokerPort: Number(values['broker-port']),
      store: values.store,
      httpPort: Number(values.port),
    });
    console.log(`the bank is open at ${service.url}, its log at ${service.brokerAddress}`);
    const stopping = new AbortController();
    process.once('SIGINT', () => stopping.abort()).once('SIGTERM', () => stopping.abort());
    await Promise.race([service.done, once(stopping.signal, 'abort')]);
  }
} catch (error) {
  console.error(isMillraceError(error) ? `${error.code}: ${error.message}` : error);
  process.exitCode = 1;
}

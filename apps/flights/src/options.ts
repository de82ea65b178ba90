import { parseArgs } from 'node:util';
import type { Rows } from './flight-data.ts';

export interface Options {
  readonly rows: Rows;
  /** undefined: 9092, or the next free one. */
  readonly port: number | undefined;
  readonly dataDirectory: string;
  /** A broker elsewhere, ours or Apache Kafka; undefined: an embedded one. */
  readonly broker: string | undefined;
  /** Flights fed per second; undefined: as many as the broker takes. */
  readonly rowsPerSecond: number | undefined;
  /** Static membership: started again after a crash under the same id, it goes on at once. */
  readonly instance: string | undefined;
  /** Leave when the result is printed. */
  readonly exit: boolean;
}

export const usage = `Usage: npm start -- [options]

  --rows 20k|3m      how many flights (default 20k)
  --data DIR         the broker's directory (default ./.millrace)
  --port N           where the broker listens (default 9092, or the next free port; 0: any)
  --broker HOST:PORT use that broker (ours or Apache Kafka) instead of an embedded one
  --rate N           feed N flights a second (default: as many as the broker takes)
  --instance ID      a name kept over restarts: after a crash it goes on at once
  --exit             leave when the result is printed
  --help             this text`;

/** @throws {UsageError} */
export function readOptions(args: readonly string[]): Options | 'help' {
  let values;
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        rows: { type: 'string', default: '20k' },
        data: { type: 'string', default: '.millrace' },
        port: { type: 'string' },
        broker: { type: 'string' },
        rate: { type: 'string' },
        instance: { type: 'string' },
        exit: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }));
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  if (values.help) return 'help';
  if (values.rows !== '20k' && values.rows !== '3m') throw new UsageError(`--rows is 20k or 3m, not ${values.rows}`);
  const port = values.port === undefined ? undefined : Number(values.port);
  if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65_535)) {
    throw new UsageError(`--port is a number from 0 to 65535, not ${values.port}`);
  }
  const rowsPerSecond = values.rate === undefined ? undefined : Number(values.rate);
  if (rowsPerSecond !== undefined && !(rowsPerSecond > 0)) {
    throw new UsageError(`--rate is a number above 0, not ${values.rate}`);
  }
  const { rows, data: dataDirectory, broker, instance, exit } = values;
  return { rows, port, dataDirectory, broker, rowsPerSecond, instance, exit };
}

export class UsageError extends Error {
  override readonly name = 'UsageError';
}

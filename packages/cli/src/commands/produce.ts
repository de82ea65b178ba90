import { createInterface } from 'node:readline';
import { Client, type OutgoingRecord, type Producer } from '@millrace/client';
import { bytes, nullable, topic } from '@millrace/serde';
import { clusterOf, type ClusterFlags } from '../cluster.ts';
import { UsageError } from '../errors.ts';

interface Options extends ClusterFlags {
  readonly keySeparator?: string;
  readonly tombstones?: boolean;
  readonly compression: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';
  readonly json?: boolean;
  /** Seconds. */
  readonly timeout: number;
}

/** How often is looked whether acknowledgements come, in ms. */
const lookEveryMs = 1000;

type Outgoing = OutgoingRecord<Uint8Array | null, Uint8Array | null>;

/** Sends a record a line. Lines are sent as they come, so a slow source is not held back by a batch. Ctrl-C sends what was read. */
export async function produce(name: string, options: Options): Promise<void> {
  const stopping = new AbortController();
  process.once('SIGINT', () => stopping.abort()).once('SIGTERM', () => stopping.abort());
  const contract = topic(name, { key: nullable(bytes), value: nullable(bytes) });
  await using client = await Client.connect(clusterOf(options));
  await using producer = client.producer({
    compressionType: options.compression,
    deliveryTimeoutMs: 1000 * options.timeout,
  });
  let wrongLine: unknown;
  const noticing = setInterval(sayIfWaiting(producer, options), lookEveryMs);
  try {
    const { sentCount } = await producer.sendFrom(contract, records(), { signal: stopping.signal });
    process.stderr.write(`${sentCount} ${sentCount === 1 ? 'record' : 'records'} sent to ${name}\n`);
    if (wrongLine !== undefined) throw wrongLine;
  } finally {
    clearInterval(noticing);
    process.stdin.destroy(); // after Ctrl-C nobody waits for its next line
  }

  async function* records(): AsyncGenerator<Outgoing> {
    let lineNumber = 0;
    for await (const line of createInterface({ input: process.stdin })) {
      lineNumber++;
      let record: Outgoing;
      try {
        record = options.json ? fromJson(line, lineNumber) : fromText(line, options);
      } catch (error) {
        wrongLine = error; // the source ends here, so that what came before it is sent
        return;
      }
      yield record;
    }
  }
}

/** Asked again and again: says so, once a time, where what was under way the last time is not acknowledged yet. */
function sayIfWaiting(producer: Producer, options: Options): () => void {
  let isWaiting = false;
  let isSaid = false;
  return () => {
    if (isWaiting && !isSaid) {
      isSaid = true;
      process.stderr.write(
        `waiting for ${options.broker}, which does not acknowledge; giving up after ${options.timeout} s\n`,
      );
    }
    if (isWaiting) return;
    isWaiting = true;
    void producer.flush().then(() => (isWaiting = isSaid = false));
  };
}

function fromText(line: string, options: Options): Outgoing {
  const at = options.keySeparator === undefined ? -1 : line.indexOf(options.keySeparator);
  const value = at < 0 ? line : line.slice(at + options.keySeparator!.length);
  return {
    key: at < 0 ? null : Buffer.from(line.slice(0, at)),
    value: value === '' && options.tombstones ? null : Buffer.from(value),
  };
}

/** As `consume --json` prints it, whose topic and offset do not count here. */
const jsonFields = new Set(['key', 'value', 'headers', 'timestampMs', 'partition', 'topic', 'offset']);

function fromJson(line: string, lineNumber: number): Outgoing {
  const wrong = (what: string): UsageError => new UsageError(`Line ${lineNumber} ${what}`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch (error) {
    throw wrong(`is not JSON: ${(error as Error).message}`);
  }
  if (!isObject(parsed)) throw wrong('is not a JSON object');
  const unknown = Object.keys(parsed).find((name) => !jsonFields.has(name));
  if (unknown !== undefined) throw wrong(`has a field ${unknown}: a record has ${[...jsonFields].join(', ')}`);
  const { key, value, headers = {}, timestampMs, partition } = parsed;
  if (!isObject(headers)) throw wrong('has headers that are no object of names and texts');
  if (timestampMs !== undefined && !isCount(timestampMs)) throw wrong('has a timestampMs that is no whole number');
  if (partition !== undefined && !isCount(partition)) throw wrong('has a partition that is no whole number');
  return {
    key: toBytes(key),
    value: toBytes(value),
    headers: Object.entries(headers).map(([name, header]) => [name, toBytes(header)] as const),
    timestampMs,
    partition,
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Text as it is, null and absent as null, anything else as JSON. */
function toBytes(value: unknown): Uint8Array | null {
  if (value === null || value === undefined) return null;
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
}

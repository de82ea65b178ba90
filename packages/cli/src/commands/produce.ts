import { createInterface } from 'node:readline';
import { Client, type OutgoingRecord } from '@millrace/client';
import { bytes, nullable, topic } from '@millrace/serde';
import { UsageError } from '../errors.ts';

interface Options {
  readonly broker: string;
  readonly keySeparator?: string;
  readonly tombstones?: boolean;
  readonly compression: string;
  readonly json?: boolean;
}

const compressionTypes = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;
type Outgoing = OutgoingRecord<Uint8Array | null, Uint8Array | null>;

/** Sends a record a line. Lines are sent as they come, so a slow source is not held back by a batch. */
export async function produce(name: string, options: Options): Promise<void> {
  const compressionType = compressionTypes.find((type) => type === options.compression);
  if (compressionType === undefined) throw new UsageError(`--compression is one of ${compressionTypes.join(', ')}`);
  const contract = topic(name, { key: nullable(bytes), value: nullable(bytes) });
  await using client = await Client.connect(options.broker);
  await using producer = client.producer({ compressionType });
  let lineNumber = 0;
  const { sentCount } = await producer.sendFrom(contract, records());
  process.stderr.write(`${sentCount} records sent to ${name}\n`);

  async function* records(): AsyncGenerator<Outgoing> {
    for await (const line of createInterface({ input: process.stdin })) {
      lineNumber++;
      yield options.json ? fromJson(line, lineNumber) : fromText(line, options);
    }
  }
}

function fromText(line: string, options: Options): Outgoing {
  const at = options.keySeparator === undefined ? -1 : line.indexOf(options.keySeparator);
  const value = at < 0 ? line : line.slice(at + options.keySeparator!.length);
  return {
    key: at < 0 ? null : Buffer.from(line.slice(0, at)),
    value: value === '' && options.tombstones ? null : Buffer.from(value),
  };
}

function fromJson(line: string, lineNumber: number): Outgoing {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch (error) {
    throw new UsageError(`Line ${lineNumber} is not JSON: ${(error as Error).message}`);
  }
  if (typeof parsed !== 'object' || parsed === null) throw new UsageError(`Line ${lineNumber} is not a JSON object`);
  const record = parsed as {
    key?: unknown;
    value?: unknown;
    headers?: Record<string, string>;
    timestampMs?: number;
    partition?: number;
  };
  return {
    key: toBytes(record.key),
    value: toBytes(record.value),
    headers: record.headers,
    timestampMs: record.timestampMs,
    partition: record.partition,
  };
}

/** Text as it is, null and absent as null, anything else as JSON. */
function toBytes(value: unknown): Uint8Array | null {
  if (value === null || value === undefined) return null;
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
}
